"""How well a span detector finds spans (arXiv 2409.08199, Table II), and how often it finds one in ordinary text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from audiobert.dataset_scripts.auditorybench import load_auditorybench_splits
from audiobert.dataset_scripts.auditorybench.overlap import sentence_key
from audiobert.dataset_scripts.auditorybench.sources import COMBINED, TASKS
from audiobert.metrics.auditory_span.auditory_span import score

from .detector_kinds import span_probabilities
from .detector_rows import OrdinaryText, token_labels


__all__ = ["DetectorBenchmark", "choose_threshold", "false_alarms", "measure_detector"]

EVALUATION_SPLITS = ("validation", "test", "wiki")
SCORES = ("weighted_f1", "token_f1", "span_f1")
# Width of the paper's label matrix; longer rows would not fit into it.
NUM_POSITIONS = 128
THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(5, 100))


@dataclass
class DetectorBenchmark:
    """What a detector is measured on, as its kind reads it.

    Args:
        rows (`dict[str, list[dict]]`): AuditoryBench's rows of both tasks by split.
        datasets (`dict[str, Dataset]`): of these splits; and "choose", "measure", "measure with gap" of ordinary text.
        seen (`set[str]`): keys of the sentences of the published train split.
        ordinary (`OrdinaryText`, *optional*): ordinary text.
    """

    rows: dict[str, list[dict[str, Any]]]
    datasets: dict[str, Any]
    seen: set[str]
    ordinary: OrdinaryText | None = None

    @classmethod
    def prepare(
        cls,
        kind,
        tokenizer: PreTrainedTokenizerBase,
        data_dir: Path | None,
        max_length: int,
        ordinary: OrdinaryText | None,
    ) -> "DetectorBenchmark":
        """Read the rows and encode them.

        Args:
            kind (`SeparateKind` or `TrunkKind`): whose detectors are measured.
            tokenizer: the language model's.
            data_dir (`Path`, *optional*): the folder with AuditoryBench's CSV files.
            max_length (`int`): tokens of a row that are read; at most 128 count.
            ordinary (`OrdinaryText`, *optional*): to count false alarms on.
        """
        splits = load_auditorybench_splits(COMBINED, data_dir)
        rows = {split: splits[split].to_list() for split in EVALUATION_SPLITS}
        parts = dict(rows)
        if ordinary is not None:
            parts |= {
                "choose": ordinary.choose,
                "measure": ordinary.measure,
                "measure with gap": ordinary.measure_with_gap,
            }
        length = min(max_length, NUM_POSITIONS)
        datasets = {
            name: kind.dataset(token_labels(content, tokenizer, length), name) for name, content in parts.items()
        }
        return cls(rows, datasets, {sentence_key(row["sentence"]) for row in splits["train"]}, ordinary)

    def probabilities(self, model: PreTrainedModel, collator) -> dict[str, list[list[float]]]:
        """Return `span_probabilities` of a detector for each dataset."""
        return {name: span_probabilities(model, rows, collator, name) for name, rows in self.datasets.items()}

    def labels(self, split: str) -> list[list[int]]:
        """Return the right labels of a split's rows."""
        rows = self.datasets[split]
        return [rows[index]["labels"] for index in range(len(rows))]


def choose_threshold(
    validation: Sequence[Sequence[float]],
    labels: Sequence[Sequence[int]],
    ordinary: Sequence[Sequence[float]] | None,
    false_alarm_weight: float,
) -> dict[str, Any]:
    """Return the threshold, of 0.05 to 0.99 in steps of 0.01, with the most of what is wanted, and what it gives.

    Wanted is the weighted F1 on validation rows, minus `false_alarm_weight` times the share of ordinary sentences that
    are flagged. Where two are equal, the higher threshold is taken.

    Args:
        validation, ordinary: probabilities of each row's tokens.
        labels: of the validation rows.
        false_alarm_weight (`float`): 0.1 trades one point of F1 for ten points fewer sentences flagged.

    Returns:
        `dict`: `value`, `rule` (a sentence), `validation_weighted_f1`, `flagged_share` (None without ordinary text).
    """
    best: tuple[float, float, float, float | None] | None = None
    for threshold in THRESHOLDS:
        f1 = score(_flags(validation, threshold), labels, NUM_POSITIONS)["weighted_f1"]
        flagged = None if ordinary is None else _flagged_share(ordinary, threshold)
        wanted = f1 - false_alarm_weight * (flagged or 0.0)
        if best is None or (wanted, threshold) >= best[:2]:
            best = (wanted, threshold, f1, flagged)
    rule = "highest weighted F1 on validation"
    if ordinary is not None:
        rule += f" minus {false_alarm_weight} x the share of {len(ordinary)} ordinary sentences that are flagged"
    _, value, f1, flagged = best
    return {"value": value, "rule": rule, "validation_weighted_f1": f1, "flagged_share": flagged}


def measure_detector(
    benchmark: DetectorBenchmark, probabilities: dict[str, list[list[float]]], threshold: float
) -> dict[str, Any]:
    """Return the scores of a detector on each task and split, and its false alarms.

    Returns:
        `dict`: `results`, a list of `{"task", "split", "rows", "weighted_f1", "token_f1", "span_f1", "unseen"}`,
        where `unseen` has the same scores over the rows whose sentence is not in the published train split; and
        `ordinary_text`, None without such text, else as of `false_alarms` for the lines as they are and with a gap.
    """
    results = []
    for task in TASKS:
        for split, rows in benchmark.rows.items():
            chosen = [index for index, row in enumerate(rows) if task in (COMBINED, row["task"])]
            unseen = [index for index in chosen if sentence_key(rows[index]["sentence"]) not in benchmark.seen]
            flags, labels = _flags(probabilities[split], threshold), benchmark.labels(split)
            measured = _score_rows(flags, labels, chosen) | {"unseen": _score_rows(flags, labels, unseen)}
            results.append({"task": task, "split": split} | measured)
    ordinary = None
    if benchmark.ordinary is not None:
        ordinary = {
            name.replace(" ", "_"): false_alarms(probabilities[name], threshold)
            for name in ("measure", "measure with gap")
        }
    return {"results": results, "ordinary_text": ordinary}


def false_alarms(probabilities: Sequence[Sequence[float]], threshold: float) -> dict[str, Any]:
    """Return how many sentences have a token at or above the threshold: `lines`, `flagged`, `share`, and which
    (`flagged_lines`, positions from 0)."""
    flagged = [index for index, row in enumerate(probabilities) if max(row, default=-1.0) >= threshold]
    share = len(flagged) / max(len(probabilities), 1)
    return {"lines": len(probabilities), "flagged": len(flagged), "share": share, "flagged_lines": flagged}


def _score_rows(flags: list[np.ndarray], labels: list[list[int]], chosen: Sequence[int]) -> dict[str, Any]:
    if not chosen:
        return {"rows": 0} | dict.fromkeys(SCORES)
    measured = score([flags[index] for index in chosen], [labels[index] for index in chosen], NUM_POSITIONS)
    return {"rows": measured["rows"]} | {name: measured[name] for name in SCORES}


def _flags(probabilities: Sequence[Sequence[float]], threshold: float) -> list[np.ndarray]:
    return [(np.asarray(row) >= threshold).astype(int) for row in probabilities]


def _flagged_share(probabilities: Sequence[Sequence[float]], threshold: float) -> float:
    return false_alarms(probabilities, threshold)["share"]
