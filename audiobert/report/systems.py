"""The lines of a table: models and their settings of hearing, each over its runs."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from audiobert.dataset_scripts.auditorybench.sources import COMBINED, SPLITS, TASKS
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .inputs import Evaluation


__all__ = ["RowOutcome", "System", "places_of", "systems_of"]


@dataclass
class RowOutcome:
    """How a row was answered over the runs of a system.

    Attributes:
        row (`dict`): the first run's prediction.
        correct (`list[bool]`): one a run.
        similarities (`list[float]`): of the runs that heard something.
    """

    row: dict[str, Any]
    correct: list[bool] = field(default_factory=list)
    similarities: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of runs that were right."""
        return sum(self.correct) / len(self.correct)

    @property
    def similarity(self) -> float | None:
        """The mean over runs of the nearest clip's similarity; None if none heard anything."""
        return sum(self.similarities) / len(self.similarities) if self.similarities else None


@dataclass
class System:
    """A model under one setting of hearing.

    Attributes:
        name (`str`), hearing (`str`, *optional*), protocol (`str`): what it is.
        title (`str`): what it is called in tables and plots.
        runs (`dict[str, dict]`): model path → {(split, task): entry of `results`}; one path a seed.
        predictions (`dict[str, dict]`): model path → {(split, row id): entry of `predictions`}.
    """

    name: str
    hearing: str | None
    protocol: str
    title: str
    runs: dict[str, dict[tuple[str, str], dict[str, Any]]] = field(default_factory=dict)
    predictions: dict[str, dict[tuple[str, str], dict[str, Any]]] = field(default_factory=dict)

    def entries(self, split: str, task: str) -> list[dict[str, Any]]:
        """Return the entries of `results` of each run."""
        return [run[split, task] for run in self.runs.values() if (split, task) in run]

    def score(self, split: str, task: str) -> dict[str, Any] | None:
        """Return `runs`, `mean` and `deviation` (of the sample; None for one run) of the accuracy, in per cent."""
        accuracies = [100 * entry["accuracy"] for entry in self.entries(split, task)]
        if not accuracies:
            return None
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else None
        return {"runs": len(accuracies), "mean": statistics.fmean(accuracies), "deviation": deviation}

    def outcomes(self, split: str, task: str) -> list[RowOutcome]:
        """Return the rows of a split and task, each with how every run answered it."""
        outcomes: dict[str, RowOutcome] = {}
        for predictions in self.predictions.values():
            for (of_split, row_id), entry in predictions.items():
                if of_split != split or task not in (COMBINED, entry["task"]):
                    continue
                outcome = outcomes.setdefault(row_id, RowOutcome(entry))
                outcome.correct.append(entry["correct"])
                if entry["similarity"] is not None:
                    outcome.similarities.append(entry["similarity"])
        return list(outcomes.values())


def systems_of(evaluations: Sequence[Evaluation]) -> list[System]:
    """Return the systems in the order in which they were given.

    Raises:
        AudioBertInputError: two files give the same figure, or were measured on different rows.
    """
    _check_same_rows(evaluations)
    systems: dict[tuple, System] = {}
    origin: dict[tuple, Evaluation] = {}
    for evaluation in evaluations:
        for entry in evaluation.results["results"]:
            system = _system_of(systems, evaluation, entry["hearing"])
            model = _model_of(evaluation, entry["hearing"])
            place = (system.title, system.protocol, model, entry["split"], entry["task"])
            # Models beside an ablation's own may be the same for all its seeds.
            if place in origin and not (model != evaluation.results["model"] and entry in system.entries(*place[3:])):
                raise AudioBertInputError(
                    f"'{evaluation.path}' and '{origin[place].path}' both measured '{model}' on {entry['split']} "
                    f"({entry['task']}). Leave one out."
                )
            origin[place] = evaluation
            system.runs.setdefault(model, {})[entry["split"], entry["task"]] = entry
        for entry in evaluation.results["predictions"]:
            system = _system_of(systems, evaluation, entry["hearing"])
            model = _model_of(evaluation, entry["hearing"])
            system.predictions.setdefault(model, {})[entry["split"], entry["id"]] = entry
    if len({system.protocol for system in systems.values()}) > 1:
        for system in systems.values():
            system.title += f" ({system.protocol})"
    return list(systems.values())


def places_of(systems: Iterable[System]) -> list[tuple[str, str]]:
    """Return the (split, task) that anything was measured on, in the benchmark's order, tasks first."""
    found = {place for system in systems for run in system.runs.values() for place in run}
    return [(split, task) for task in TASKS for split in SPLITS if (split, task) in found]


def _system_of(systems: dict[tuple, System], evaluation: Evaluation, hearing: str | None) -> System:
    """Return the system that an entry belongs to, made where it is the first of it."""
    key = (evaluation.name, hearing, evaluation.results["protocol"])
    if hearing is None:
        title = evaluation.name
    elif hearing in evaluation.results.get("models", {}):  # a model beside the one that hears, under its own name
        title = f"{evaluation.name}, {hearing}"
    else:
        title = f"{evaluation.name}, hearing {hearing}"
    return systems.setdefault(key, System(*key, title))


def _model_of(evaluation: Evaluation, hearing: str | None) -> str:
    return evaluation.results.get("models", {}).get(hearing, evaluation.results["model"])


def _check_same_rows(evaluations: Sequence[Evaluation]) -> None:
    """Refuse files whose rows of a split and task differ: their accuracies do not compare."""
    first: dict[tuple[str, str], tuple[Evaluation, dict[str, str]]] = {}
    for evaluation in evaluations:
        rows: dict[tuple[str, str], dict[str, str]] = {}
        for entry in evaluation.results["predictions"]:
            rows.setdefault((entry["split"], entry["task"]), {})[entry["id"]] = entry["answer"]
        for (split, task), answers in rows.items():
            other, expected = first.setdefault((split, task), (evaluation, answers))
            if answers != expected:
                raise AudioBertInputError(
                    f"'{evaluation.path}' ({len(answers)} rows) and '{other.path}' ({len(expected)} rows) were "
                    f"measured on different rows of {task} in {split}, so their figures do not compare. Evaluate "
                    f"both on the same data, or report them apart."
                )
        _check_digests(evaluation, evaluations[0])


def _check_digests(evaluation: Evaluation, other: Evaluation) -> None:
    """The same ids and answers can stand in other sentences; whole splits have a digest to tell."""
    if {entry["task"] for entry in evaluation.results["results"]} != {
        entry["task"] for entry in other.results["results"]
    }:
        return
    mine, theirs = evaluation.results["data_sha256"], other.results["data_sha256"]
    for split in sorted(set(mine) & set(theirs)):
        if mine[split] != theirs[split]:
            raise AudioBertInputError(
                f"'{evaluation.path}' and '{other.path}' were measured on different sentences of {split} (their "
                f"data_sha256 differ), so their figures do not compare. Evaluate both on the same data."
            )
