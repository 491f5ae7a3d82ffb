"""A report: Markdown, plots and a page in one folder, each part made where what it needs was given."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED, SPLITS, tasks_of
from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.detector_report import table_text
from audiobert.trainers.hearing_settings import DEFAULT_SETTINGS, SETTINGS

from .binned import Bin, by_frequency, by_similarity, frequency_label
from .changed_answers import changed_rows, clips_of_model, write_page
from .comparisons import compare_systems, comparison_table
from .figures import draw_frequencies, draw_learning_curves, draw_similarities, require_matplotlib
from .inputs import Inputs, read_inputs
from .systems import System, places_of, systems_of
from .tables import SPLIT_NAMES, TASK_NAMES, accuracy_tables, every_run, markdown_table, training_table


__all__ = ["ReportOptions", "write_report"]

_OTHER_SETTINGS = set(SETTINGS) - set(DEFAULT_SETTINGS)
_NO_DATA = "left out: it needs the benchmark's rows. Give their folder, --data-dir."
_NO_EVALUATION = "left out: no results of 'audiobert evaluate --out' were given."


@dataclass(frozen=True)
class ReportOptions:
    """What a report takes beside results.

    Attributes:
        data_dir (`Path`, *optional*): the folder with AuditoryBench's CSV files, or an exported one.
        bank (`Path`, *optional*): the audio bank whose clips were heard; by default the one in the model's folder.
        audio_dir (`Path`, *optional*): the folder of its clips, where the bank does not hold them.
        shown (`int`): rows on the page for each way in which hearing changed an answer.
    """

    data_dir: Path | None = None
    bank: Path | None = None
    audio_dir: Path | None = None
    shown: int = 8


@dataclass
class _Report:
    """A report on its way.

    Attributes:
        folder (`Path`): where its files are written.
        options (`ReportOptions`), inputs (`Inputs`), systems (`list[System]`): what it is made from.
        sections (`list[tuple[str, str]]`): heading and Markdown.
        facts (`dict`): the numbers, for `report.json`.
        left_out (`dict[str, str]`): heading → why there is no such section.
    """

    folder: Path
    options: ReportOptions
    inputs: Inputs
    systems: list[System]
    sections: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, heading: str, text: str) -> None:
        self.sections.append((heading, text))

    def leave_out(self, heading: str, reason: str) -> None:
        self.left_out[heading] = reason
        self.add(heading, f"*{reason[0].upper()}{reason[1:]}*")


def write_report(sources: Sequence[str], out: str | Path, options: ReportOptions | None = None) -> dict[str, Any]:
    """Write `report.md`, its plots, `report.json`, and `hearing.html`: rows that hearing changed, to listen to.

    Parts whose inputs are missing are left out, and the report says which and why.

    Args:
        sources: results files and folders of trainings, see [`read_inputs`].
        out (`str` or `Path`): the folder; what stands there under other names stays.
        options (`ReportOptions`, *optional*): where rows, clips and sounds are.

    Returns:
        `dict`: what `report.json` holds: `accuracy`, `comparisons`, `by_frequency`, `by_similarity`,
        `changed_answers`, `trainings`, and `left_out`, heading → reason; and `files`, the names of what was written.

    Raises:
        AudioBertInputError: a source cannot be used, results are of another version or of different rows, matplotlib
            is missing, or the folder cannot be written.
    """
    options = options or ReportOptions()
    if options.shown < 1:
        raise AudioBertInputError(f"{options.shown} rows cannot be shown; give 1 or more.")
    for folder, name in ((options.data_dir, "data-dir"), (options.audio_dir, "audio-dir")):
        if folder is not None and not folder.is_dir():
            raise AudioBertInputError(f"--{name} '{folder}' is not a folder.")
    require_matplotlib()
    inputs = read_inputs(sources)
    systems = systems_of(inputs.evaluations)
    with staged_folder(out) as stage:
        report = _Report(stage, options, inputs, systems)
        for part in (_accuracy, _comparisons, _detectors, _frequencies, _similarities, _changed, _trainings, _runs):
            part(report)
        (stage / "report.md").write_text(_markdown(report), encoding="utf-8")
        written = {**report.facts, "left_out": report.left_out}
        (stage / "report.json").write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        files = sorted(path.name for path in stage.iterdir())
    return {**written, "files": files}


def _markdown(report: _Report) -> str:
    parts = ["# Report", "Written by `audiobert report`."]
    for heading, text in report.sections:
        parts += [f"## {heading}", text]
    return "\n\n".join(parts) + "\n"


def _accuracy(report: _Report) -> None:
    heading = "Accuracy (Table III)"
    if not report.systems:
        report.leave_out(heading, _NO_EVALUATION)
        return
    report.add(heading, accuracy_tables(report.systems))
    report.facts["accuracy"] = [
        {"name": system.name, "hearing": system.hearing, "protocol": system.protocol, "split": split, "task": task}
        | system.score(split, task)
        for system in report.systems
        for split, task in places_of([system])
    ]


def _runs(report: _Report) -> None:
    if report.systems:
        report.add("Every run", every_run(report.systems))


def _comparisons(report: _Report) -> None:
    heading = "Does hearing matter?"
    compared = compare_systems(report.systems)
    if not compared:
        report.leave_out(
            heading, "left out: it needs a model evaluated with hearing on, and another on the same rows."
        )
        return
    text = (
        "Paired bootstrap over rows, two-sided; with several runs a row counts by the share of them that is right, so "
        "that what differs between runs is in the mean, not in the interval."
    )
    report.facts["comparisons"] = compared
    report.add(heading, f"{text}\n\n{comparison_table(compared)}")


def _detectors(report: _Report) -> None:
    heading = "Span detection (Table II)"
    if not report.inputs.detector_tables:
        report.leave_out(heading, "left out: no results of 'audiobert evaluate detector --out' were given.")
        return
    # Their own headings stand one level below this one.
    report.add(heading, "\n".join(table_text(table) for table in report.inputs.detector_tables).strip())


def _frequencies(report: _Report) -> None:
    heading = "Accuracy by how often the answer is in the train split"
    measured = [split for split, task in places_of(report.systems) if task == ANIMAL]
    if not measured:
        reason = "left out: no animal rows were evaluated." if report.systems else _NO_EVALUATION
        report.leave_out(heading, reason)
        return
    if not _has_data(report, heading):
        return
    try:
        train = load_auditorybench(ANIMAL, "train", report.options.data_dir)["answer"][:]
    except AudioBertInputError as error:
        report.leave_out(heading, f"left out: {error}")
        return
    parts = ["Animal rows; each counts once, over runs. Intervals: 95 % Wilson over rows."]
    for split in measured:
        lines = {
            system.title: by_frequency(outcomes, train)
            for system in report.systems
            # As in use: other settings of hearing would crowd the plot.
            if system.hearing not in _OTHER_SETTINGS and (outcomes := system.outcomes(split, ANIMAL))
        }
        report.facts.setdefault("by_frequency", {})[split] = _bins_as_json(lines)
        draw_frequencies(report.folder / f"frequency_{split}.png", lines)
        parts.append(f"![accuracy by answer frequency, {SPLIT_NAMES[split]}](frequency_{split}.png)")
        parts.append(_bins_table(lines, "train rows", frequency_label))
    report.add(heading, "\n\n".join(parts))


def _similarities(report: _Report) -> None:
    heading = "Accuracy by the similarity of what was heard"
    pairs = _hearing_pairs(report.systems)
    if not pairs:
        report.leave_out(heading, "left out: no model was evaluated with hearing on.")
        return
    parts = [
        "Rows that heard a clip, in groups of equal size by the similarity of the nearest one; beside them the same "
        "rows with hearing off. Each row counts once, over runs; intervals: 95 % Wilson over rows."
    ]
    for split in dict.fromkeys(split for split, _ in places_of([pair[1] for pair in pairs])):
        panels = _similarity_panels(pairs, split)
        if not panels:
            parts.append(f"*{SPLIT_NAMES[split]}: no row heard a clip.*")
            continue
        report.facts.setdefault("by_similarity", {})[split] = {
            task: _bins_as_json(lines) for task, lines in panels.items()
        }
        draw_similarities(report.folder / f"similarity_{split}.png", panels)
        parts.append(f"![accuracy by similarity, {SPLIT_NAMES[split]}](similarity_{split}.png)")
        for task, lines in panels.items():
            for pair in pairs:
                of_pair = {system.title: lines[system.title] for system in reversed(pair) if system.title in lines}
                if of_pair:
                    parts.append(f"{SPLIT_NAMES[split]}, {task}:")
                    parts.append(_bins_table(of_pair, "similarity", _similarity_label))
    report.add(heading, "\n\n".join(parts))


def _similarity_panels(pairs: Sequence[tuple[System, System]], split: str) -> dict[str, dict[str, list[Bin]]]:
    panels: dict[str, dict[str, list[Bin]]] = {}
    for task in tasks_of(COMBINED):
        lines = {}
        for off, on in pairs:
            heard = on.outcomes(split, task)
            similarities = {row.row["id"]: row.similarity for row in heard if row.similarities}
            for system, outcomes in ((on, heard), (off, off.outcomes(split, task))):
                if bins := by_similarity(outcomes, similarities):
                    lines[system.title] = bins
        if lines:
            panels[TASK_NAMES[task]] = lines
    return panels


def _changed(report: _Report) -> None:
    heading = "Where hearing changed the answer"
    pairs = _hearing_pairs(report.systems)
    if not pairs:
        report.leave_out(heading, "left out: no model was evaluated with hearing on and off.")
        return
    if not _has_data(report, heading):
        return
    pages = []
    for number, (off, on) in enumerate(pairs):
        model = next(iter(on.runs))
        sentences = _sentences(report, on, model)
        sounds = clips_of_model(model, report.options.bank, report.options.audio_dir)
        path = report.folder / ("hearing.html" if number == 0 else f"hearing_{number + 1}.html")
        page = write_page(path, model, changed_rows(off, on, model), sentences, sounds, report.options.shown)
        pages.append(page | {"file": path.name, "bank": sounds is not None})
    report.facts["changed_answers"] = pages
    report.add(heading, "\n\n".join(_changed_text(page) for page in pages))


def _changed_text(page: dict[str, Any]) -> str:
    head = ["rows", "right with hearing only", "right without hearing only", "wrong either way, otherwise"]
    lines = [
        [f"{count['task']} {count['split']}", str(count["better"]), str(count["worse"]), str(count["other"])]
        for count in page["counts"]
    ]
    bank = "" if page["bank"] else " The audio bank was not at hand (--bank): clips are named, not played."
    return f"`{page['model']}`: [rows to listen to]({page['file']}).{bank}\n\n{markdown_table(head, lines)}"


def _trainings(report: _Report) -> None:
    heading = "Trainings and their learning curves"
    if not report.inputs.runs:
        report.leave_out(heading, "left out: no folder of a training was given.")
        return
    parts = [training_table(report.inputs.runs)]
    drawn = [run for run in report.inputs.runs if run.loss or run.evaluation_loss]
    if drawn:
        draw_learning_curves(report.folder / "learning_curves.png", drawn)
        parts.append("![learning curves](learning_curves.png)")
    missing = [str(run.folder) for run in report.inputs.runs if run not in drawn]
    if missing:
        parts.append(f"*No curve, since no checkpoint was kept: {', '.join(missing)}.*")
    report.facts["trainings"] = [
        {"name": run.name, "folder": str(run.folder), "kind": run.kind, "loss": run.loss} for run in report.inputs.runs
    ]
    report.add(heading, "\n\n".join(parts))


def _has_data(report: _Report, heading: str) -> bool:
    """Whether the benchmark's rows are at hand; the part is left out if not."""
    if report.options.data_dir is None:
        report.leave_out(heading, _NO_DATA)
    return report.options.data_dir is not None


