"""From the parts' JSON files to the table of aims, the tables of all figures, and plots."""

import json
from collections.abc import Iterator
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure


__all__ = ["aims", "read_parts", "write_report"]

matplotlib.use("agg")
_BEGIN, _END = "<!-- aims: begin -->", "<!-- aims: end -->"
PLAIN, RELEASED, OURS = "plain language model", "released procedure", "AudioBERT"
# The search that the aim is for: recall is stated of the nearest 10.
SEARCH = "queries_32_top_10"


def read_parts(folder: Path) -> dict[str, dict]:
    """Return the documents of the parts that were measured."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def aims(parts: dict[str, dict]) -> list[dict]:
    """Return the figures that have an aim: `work`, `aim`, `most` or `least`, `measured`, `spread`, `met`."""
    rows = []
    for name, rows_of in _AIMS.items():
        if name in parts:
            part = parts[name]
            rows += rows_of(part.get("measured", part))
    for row in rows:
        row["met"] = row["measured"] <= row["most"] if "most" in row else row["measured"] >= row["least"]
    return rows


def write_report(folder: Path, figures: Path, page: Path | None = None) -> Path:
    """Write `speed.md` beside the parts, the plots into `figures`, and the aims into a page; return the first.

    Args:
        folder (`Path`): with the parts' JSON files.
        figures (`Path`): made when needed.
        page (`Path`, *optional*): what lies in it between the lines that begin and end the aims is replaced.
    """
    parts = read_parts(folder)
    summary = [_where(parts), "", *_table(("work", "aim", "measured", "least to most", "met"), _rows(parts))]
    lines = ["## Aims", "", *summary]
    for title, rows in _tables(parts):
        lines += ["", f"## {title}", "", *rows]
    figures.mkdir(parents=True, exist_ok=True)
    for name, (caption, draw) in _PLOTS.items():
        figure = draw(parts)
        if figure is not None:
            figure.savefig(figures / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
            summary += ["", f"![{caption}](figures/{name}.png)"]
    if page is not None:
        before, rest = page.read_text(encoding="utf-8").split(_BEGIN)
        after = rest.split(_END)[1]
        page.write_text("\n".join([before + _BEGIN, "", *summary, "", _END + after]), encoding="utf-8")
    file = folder / "speed.md"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _most(work: str, most: float, entry: dict, base: dict | None = None) -> dict:
    row = {"work": work, "aim": f"at most {most} x", "most": most, "measured": entry["ratio"]}
    return row | {"spread": _ratios(entry, base)}


def _ratios(entry: dict, base: dict | None) -> str:
    if base is None:
        return ""
    least, most = entry["least_ms"] / base["median_ms"], entry["most_ms"] / base["median_ms"]
    return f"{least:.2f} to {most:.2f}"


def _faster(work: str, least: float, measured: float, spread: str = "") -> dict:
    return {"work": work, "aim": f"at least {least:g} x", "least": least, "measured": measured, "spread": spread}


def _ordinary(found: dict) -> Iterator[dict]:
    for kind, most in (("trunk", 1.05), ("separate", 2.1)):
        for batch in ("1", "32"):
            times = found["batches"][batch]
            work = f"ordinary sentences, {kind} detector, batch {batch}, beside the plain language model"
            yield _most(work, most, times[f"{kind} detector"], times[PLAIN])


def _auditory(found: dict) -> Iterator[dict]:
    clips, entry = list(found["banks"].items())[-1]
    released = entry["batch_1"][RELEASED]
    for batch in (1, 32):
        times = entry[f"batch_{batch}"]
        for name in ("trunk detector, exact", "trunk detector, indexed"):
            if name in times:
                work = f"auditory sentences, {int(clips):,} clips, {name}, batch {batch}"
                yield _most(f"{work}, beside the plain language model", 3, times[name], times[PLAIN])
                ours = times[name]["median_ms"] / batch
                spread = f"{released['least_ms'] / ours:.1f} to {released['most_ms'] / ours:.1f}"
                yield _faster(f"{work}, beside the released procedure", 20, released["median_ms"] / ours, spread)


def _retrieval(found: dict) -> Iterator[dict]:
    bank = found["banks"][-1]
    kinds = {"exact": 5} | ({bank["chosen"]: 50} if bank["chosen"] != "exact" else {})
    for kind, least in kinds.items():
        entry, base = (bank["searches"][name][SEARCH] for name in (kind, "reference"))
        spread = f"{base['median_ms'] / entry['most_ms']:.1f} to {base['median_ms'] / entry['least_ms']:.1f}"
        work = f"search of {bank['clips']:,} clips, nearest 10, 32 queries, {kind}"
        yield _faster(work, least, entry["ratio"], spread)


def _frozen(found: dict) -> Iterator[dict]:
    spread = _speedups(found["steps"])
    yield _faster("pass over pitch rows, audio encoder frozen", 20, found["speedup"], spread)


def _speedups(steps: dict) -> str:
    base, ours = steps[RELEASED]["median_ms"], steps[OURS]
    return f"{base / ours['most_ms']:.1f} to {base / ours['least_ms']:.1f}"


def _trained(found: dict) -> Iterator[dict]:
    distinct = found["repetition"]["distinct_in_64"]
    if "composed_batch_of_32" in found:
        composed = found["composed_batch_of_32"]
        work = f"training step, batch 32, {distinct:g} different clips of 64, full size (composed)"
        yield _faster(work, 2, composed["speedup"])
        entry = next(iter(found["by_distinct_clips"].values()))
    else:
        entry = found["by_distinct_clips"][str(round(distinct))]
        work = f"training step, batch 32, {distinct:g} different clips of 64, small size"
        yield _faster(work, 2, entry["speedup"], _speedups(entry["steps"]))
    yield _share("share of that step spent waiting for data, without workers", 0.05, entry["waiting_for_data"])


def _share(work: str, most: float, measured: float) -> dict:
    return {"work": work, "aim": f"at most {most:.0%}", "most": most, "measured": measured, "percent": True}


def _building(size: str):
    def rows(found: dict) -> Iterator[dict]:
        share = found["ours"]["encoder_share"]
        work = f"building a bank, {size} encoders"
        yield {
            "work": f"{work}: share of encoding",
            "aim": "at least 85%",
            "least": 0.85,
            "measured": share,
            "percent": 1,
        }
        again = found.get("ours_after_the_first_decode")
        if again:
            yield {
                "work": f"{work}, features kept: share of encoding",
                "aim": "at least 85%",
                "least": 0.85,
                "measured": again["encoder_share"],
                "percent": True,
            }
        yield _faster(f"{work}: clips a second beside the released procedure", 2, found["ratios"]["speed"])

    return rows


def _memory(found: dict) -> Iterator[dict]:
    work = f"memory after the first answer, {found['clips']:,} clips, beside weights and arrays"
    yield {"work": work, "aim": "at most 1.1 x", "most": 1.1, "measured": found["ratio"]}


def _imports(found: dict) -> Iterator[dict]:
    times = found["processor_time_of_a_new_process"]
    base = times["transformers and datasets"]
    yield _most("import audiobert, beside transformers and datasets", 1.1, times["audiobert"], base)


def _loading(found: dict) -> Iterator[dict]:
    times = found["times"]
    yield _most("from_pretrained, beside its parts one by one", 1.3, times["from_pretrained"], times["the parts"])


_AIMS = {
    "ordinary_text": _ordinary,
    "auditory_text": _auditory,
    "retrieval": _retrieval,
    "frozen_pass": _frozen,
    "encoder_training": _trained,
    "encoder_training_small": _trained,
    "bank_building_full": _building("full"),
    "bank_building_small": _building("small"),
    "memory": _memory,
    "imports": _imports,
    "loading": _loading,
}


def _rows(parts: dict[str, dict]) -> Iterator[tuple]:
    for row in aims(parts):
        measured = f"{row['measured']:.1%}" if row.get("percent") else f"{row['measured']:.2f} x"
        yield row["work"], row["aim"], measured, row.get("spread", ""), "yes" if row["met"] else "**no**"


def _where(parts: dict[str, dict]) -> str:
    measured = [part for part in parts.values() if "versions" in part and "threads" in part and "measured" in part]
    if not measured:
        return "Medians, on two cores without other load; the rest was not measured yet."
    loads = [part["load_before"] for part in measured]
    versions = ", ".join(" ".join(pair) for pair in measured[0]["versions"].items())
    return (
        f"{measured[0]['threads']} threads on {measured[0]['processor']}, load {min(loads)} to {max(loads)} before "
        f"the parts; Python {measured[0]['python']}, {versions}. Medians; ratios are of medians."
    )


def _table(header: tuple, rows) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]


def _tables(parts: dict[str, dict]) -> Iterator[tuple[str, list[str]]]:
    """Return every group of times that were measured in turn, then the profiles."""
    for name, part in parts.items():
        found = part.get("measured", {})
        if name == "profiles":
            for path, operations in found.items():
                rows = [(o["operation"], o["calls"], o["ms"], f"{o['share']:.1%}") for o in operations]
                yield f"Profile: {path}", _table(("operation", "calls", "ms", "share"), rows)
            continue
        groups = list(_groups(found))
        if not groups:
            continue
        rows = [
            (where, which, e["median_ms"], f"{e['least_ms']} to {e['most_ms']}", e["rounds"], f"{e['ratio']:.3f}")
            for where, group in groups
            for which, e in group.items()
        ]
        header = ("what", "by", "median, ms", "least to most", "rounds", "ratio")
        yield f"{name} ({part.get('size', '')})", _table(header, rows)


def _groups(found, where: str = "") -> Iterator[tuple[str, dict]]:
    if not isinstance(found, dict):
        return
    if found and all(isinstance(value, dict) and "median_ms" in value for value in found.values()):
        yield where.strip(), found
        return
    for name, value in found.items():
        yield from _groups(value, f"{where} {name}")


def _draw_banks(parts: dict[str, dict]) -> Figure | None:
    """Draw how search and auditory sentences grow with the bank."""
    if "retrieval" not in parts:
        return None
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    banks = parts["retrieval"]["banks"]
    for kind in ("reference", "exact", "ivfpq", "hnsw"):
        points = [(bank["clips"], bank["searches"][kind][SEARCH]) for bank in banks if kind in bank["searches"]]
        _line(left, points, kind)
    _label(left, "search, nearest 10, 32 queries", "clips", log=True)
    auditory = parts["auditory_text"]["measured"]["banks"] if "auditory_text" in parts else {}
    for name in (PLAIN, "trunk detector, exact", "trunk detector, indexed", "separate detector, exact", RELEASED):
        points = [(int(clips), entry["batch_1"].get(name)) for clips, entry in auditory.items()]
        points = [point for point in points if point[1]]
        if points:
            _line(right, points, name)
    if auditory:
        _label(right, "one auditory sentence", "clips", log=True)
    else:
        right.set_axis_off()
    return figure


def _draw_text(parts: dict[str, dict]) -> Figure | None:
    """Draw how ordinary sentences grow with the batch and with their length."""
    if "ordinary_text" not in parts:
        return None
    figure = Figure(figsize=(10, 4))
    found = parts["ordinary_text"]["measured"]
    for axes, group, unit in zip(figure.subplots(1, 2), ("batches", "lengths"), ("sentences", "words"), strict=True):
        for name in (PLAIN, "trunk detector", "separate detector"):
            _line(axes, [(int(size), times[name]) for size, times in found[group].items()], name)
        title = f"ordinary text of {found['words']} words" if group == "batches" else "4 ordinary sentences"
        _label(axes, title, unit, log=False)
    return figure


def _line(axes, points: list[tuple[int, dict]], name: str) -> None:
    sizes = [size for size, _ in points]
    middle = [entry["median_ms"] for _, entry in points]
    below = [max(0, entry["median_ms"] - entry["least_ms"]) for _, entry in points]
    above = [max(0, entry["most_ms"] - entry["median_ms"]) for _, entry in points]
    axes.errorbar(sizes, middle, yerr=[below, above], marker="o", capsize=3, label=name)


def _label(axes, title: str, unit: str, log: bool) -> None:
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.set_ylabel("milliseconds, median (least to most)")
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


_PLOTS = {
    "speed_banks": ("Search and auditory sentences by the number of clips", _draw_banks),
    "speed_text": ("Ordinary sentences by their number and their length", _draw_text),
}
