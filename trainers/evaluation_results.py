"""The results file of an evaluation: accuracies with intervals, F1, and the prediction for every row."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from audiobert.dataset_scripts.auditorybench.sources import COMBINED
from audiobert.metrics.auditorybench.auditorybench import score
from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = [
    "FORMAT",
    "RowPrediction",
    "check_results_path",
    "load_results",
    "save_results",
    "summaries_by_seen",
    "summary",
]

FORMAT = 2
_KIND = "evaluation"
_CONFIDENCE = 0.95
_FIELDS = {
    "model": str,
    "model_type": str,
    "protocol": str,
    "splits": list,
    "seed": int,
    "versions": dict,
    "data_sha256": dict,
    "left_out": list,
    "results": list,
    "predictions": list,
}
_RESULT_FIELDS = ("split", "task", "hearing", "accuracy", "correct", "rows", "f1", "interval")


@dataclass(frozen=True)
class RowPrediction:
    """What a model answered to one row, under one setting of hearing.

    Args:
        id (`str`), split (`str`), task (`str`): of the row.
        hearing (`str`, *optional*): the setting; None for a model that cannot hear.
        predicted (`str`): the answer given.
        answer (`str`): the right one.
        correct (`bool`): whether they are the same under the protocol (word pieces, not letters, decide).
        similarity (`float`, *optional*): of the row's nearest retrieved clip, cosine; None where none was retrieved.
        clips (`list[str]`): published ids of the clips heard, span after span.
        right_label (`bool`, *optional*):
            Whether all of them are of the right label, as [`ClipChoice`] defines it; None where nothing was heard.
        seen (`bool`, *optional*):
            Whether the training text names the row's sounds, as [`SeenSpans`] defines it; None where it was not asked.
    """

    id: str
    split: str
    task: str
    hearing: str | None
    predicted: str
    answer: str
    correct: bool
    similarity: float | None = None
    clips: list[str] = field(default_factory=list)
    right_label: bool | None = None
    seen: bool | None = None


def summary(task: str, predictions: Sequence[RowPrediction]) -> dict[str, Any]:
    """Return one entry of the `results` of a file.

    Args:
        task (`str`): a task, or `"combined"` for the rows of both.
        predictions: of one split and one setting of hearing, at least one of them of this task.

    Returns:
        `dict`: **split**, **task**, **hearing**; **accuracy** (0 to 1), **correct**, **rows**; **interval**: `low`
        and `high` of the accuracy's 95 % Wilson score interval; **f1**: `macro` and `weighted` F1 with each answer,
        given or right, as a class (macro: averaged evenly; weighted: by the rows of the right answer), as the metric
        `auditorybench` counts it; **heard**: rows that heard a clip; **right_label**: those of them that heard only
        clips of the right label.
    """
    counted = [prediction for prediction in predictions if task in (COMBINED, prediction.task)]
    correct = sum(prediction.correct for prediction in counted)
    interval = binomtest(correct, len(counted)).proportion_ci(_CONFIDENCE, method="wilson")
    scores = score(list(map(_answer_class, counted)), [prediction.answer for prediction in counted])
    return {
        "split": counted[0].split,
        "task": task,
        "hearing": counted[0].hearing,
        "accuracy": correct / len(counted),
        "correct": correct,
        "rows": len(counted),
        "interval": {
            "method": "wilson",
            "confidence": _CONFIDENCE,
            "low": float(interval.low),
            "high": float(interval.high),
        },
        "f1": {"macro": scores["macro_f1"], "weighted": scores["weighted_f1"]},
        "heard": sum(bool(prediction.clips) for prediction in counted),
        "right_label": sum(bool(prediction.right_label) for prediction in counted),
    }


def summaries_by_seen(task: str, predictions: Sequence[RowPrediction]) -> list[dict[str, Any]]:
    """Return a summary with its **part** (`"seen"`, `"unseen"`) for each part that has rows of this task."""
    return [
        {**summary(task, chosen), "part": part}
        for part, wanted in (("seen", True), ("unseen", False))
        if (chosen := [one for one in predictions if one.seen is wanted and task in (COMBINED, one.task)])
    ]


def check_results_path(path: str | Path) -> None:
    """Check that a results file can be written, before the model runs for nothing.

    Raises:
        AudioBertInputError: a folder has this name, a part of the path is a file, or its folder may not be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioBertInputError(f"cannot write '{path}': it is a folder. Give the name of a file.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        reason = "you may not write there" if folder.is_dir() else f"'{folder}' is a file"
        raise AudioBertInputError(f"cannot write '{path}': {reason}. Choose another place.")


def save_results(results: dict[str, Any], path: str | Path) -> None:
    """Write results as JSON, a prediction a line.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    text = json.dumps({**results, "predictions": []} if "predictions" in results else results, **_LAYOUT)
    if results.get("predictions"):
        lines = (json.dumps(prediction, ensure_ascii=False) for prediction in results["predictions"])
        before, _, after = text.rpartition('"predictions": []')
        text = f'{before}"predictions": [\n    ' + ",\n    ".join(lines) + f"\n  ]{after}"
    with staged_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


_LAYOUT = {"indent": 2, "ensure_ascii": False}


def load_results(path: str | Path) -> dict[str, Any]:
    """Return what `audiobert evaluate --out` saved, for its fields see [`evaluate_model`].

    Raises:
        AudioBertInputError: the file cannot be read, is no results file or one of another version, or its numbers
            contradict its predictions.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AudioBertInputError(
            f"cannot read '{path}': {error.strerror}. Give a file of 'evaluate --out'."
        ) from error
    except ValueError as error:
        raise AudioBertInputError(f"'{path}' is not JSON ({error}). Run the evaluation again.") from error
    if not isinstance(results, dict) or results.get("kind") != _KIND:
        raise AudioBertInputError(f"'{path}' is not a results file. Give one that 'audiobert evaluate --out' wrote.")
    version = results.get("format", 1)
    if version != FORMAT:
        raise AudioBertInputError(
            f"'{path}' is a results file of format {version}; this version of audiobert reads format {FORMAT}. "
            f"{'Update audiobert.' if isinstance(version, int) and version > FORMAT else 'Run the evaluation again.'}"
        )
    _check_fields(path, results)
    _check_numbers(path, results)
    return results


def file_results(facts: dict[str, Any], summaries: list[dict], predictions: Iterable[RowPrediction]) -> dict[str, Any]:
    """Return the content of a results file."""
    entries = [asdict(prediction) for prediction in predictions]
    return {"format": FORMAT, "kind": _KIND, **facts, "results": summaries, "predictions": entries}


def _answer_class(prediction: RowPrediction) -> str:
    if prediction.correct:
        return prediction.answer
    # Other word pieces can spell the same letters; that is still another answer.
    same = " ".join(prediction.predicted.casefold().split()) == " ".join(prediction.answer.casefold().split())
    return f"{prediction.predicted} (in other word pieces)" if same else prediction.predicted


def _check_fields(path: str | Path, results: dict[str, Any]) -> None:
    wrong = [name for name, kind in _FIELDS.items() if not isinstance(results.get(name), kind)]
    for number, result in enumerate(results["results"] if "results" not in wrong else []):
        wrong += [f"results[{number}].{name}" for name in _RESULT_FIELDS if name not in result]
    wanted = set(RowPrediction.__dataclass_fields__) - {"right_label", "seen"}
    for number, entry in enumerate(results["predictions"] if "predictions" not in wrong else []):
        wrong += [f"predictions[{number}].{name}" for name in sorted(wanted - set(entry))]
    if wrong:
        raise AudioBertInputError(
            f"'{path}' is damaged: {wrong[0]} is missing or of another type. Run the evaluation again."
        )


def _check_numbers(path: str | Path, results: dict[str, Any]) -> None:
    counts: dict[tuple, list[int]] = {}
    seen = set()
    for entry in results["predictions"]:
        place = (entry["split"], entry["id"], entry["hearing"])
        if place in seen:
            raise AudioBertInputError(f"'{path}' is damaged: it has two predictions for row '{entry['id']}'.")
        seen.add(place)
        for task in (entry["task"], COMBINED):
            rows, right = counts.get((entry["split"], task, entry["hearing"]), (0, 0))
            counts[entry["split"], task, entry["hearing"]] = (rows + 1, right + bool(entry["correct"]))
    for result in results["results"]:
        stated = (result["rows"], result["correct"])
        found = counts.get((result["split"], result["task"], result["hearing"]), (0, 0))
        if stated != found:
            raise AudioBertInputError(
                f"'{path}' is damaged: {result['task']} on {result['split']} states {stated[1]} of {stated[0]} rows "
                f"right, its predictions are {found[1]} of {found[0]}. Run the evaluation again."
            )
