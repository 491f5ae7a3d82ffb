"""Accuracy of language models, AudioBERT among them, on AuditoryBench (arXiv 2409.08199, section III)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import COMBINED, SPLITS, TASKS, tasks_of
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .evaluation_results import RowPrediction, file_results, load_results, save_results, summary
from .masked_questions import longest_input, questions_of
from .masked_scoring import Answer, answer_questions
from .masked_sentences import GAP, require_mask_token, require_matching_vocabulary
from .provenance import rows_digest, versions
from .training_run import require_folder


__all__ = ["PROTOCOL", "evaluate_model", "load_results", "save_results"]

PROTOCOL = "answer length given"


@dataclass(frozen=True)
class _SplitRows:
    """The rows of one split: those that can be asked, and those without exactly one gap."""

    split: str
    asked: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    digest: str


def evaluate_model(
    name_or_path: str | Path,
    data_dir: str | Path | None = None,
    task: str = COMBINED,
    split: str | Sequence[str] = "test",
    batch_size: int = 32,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the accuracy of a model on a task, with hearing on and off if it is an AudioBERT.

    Animal task: as many mask tokens as the answer has word pieces, filled in one forward pass; right only if every
    piece is the most likely one of the vocabulary. Pitch task: the likelier of "higher" and "lower". Combined: over
    the rows of both.

    Args:
        name_or_path (`str` or `Path`): a masked language model's folder or Hub id.
        data_dir (`str` or `Path`, *optional*):
            The folder with AuditoryBench's CSV files, or an exported one; downloaded by default.
        task (`str`, *optional*, defaults to `"combined"`): or a single task; the combined one reports all three.
        split (`str` or `Sequence[str]`, *optional*, defaults to `"test"`):
            One or several of train, validation, test and wiki; `"all"` for the last three.
        batch_size (`int`, *optional*, defaults to 32): changes the speed only.
        seed (`int`, *optional*, defaults to 0): of everything that is drawn.

    Returns:
        `dict` for a JSON file, read again by [`load_results`]: **format** (2), **kind** (`"evaluation"`), **model**,
        **model_type**, **protocol**, **splits**, **seed**, **versions**, **data_sha256** (by split), **left_out**
        (rows without exactly one gap: split, id, number of gaps), **results**: a list of `{"split", "task",
        "hearing", "accuracy", "correct", "rows", "interval", "f1"}`, see [`summary`], and **predictions**: for each
        setting of hearing and each row `{"id", "split", "task", "hearing", "predicted", "answer", "correct",
        "similarity", "clips"}`, see [`RowPrediction`]. `hearing` is None for a model that cannot hear.

    Raises:
        AudioBertInputError: the model, the data, or an argument cannot be used, or a split has no rows.
    """
    _check_choice("task", task, TASKS)
    splits = _splits(split)
    if batch_size < 1:
        raise AudioBertInputError(f"the batch size is {batch_size}; give 1 or more.")
    if data_dir is not None:
        require_folder(data_dir, "data-dir", "AuditoryBench's CSV files")
    parts = [_split_rows(task, name, data_dir) for name in splits]
    tokenizer = load_part(AutoTokenizer, name_or_path)
    require_mask_token(tokenizer, str(name_or_path))
    model = load_part(AutoModelForMaskedLM, name_or_path).eval()
    require_matching_vocabulary(tokenizer, model, str(name_or_path))
    if torch.accelerator.is_available():
        model = model.to(torch.accelerator.current_accelerator())
    predictions, summaries = [], []
    for part in parts:
        questions = questions_of(part.asked, tokenizer, longest_input(tokenizer, model))
        answers = answer_questions(model, tokenizer, questions, batch_size)
        for hearing, given in answers.items():
            of_setting = [_prediction(part.split, hearing, *pair) for pair in zip(part.asked, given, strict=True)]
            predictions += of_setting
            names = [*tasks_of(task), COMBINED] if task == COMBINED else [task]
            summaries += [summary(name, of_setting) for name in names]
    facts = {
        "model": str(name_or_path),
        "model_type": model.config.model_type,
        "protocol": PROTOCOL,
        "splits": splits,
        "seed": seed,
        "versions": versions(),
        "data_sha256": {part.split: part.digest for part in parts},
        "left_out": [row for part in parts for row in part.left_out],
    }
    return file_results(facts, summaries, predictions)


def _splits(split: str | Sequence[str]) -> list[str]:
    names = [split] if isinstance(split, str) else list(split)
    if names == ["all"]:
        return [name for name in SPLITS if name != "train"]
    for name in names:
        _check_choice("split", name, SPLITS)
    if not names or len(set(names)) < len(names):
        raise AudioBertInputError(f"the splits are {', '.join(names) or 'none'}; name each that is wanted once.")
    return names


def _split_rows(task: str, split: str, data_dir: str | Path | None) -> _SplitRows:
    rows = load_auditorybench(task, split, data_dir).to_list()
    gaps = [row["sentence"].count(GAP) for row in rows]
    asked = [row for row, count in zip(rows, gaps, strict=True) if count == 1]
    for name in tasks_of(task) if rows else [task]:
        if not any(row["task"] == name for row in asked):
            raise AudioBertInputError(
                f"the split '{split}' of {name} has no rows that can be asked. Choose another split or task."
            )
    left_out = [
        {"split": split, "id": row["id"], "gaps": count} for row, count in zip(rows, gaps, strict=True) if count != 1
    ]
    return _SplitRows(split, asked, left_out, rows_digest(rows))


def _prediction(split: str, hearing: str | None, row: dict[str, Any], answer: Answer) -> RowPrediction:
    return RowPrediction(
        id=row["id"],
        split=split,
        task=row["task"],
        hearing=hearing,
        predicted=answer.predicted,
        answer=row["answer"],
        correct=answer.correct,
        similarity=answer.similarity,
        clips=answer.clips,
    )


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise AudioBertInputError(f"there is no {name} '{value}'; give one of {', '.join(choices)}.")
