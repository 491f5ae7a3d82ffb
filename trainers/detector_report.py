"""Table II of arXiv 2409.08199 from measured span detectors, the paper's figures beside ours."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED, PITCH
from audiobert.modeling_audiobert.atomic_files import staged_file


__all__ = ["table_of", "table_text", "write_table"]

_TASKS = {ANIMAL: "animal", PITCH: "pitch", COMBINED: "combined"}
_SPLITS = {"validation": "dev", "test": "test", "wiki": "wiki"}
_TITLES = {
    "weighted_f1": "Weighted F1 (Table II)",
    "token_f1": "Token-level F1",
    "span_f1": "Exact-span F1",
}
# arXiv 2409.08199, Table II: a second BERT-base, trained and tested on both tasks; F1 in per cent.
_PAPER = {
    (COMBINED, "test"): {"mean": 94.84, "deviation": 0.21},
    (COMBINED, "wiki"): {"mean": 92.06, "deviation": 1.74},
}


def table_of(groups: dict[str, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Return the scores of several detectors, each over its seeds, in per cent.

    Args:
        groups: name of a detector to the metrics of its runs, each with `results` and `ordinary_text` as
            `measure_detector` returns them.

    Returns:
        `dict` for a JSON file: `scores`, a list of `{"detector", "seeds", "rows", "metric", "task", "split", "mean",
        "deviation"}` (`rows` is "all" or "unseen", the deviation is the sample's, None for one seed); `paper`, in the
        same form; and `ordinary_text`, a list of `{"detector", "lines", "gap", "mean", "deviation"}`: flagged
        sentences in per cent.
    """
    scores, alarms = [], []
    for name, runs in groups.items():
        for place, first in enumerate(runs[0]["results"]):
            for rows in ("all", "unseen"):
                for metric in _TITLES:
                    values = [_value(run["results"][place], rows, metric) for run in runs]
                    where = {"task": first["task"], "split": first["split"]}
                    about = {"detector": name, "seeds": len(runs), "rows": rows, "metric": metric}
                    scores.append(about | where | _mean_and_deviation(values))
        for gap in ("measure", "measure_with_gap"):
            measured = [run["ordinary_text"][gap] for run in runs if run["ordinary_text"]]
            if measured:
                about = {"detector": name, "lines": measured[0]["lines"], "gap": gap == "measure_with_gap"}
                alarms.append(about | _mean_and_deviation([entry["share"] for entry in measured]))
    paper = [
        {"metric": "weighted_f1", "task": task, "split": split} | figures for (task, split), figures in _PAPER.items()
    ]
    return {"scores": scores, "paper": paper, "ordinary_text": alarms}


def table_text(table: dict[str, Any]) -> str:
    """Return what `table_of` gives as Markdown."""
    parts = []
    for metric, title in _TITLES.items():
        for rows, note in (("all", ""), ("unseen", ", rows whose sentence is not in the published train split")):
            scores = [entry for entry in table["scores"] if (entry["metric"], entry["rows"]) == (metric, rows)]
            lines = [_line(name, _cells(scores, name)) for name in _names(scores)]
            if rows == "all" and metric == "weighted_f1":
                lines.insert(0, _line("arXiv 2409.08199 (BERT-base)", _cells_of(table["paper"])))
            parts.append(f"### {title}{note}\n\n{_head()}\n" + "\n".join(lines))
    if table["ordinary_text"]:
        parts.append(_alarm_text(table["ordinary_text"]))
    return "\n\n".join(parts) + "\n"


def write_table(table: dict[str, Any], path: Path) -> None:
    """Write the Markdown of a table.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        temporary.write_text(table_text(table), encoding="utf-8")


def _value(result: dict[str, Any], rows: str, metric: str) -> float | None:
    return (result if rows == "all" else result["unseen"])[metric]


def _mean_and_deviation(values: Sequence[float | None]) -> dict[str, float | None]:
    if any(value is None for value in values):
        return {"mean": None, "deviation": None}
    deviation = 100 * statistics.stdev(values) if len(values) > 1 else None
    return {"mean": 100 * statistics.fmean(values), "deviation": deviation}


def _head() -> str:
    titles = [f"{_TASKS[task]} {_SPLITS[split]}" for task, split in _columns()]
    return f"| detector | {' | '.join(titles)} |\n|---|{'--:|' * len(titles)}"


def _columns() -> list[tuple[str, str]]:
    return [(task, split) for task in _TASKS for split in _SPLITS]


def _names(scores: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(entry["detector"] for entry in scores))


def _cells(scores: Sequence[dict[str, Any]], name: str) -> list[str]:
    return _cells_of([entry for entry in scores if entry["detector"] == name])


def _cells_of(scores: Sequence[dict[str, Any]]) -> list[str]:
    found = {(entry["task"], entry["split"]): _number(entry) for entry in scores}
    return [found.get(column, "") for column in _columns()]


def _line(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _number(entry: dict[str, Any]) -> str:
    if entry["mean"] is None:
        return "no rows"
    deviation = "" if entry["deviation"] is None else f" ± {entry['deviation']:.2f}"
    return f"{entry['mean']:.2f}{deviation}"


def _alarm_text(alarms: Sequence[dict[str, Any]]) -> str:
    lines = ["### Ordinary sentences in which a span is found, per cent", "", "| detector | as it is | with a gap |"]
    lines.append("|---|--:|--:|")
    for name in _names(alarms):
        found = {entry["gap"]: _number(entry) for entry in alarms if entry["detector"] == name}
        lines.append(_line(f"{name}, {alarms[0]['lines']} lines", [found[False], found[True]]))
    return "\n".join(lines)
