"""What a report is made from: results of evaluations, of span detectors, and folders of trainings."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.detector_training import TABLE_DATA_FILE
from audiobert.trainers.evaluation_results import load_results
from audiobert.trainers.training_run import METRICS_FILE

from .learning_curves import TrainingRun, read_run


__all__ = ["Evaluation", "Inputs", "read_inputs", "run_name"]

_TABLE_PARTS = {"scores", "paper", "ordinary_text"}
# How the folders of one recipe's seeds differ: "base/seed-1", "base_seed1", "base-s1".
_SEED = re.compile(r"(?:^seed|[-_.]seed|[-_.]s)[-_]?\d+$")


@dataclass(frozen=True)
class Evaluation:
    """One results file.

    Attributes:
        path (`Path`): the file.
        name (`str`): what the model is called; runs of several seeds share it.
        results (`dict`): as of [`load_results`].
    """

    path: Path
    name: str
    results: dict[str, Any]


@dataclass
class Inputs:
    """Everything that was given, sorted by what it is; the tables as of [`table_of`]."""

    evaluations: list[Evaluation] = field(default_factory=list)
    detector_tables: list[dict[str, Any]] = field(default_factory=list)
    runs: list[TrainingRun] = field(default_factory=list)


def read_inputs(sources: Sequence[str]) -> Inputs:
    """Read and sort what a report is to be made from.

    Args:
        sources: files that `audiobert evaluate --out` or `audiobert evaluate detector --out` wrote, and folders of
            trainings, also with `seed-<n>` folders in them; a detector's brings its Table II. `NAME=PATH` calls it
            NAME; what is called the same counts as runs of several seeds. Without a name, it is taken from the
            model's path, the seed left out.

    Raises:
        AudioBertInputError: there is no such file or folder, or it is neither.
    """
    if not sources:
        raise AudioBertInputError("there is nothing to report on: give results files of 'audiobert evaluate --out'.")
    inputs, named = Inputs(), []
    for source in sources:
        name, path = _named(source)
        if path.is_dir():
            inputs.runs += [read_run(folder, name or run_name(folder)) for folder in _run_folders(path)]
        table = _detector_table(path / TABLE_DATA_FILE if path.is_dir() else path)
        if table is not None:
            inputs.detector_tables.append(table)
        elif not path.is_dir():
            named.append((name, path, load_results(path)))
    names = _short_names([run_name(results["model"], whole=True) for name, _, results in named if name is None])
    for name, path, results in named:
        inputs.evaluations.append(Evaluation(path, name or names[run_name(results["model"], whole=True)], results))
    return inputs


def run_name(path: str | Path, whole: bool = False) -> str:
    """Return the part of a model's or run's path that all its seeds share: its last folder, or the whole of it."""
    parts = str(path).rstrip("/").split("/")
    last = _SEED.sub("", parts[-1])
    parts = [*parts[:-1], last] if last or len(parts) == 1 else parts[:-1]
    return "/".join(parts) if whole else parts[-1]


def _named(source: str) -> tuple[str | None, Path]:
    name, separator, path = str(source).partition("=")
    if separator and not Path(source).exists():
        return name, Path(path)
    return None, Path(source)


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return path → its last folder, or as much of it as tells it from the others."""
    short = {}
    for name in set(names):
        parts = name.split("/")
        for length in range(1, len(parts) + 1):
            short[name] = "/".join(parts[-length:])
            if not any(other != name and f"/{other}".endswith(f"/{short[name]}") for other in names):
                break
    return short


def _run_folders(folder: Path) -> list[Path]:
    if (folder / METRICS_FILE).is_file():
        return [folder]
    seeds = sorted((path.parent for path in folder.glob(f"seed-*/{METRICS_FILE}")), key=lambda path: path.name)
    if not seeds:
        raise AudioBertInputError(
            f"'{folder}' is not the folder of a training that has ended: it holds no {METRICS_FILE}, nor seed-<n> "
            f"folders with one. Give results files, or finish the training."
        )
    return seeds


def _detector_table(path: Path) -> dict[str, Any] | None:
    """Return the Table II of a file; None for what is no such file, which its reader then tells."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    table = content.get("table", content) if isinstance(content, dict) else None
    return table if isinstance(table, dict) and set(table) >= _TABLE_PARTS else None
