"""The report's tables, as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED, PINNED, PITCH
from audiobert.trainers.hearing_settings import SETTINGS

from .learning_curves import TrainingRun
from .paper_figures import PAPER_ACCURACIES, PAPER_PROTOCOL
from .systems import System, places_of


__all__ = [
    "SPLIT_NAMES",
    "TASK_NAMES",
    "accuracy_tables",
    "every_run",
    "is_published",
    "markdown_table",
    "training_table",
]

TASK_NAMES = {ANIMAL: "animal", PITCH: "pitch", COMBINED: "combined"}
SPLIT_NAMES = {"train": "train", "validation": "dev", "test": "test", "wiki": "wiki"}


def accuracy_tables(systems: Sequence[System]) -> str:
    """Return Table III, one a protocol: the published figures where theirs was the same, then what was measured."""
    parts = []
    for protocol in dict.fromkeys(system.protocol for system in systems):
        measured = [system for system in systems if system.protocol == protocol]
        places = places_of(measured)
        lines = _published(places) if protocol == PAPER_PROTOCOL and is_published(measured) else []
        lines += [[system.title, *(_cell(system.score(*place)) for place in places)] for system in measured]
        head = ["", *(f"{TASK_NAMES[task]} {SPLIT_NAMES[split]}" for split, task in places)]
        parts.append(f"Protocol: {protocol}.\n\n{markdown_table(head, lines)}")
    return "\n\n".join(parts) + "\n\n" + _notes(systems)


def is_published(systems: Sequence[System]) -> bool:
    """Whether as many rows were asked, in each split and task, as were published in AuditoryBench.

    Rows of the train split without exactly one gap, which are not asked, make it smaller; it is not looked at.
    """
    sizes = {
        (split, task): system.entries(split, task)[0]["rows"]
        for system in systems
        for split, task in places_of([system])
        if split != "train" and task != COMBINED
    }
    return bool(sizes) and all(PINNED[task, split].num_rows == rows for (split, task), rows in sizes.items())


def every_run(systems: Sequence[System]) -> str:
    """Return each figure by itself, with its interval and F1."""
    lines = []
    for system in systems:
        for split, task in places_of([system]):
            for model, run in system.runs.items():
                entry = run.get((split, task))
                if entry is not None:
                    lines.append([system.title, f"`{model}`", TASK_NAMES[task], SPLIT_NAMES[split], *_numbers(entry)])
    head = ["", "model", "task", "split", "right", "accuracy", "95 % interval", "F1 weighted", "F1 macro"]
    return markdown_table(head, lines, numbers_from=4)


def training_table(runs: Iterable[TrainingRun]) -> str:
    """Return what the trainings say of themselves."""
    lines = []
    for run in runs:
        facts = [run.metrics.get(name, "not recorded") for name in ("seed", "steps", "seconds_since_start_or_resume")]
        last = f"{run.loss[-1][1]:.4f}" if run.loss else "not kept"
        lines.append([run.name, run.kind, *map(str, facts), last, run.metrics.get("hardware", "not recorded")])
    head = ["", "kind", "seed", "steps", "seconds", "last loss", "hardware"]
    return markdown_table(head, lines, numbers_from=2)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]], numbers_from: int = 1) -> str:
    """Return a table whose columns from `numbers_from` on stand to the right."""
    marks = ["---" if column < numbers_from else "--:" for column in range(len(head))]
    rows = [head, *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    rows.insert(1, marks)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _published(places: Sequence[tuple[str, str]]) -> list[list[str]]:
    lines = []
    for number, published in enumerate(PAPER_ACCURACIES, start=1):
        figures = [published.figures.get((task, split)) for split, task in places]
        if any(figure is not None for figure in figures):
            cells = ["" if figure is None else f"{figure:.2f}" for figure in figures]
            lines.append([f"*published: {published.name}* ({_mark(number)})", *cells])
    return lines


def _mark(number: int) -> str:
    sources = list(dict.fromkeys(published.source for published in PAPER_ACCURACIES))
    return chr(ord("a") + sources.index(PAPER_ACCURACIES[number - 1].source))


def _notes(systems: Sequence[System]) -> str:
    lines = ["Accuracy in per cent; combined is over the rows of both tasks. Empty: not measured, or not known to us."]
    most = max(len(system.runs) for system in systems)
    if most > 1:
        lines.append("± is the standard deviation over runs (sample); figures without it are of one run.")
    else:
        lines.append("One run each, so there is no deviation: give the results of several seeds for mean ± deviation.")
    settings = dict.fromkeys(system.hearing for system in systems if SETTINGS.get(system.hearing))
    if len(settings) > 1:
        lines.append(f"Hearing: {'; '.join(f'{name} is {_setting_words(*SETTINGS[name])}' for name in settings)}.")
    if not is_published(systems):
        lines.append("These are not the published rows of AuditoryBench, so no published figure stands beside them.")
    elif any(system.protocol == PAPER_PROTOCOL for system in systems):
        sources = dict.fromkeys(published.source for published in PAPER_ACCURACIES)
        named = "; ".join(f"({chr(ord('a') + place)}) {source}" for place, source in enumerate(sources))
        lines.append(f"Published figures: {named}.")
    return "\n".join(f"- {line}" for line in lines)


def _setting_words(spans: str, clips: str) -> str:
    what = {"retrieved": "the clip that was retrieved", "random": "a random clip", "oracle": "one of the right label"}
    return f"{what[clips]}, for the {spans} spans"


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    deviation = "" if score["deviation"] is None else f" ± {score['deviation']:.2f}"
    return f"{score['mean']:.2f}{deviation}"


def _numbers(entry: dict[str, Any]) -> list[str]:
    low, high = (100 * entry["interval"][end] for end in ("low", "high"))
    return [
        f"{entry['correct']:,} of {entry['rows']:,}",
        f"{100 * entry['accuracy']:.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{100 * entry['f1']['weighted']:.2f}",
        f"{100 * entry['f1']['macro']:.2f}",
    ]