def _hearing_pairs(systems: Sequence[System]) -> list[tuple[System, System]]:
    """Return (hearing off, hearing on) of each model that was measured with both."""
    found = {(system.name, system.protocol, system.hearing): system for system in systems}
    return [
        (found[name, protocol, "off"], system)
        for (name, protocol, hearing), system in found.items()
        if hearing == "on" and (name, protocol, "off") in found
    ]


def _sentences(report: _Report, on: System, model: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the benchmark's rows that a run answered.

    Raises:
        AudioBertInputError: the folder holds other rows than those.
    """
    predictions = on.predictions[model]
    wanted = {(split, entry["task"]) for (split, _), entry in predictions.items()}
    rows = {}
    for split, task in sorted(wanted, key=lambda place: (SPLITS.index(place[0]), place[1])):
        for row in load_auditorybench(task, split, report.options.data_dir).to_list():
            rows[split, row["id"]] = row
    for place, entry in predictions.items():
        if place not in rows or rows[place]["answer"] != entry["answer"]:
            raise AudioBertInputError(
                f"'{report.options.data_dir}' holds other rows than '{model}' was measured on: row "
                f"'{entry['id']}' is not the same. Give the folder that it was evaluated with, --data-dir."
            )
    return rows


def _bins_as_json(lines: dict[str, list[Bin]]) -> dict[str, list[dict[str, Any]]]:
    return {
        title: [
            {
                "low": group.low,
                "high": None if group.high == float("inf") else group.high,
                "rows": group.rows,
                "accuracy": group.accuracy,
                "interval": list(group.interval),
            }
            for group in bins
        ]
        for title, bins in lines.items()
    }


def _bins_table(lines: dict[str, list[Bin]], what: str, label: Callable[[Bin], str]) -> str:
    groups = {label(group): group.rows for bins in lines.values() for group in bins}
    cells = {title: {label(group): _bin_cell(group) for group in bins} for title, bins in lines.items()}
    rows = [[name, f"{count:,}", *(cells[title].get(name, "") for title in lines)] for name, count in groups.items()]
    return markdown_table([what, "rows", *lines], rows)


def _similarity_label(group: Bin) -> str:
    return f"{group.low:.3f} to {group.high:.3f}"


def _bin_cell(group: Bin) -> str:
    low, high = group.interval
    return f"{100 * group.accuracy:.1f} ({100 * low:.1f} to {100 * high:.1f})"
