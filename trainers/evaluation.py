"""Accuracy of language models, AudioBERT among them, on AuditoryBench (arXiv 2409.08199, section III)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench.candidates import train_answers
from audiobert.dataset_scripts.auditorybench.seen_spans import SeenSpans, train_rows
from audiobert.dataset_scripts.auditorybench.sources import COMBINED, tasks_of
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .evaluation_results import (
    RowPrediction,
    file_results,
    load_results,
    save_results,
    summaries_by_seen,
    summary,
)
from .evaluation_rows import SplitRows, check_choice, load_split_rows
from .examinee import CANDIDATES, GIVEN, PROTOCOLS, load_examinee
from .hearing_settings import check_settings
from .masked_scoring import Answer
from .provenance import versions


__all__ = ["PROTOCOL", "EvaluationOptions", "evaluate_model", "load_results", "save_results"]

PROTOCOL = PROTOCOLS[GIVEN]


@dataclass(frozen=True)
class EvaluationOptions:
    """How a model is asked.

    Args:
        batch_size (`int`, *optional*, defaults to 32): changes the speed only.
        hearing (`Sequence[str]`, *optional*):
            For an AudioBERT, the settings of [`HearingSettings`]; on and off by default.
        seed (`int`, *optional*, defaults to 0): of everything that is drawn.
        by_seen (`bool`, *optional*, defaults to `False`):
            Also tell rows whose sounds the train split names from others, see [`SeenSpans`].
        protocol (`str`, *optional*):
            `"given"`, the default of masked language models and AudioBERT: the answer's number of word pieces is given
            away, as in the paper, see [`answer_questions`]. `"free"`: it is not, see [`answer_without_length`].
            `"candidates"`, the only one of causal language models: the answer is chosen among the train split's, see
            [`answer_by_likelihood`] and [`answer_among_candidates`].
    """

    batch_size: int = 32
    hearing: Sequence[str] | None = None
    seed: int = 0
    by_seen: bool = False
    protocol: str | None = None

    def __post_init__(self):
        if self.protocol is not None:
            check_choice("protocol", self.protocol, list(PROTOCOLS))
        if self.batch_size < 1:
            raise AudioBertInputError(f"the batch size is {self.batch_size}; give 1 or more.")
        if self.hearing is not None:
            check_settings(self.hearing)


def evaluate_model(
    name_or_path: str | Path,
    data_dir: str | Path | None = None,
    task: str = COMBINED,
    split: str | Sequence[str] = "test",
    options: EvaluationOptions | None = None,
) -> dict[str, Any]:
    """Return the accuracy of a model on a task, with hearing on and off if it is an AudioBERT.

    By default, animal task: as many mask tokens as the answer has word pieces, filled in one forward pass; right only
    if every piece is the most likely one of the vocabulary. Pitch task: the likelier of "higher" and "lower".
    Combined: over the rows of both. For other protocols, and causal language models, see [`EvaluationOptions`].

    Args:
        name_or_path (`str` or `Path`):
            Folder or Hub id of an AudioBERT, or of any masked or causal language model.
        data_dir (`str` or `Path`, *optional*):
            The folder with AuditoryBench's CSV files, or an exported one; downloaded by default.
        task (`str`, *optional*, defaults to `"combined"`): or a single task; the combined one reports all three.
        split (`str` or `Sequence[str]`, *optional*, defaults to `"test"`):
            One or several of train, validation, test and wiki; `"all"` for the last three.
        options (`EvaluationOptions`, *optional*): how the model is asked.

    Returns:
        `dict` for a JSON file, read again by [`load_results`]: **format** (2), **kind** (`"evaluation"`), **model**,
        **model_type**, **bank** (of an AudioBERT: its `clips`, and the `key_source` of their keys), **protocol**,
        **splits**, **seed**, **versions**, **data_sha256** (by split), **left_out** (rows without exactly one gap:
        split, id, number of gaps), **results**: a list of `{"split", "task",
        "hearing", "accuracy", "correct", "rows", "interval", "f1", "heard", "right_label"}`, see [`summary`], and
        **predictions**: for each setting of hearing and each row `{"id", "split", "task", "hearing", "predicted",
        "answer", "correct", "similarity", "clips", "right_label"}`, see [`RowPrediction`]. `hearing` is None for a
        model that cannot hear. With `by_seen`, each prediction has **seen**, and **results_by_seen** holds entries
        like those of `results` with their **part** (`"seen"` or `"unseen"`).

    Raises:
        AudioBertInputError: the model, the data, or an argument cannot be used, or a split has no rows.
    """
    options = options or EvaluationOptions()
    parts = load_split_rows(task, split, data_dir)
    seen = SeenSpans.load(data_dir, task).is_seen if options.by_seen else None
    examinee = load_examinee(name_or_path, options.protocol, options.hearing, options.batch_size, options.seed)
    candidates = _train_answers(parts, data_dir) if examinee.protocol == CANDIDATES else []
    predictions, summaries, by_seen = [], [], []
    for part in parts:
        for hearing, given in examinee.answers(part.asked, candidates).items():
            of_setting = [
                _prediction(part.split, hearing, *pair, seen) for pair in zip(part.asked, given, strict=True)
            ]
            predictions += of_setting
            names = [*tasks_of(task), COMBINED] if task == COMBINED else [task]
            summaries += [summary(name, of_setting) for name in names]
            by_seen += [entry for name in names for entry in summaries_by_seen(name, of_setting)]
    facts = {
        "model": str(name_or_path),
        "model_type": examinee.model_type,
        "bank": examinee.bank,
        "protocol": PROTOCOLS[examinee.protocol],
        "splits": [part.split for part in parts],
        "seed": options.seed,
        "versions": versions(),
        "data_sha256": {part.split: part.digest for part in parts},
        "left_out": [row for part in parts for row in part.left_out],
    }
    return file_results(facts, summaries, predictions) | ({"results_by_seen": by_seen} if options.by_seen else {})


def _train_answers(parts: Sequence[SplitRows], data_dir: str | Path | None) -> list[str]:
    """Return the candidates of rows without choices; none if there is no such row."""
    tasks = dict.fromkeys(row["task"] for part in parts for row in part.asked if not row["choices"])
    purpose = "for the candidates that an answer is chosen from"
    return train_answers([row for task in tasks for row in train_rows(task, data_dir, purpose)])


def _prediction(
    split: str,
    hearing: str | None,
    row: dict[str, Any],
    answer: Answer,
    seen: Callable[[dict[str, Any]], bool | None] | None,
) -> RowPrediction:
    return RowPrediction(
        id=row["id"],
        split=split,
        task=row["task"],
        hearing=hearing,
        predicted=answer.predicted,
        answer=row["answer"],
        correct=answer.correct,
        seen=None if seen is None else seen(row),
        **asdict(answer.evidence),
    )
