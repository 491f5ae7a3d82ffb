"""What hearing brings: accuracy side by side, and sentences answered with their evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, PITCH

from ..evaluation import evaluate_model
from ..prediction import fill_masks


__all__ = ["UNSEEN", "answer_sentences", "example_rows", "measure"]

HELD_OUT, UNSEEN = "held-out", "unseen"
_SPLITS = {HELD_OUT: "test", UNSEEN: "wiki"}


def measure(models: Mapping[str, str | Path], benchmark: Path) -> list[dict[str, Any]]:
    """Return each model's accuracy on the held-out and on the unseen part of the sample.

    Args:
        models (`Mapping[str, str | Path]`): by the name that they are called in the results.

    Returns:
        `list[dict]`: `model`, `part` (`"held-out"`: new sentences about names that were trained on; `"unseen"`:
        invented names that stood in no training sentence), `task`, `accuracy`, `correct`, `rows`.
    """
    results = []
    for name, model in models.items():
        for part, split in _SPLITS.items():
            for result in evaluate_model(str(model), benchmark, split=split)["results"]:
                if result["hearing"] != "off":  # with hearing off, an AudioBERT is its language model
                    counts = {key: result[key] for key in ("task", "accuracy", "correct", "rows")}
                    results.append({"model": name, "part": part, **counts})
    return results


def example_rows(benchmark: Path) -> list[dict[str, Any]]:
    """Return three rows, the first of their kind: a known call, an invented call, and two invented instruments."""
    rows = []
    for task, part in ((ANIMAL, HELD_OUT), (ANIMAL, UNSEEN), (PITCH, UNSEEN)):
        row = load_auditorybench(task, _SPLITS[part], benchmark)[0]
        rows.append({"text": row["sentence"], "answer": row["answer"], "part": part})
    return rows


def answer_sentences(model: Path, benchmark: Path) -> list[dict[str, Any]]:
    """Return the example rows, answered.

    Returns:
        `list[dict]`: what [`AudioFillMaskPipeline`] returns for each, and `text`, `answer` (the right one), `part`.
    """
    asked = example_rows(benchmark)
    answers = fill_masks(str(model), [one["text"] for one in asked], 5)
    return [{**answer, **one} for answer, one in zip(answers, asked, strict=True)]
