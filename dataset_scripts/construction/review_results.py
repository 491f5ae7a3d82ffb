"""What annotators found (arXiv 2409.08199, Table IV): accuracy, fluency, agreement, and rows to drop."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from audiobert.dataset_scripts.auditorybench.csv_table import CsvTable, parse_csv
from audiobert.dataset_scripts.auditorybench.sources import read_source
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .jsonl import read_jsonl
from .review_draw import ITEMS_FILE


__all__ = ["ReviewReport", "TaskReview", "judge_review", "read_sheets", "review_table"]

_NEEDED = ("id", "annotator", "accuracy", "fluency")
_LOWEST = {"accuracy": 0.0, "fluency": 1.0}
_HIGHEST = {"accuracy": 100.0, "fluency": 3.0}
_LEVELS = {"accuracy": "interval", "fluency": "ordinal"}


@dataclass(frozen=True)
class TaskReview:
    """One line of Table IV.

    Attributes:
        task (`str`): which rows.
        items (`int`): that at least one annotator rated.
        unrated (`list[str]`): ids of the others.
        annotators (`dict[str, dict]`): name → the means of their ratings, and how many items they rated.
        accuracy (`float`, *optional*): mean of all ratings, 0 to 100.
        fluency (`float`, *optional*): mean of all ratings, 1 to 3.
        accuracy_alpha, fluency_alpha (`float`, *optional*):
            Krippendorff's alpha (interval; ordinal): 1 is full agreement, 0 that of chance. None where it is not
            defined: fewer than two annotators rated the same items, or all ratings are equal.
    """

    task: str
    items: int
    unrated: list[str]
    annotators: dict[str, dict]
    accuracy: float | None
    fluency: float | None
    accuracy_alpha: float | None
    fluency_alpha: float | None


@dataclass(frozen=True)
class ReviewReport:
    """All findings.

    Attributes:
        tasks (`list[TaskReview]`): one a task.
        drop (`list[dict]`): rows to drop: `id`, `task`, `accuracy`, `fluency` (means of their ratings), `reason`.
    """

    tasks: list[TaskReview]
    drop: list[dict]

    def to_dict(self) -> dict:
        """Return everything as JSON types."""
        return {"tasks": [asdict(task) for task in self.tasks], "drop": self.drop}


Ratings = Mapping[tuple[str, str], Mapping[str, float | None]]


def read_sheets(folder: str | Path, sheets: Sequence[str | Path] = ()) -> tuple[list[dict], dict]:
    """Return the items of a review, and every rating.

    Args:
        folder (`str` or `Path`): what `write_review` wrote.
        sheets (`Sequence`, *optional*): CSV files that annotators filled in; by default the folder's `sheet-*.csv`.

    Returns:
        the items, and (annotator, item id) → `{"accuracy", "fluency"}`, None where a cell was left blank.

    Raises:
        AudioBertInputError: a sheet lacks a column, a value is out of range or no number, an id is unknown, an
            annotator is missing or rates an item twice, or a sheet has no rating at all; the row is named.
    """
    items = read_jsonl(Path(folder) / ITEMS_FILE, ("id", "task"))
    known = {item["id"] for item in items}
    files = list(sheets) or sorted(Path(folder).glob("sheet-*.csv"))
    if not files:
        raise AudioBertInputError(f"'{folder}' holds no sheet-*.csv. Give the sheets that were filled in.")
    ratings: dict[tuple[str, str], dict] = {}
    places: dict[tuple[str, str], str] = {}
    for file in files:
        table = parse_csv(read_source(file), str(file), _NEEDED)
        rated = 0
        for index in range(len(table.rows)):
            key, rating = _rating(table, index, known)
            if key in ratings:
                raise AudioBertInputError(
                    f"{table.place(index)}: '{key[0]}' rated the item '{key[1]}' already, in {places[key]}. Drop one "
                    f"of the rows."
                )
            ratings[key], places[key] = rating, table.place(index)
            rated += any(value is not None for value in rating.values())
        if not rated:
            raise AudioBertInputError(f"'{file}' has no rating in it. Fill it in, or leave it out.")
    return items, ratings


def judge_review(
    items: Sequence[dict], ratings: Ratings, min_accuracy: float = 50.0, min_fluency: float = 2.0
) -> ReviewReport:
    """Return Table IV of a review.

    Args:
        items, ratings: as `read_sheets` returns them.
        min_accuracy (`float`, *optional*, defaults to 50.0), min_fluency (`float`, *optional*, defaults to 2.0):
            Rows whose mean rating is below either are to be dropped.

    Raises:
        AudioBertInputError: the package krippendorff is not installed.
    """
    tasks, drop = [], []
    for task in dict.fromkeys(item["task"] for item in items):
        ids = [item["id"] for item in items if item["task"] == task]
        tasks.append(_task_review(task, ids, ratings))
        drop += _to_drop(task, ids, ratings, {"accuracy": min_accuracy, "fluency": min_fluency})
    return ReviewReport(tasks, drop)


def review_table(report: ReviewReport) -> str:
    """Return Table IV as Markdown."""
    lines = [
        "| task | items | annotators | accuracy (0-100) | fluency (1-3) | alpha of accuracy | alpha of fluency |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for task in report.tasks:
        numbers = [(task.accuracy, 2), (task.fluency, 2), (task.accuracy_alpha, 3), (task.fluency_alpha, 3)]
        shown = ["not defined" if value is None else f"{value:.{places}f}" for value, places in numbers]
        lines.append(f"| {task.task} | {task.items} | {len(task.annotators)} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _rating(table: CsvTable, index: int, known: set[str]) -> tuple[tuple[str, str], dict]:
    row = table.rows[index]
    annotator, item = row["annotator"].strip(), row["id"].strip()
    if not annotator:
        raise AudioBertInputError(f"{table.place(index)} names no annotator. Fill in the column 'annotator'.")
    if item not in known:
        raise AudioBertInputError(
            f"{table.place(index)}: the id '{item}' is none of this review's. Give the sheets of one review only."
        )
    return (annotator, item), {name: _value(table, index, name) for name in _LOWEST}


def _value(table: CsvTable, index: int, name: str) -> float | None:
    text = table.rows[index][name].strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    lowest, highest = _LOWEST[name], _HIGHEST[name]
    if not lowest <= value <= highest or (name == "fluency" and value != int(value)):
        whole = " a whole number" if name == "fluency" else " a number"
        raise AudioBertInputError(
            f"{table.place(index)}: '{text}' in column '{name}' is not{whole} from {lowest:g} to {highest:g}. Correct "
            f"it."
        )
    return value


def _task_review(task: str, ids: Sequence[str], ratings: Ratings) -> TaskReview:
    wanted = set(ids)
    by_annotator: dict[str, dict[str, Mapping]] = defaultdict(dict)
    for (annotator, item), rating in ratings.items():
        if item in wanted and any(value is not None for value in rating.values()):
            by_annotator[annotator][item] = rating
    rated = {item for found in by_annotator.values() for item in found}
    tables = {
        name: np.array(
            [[_or_nan(found.get(item, {}).get(name)) for item in ids] for found in by_annotator.values()], dtype=float
        ).reshape(len(by_annotator), len(ids))
        for name in _LOWEST
    }  # (num_annotators, num_items)
    return TaskReview(
        task=task,
        items=len(rated),
        unrated=[item for item in ids if item not in rated],
        annotators={
            annotator: {name: _mean(tables[name][place]) for name in _LOWEST} | {"items": len(found)}
            for place, (annotator, found) in enumerate(by_annotator.items())
        },
        accuracy=_mean(tables["accuracy"]),
        fluency=_mean(tables["fluency"]),
        accuracy_alpha=_alpha(tables["accuracy"], "accuracy"),
        fluency_alpha=_alpha(tables["fluency"], "fluency"),
    )


def _to_drop(task: str, ids: Sequence[str], ratings: Ratings, least: Mapping[str, float]) -> list[dict]:
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (_, item), rating in ratings.items():
        for name, value in rating.items():
            if value is not None:
                values[item][name].append(value)
    drop = []
    for item in ids:
        means = {name: _mean(np.array(values[item][name])) for name in least}
        low = [
            f"{name} below {least[name]:g}" for name, mean in means.items() if mean is not None and mean < least[name]
        ]
        if low:
            drop.append({"id": item, "task": task, **means, "reason": ", ".join(low)})
    return drop


def _alpha(table: np.ndarray, name: str) -> float | None:
    """Krippendorff's alpha; None where it is not defined."""
    counts = (~np.isnan(table)).sum(axis=0)
    paired = table[:, counts > 1]
    if not paired.size or len(np.unique(paired[~np.isnan(paired)])) < 2:
        return None
    try:
        import krippendorff
    except ImportError as error:
        raise AudioBertInputError(
            'agreement is computed by the package krippendorff: pip install "audiobert[construct]".'
        ) from error
    return float(krippendorff.alpha(reliability_data=table, level_of_measurement=_LEVELS[name]))


def _mean(values: np.ndarray) -> float | None:
    found = values[~np.isnan(values)]
    return float(found.mean()) if found.size else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
