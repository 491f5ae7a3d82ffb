"""Accuracy of masked language models, AudioBERT among them, on AuditoryBench (arXiv 2409.08199, section III)."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import COMBINED, PITCH, SPLITS, TASKS, tasks_of
from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .masked_sentences import (
    GAP,
    answer_pieces,
    require_mask_token,
    require_matching_vocabulary,
    with_mask_token,
)
from .provenance import rows_digest, versions
from .training_run import require_folder


__all__ = ["PROTOCOL", "Question", "check_results_path", "evaluate_model", "judge", "questions_of", "save_results"]

PROTOCOL = "answer length given"


@dataclass(frozen=True)
class Question:
    """A row as the model reads it: as many mask tokens as the answer has word pieces."""

    row_id: str
    task: str
    input_ids: list[int]
    gap: tuple[int, ...]
    """Positions of the mask tokens in `input_ids`."""
    answer: list[int]
    """The right word pieces, one for each position of the gap; -1 where the vocabulary lacks it."""
    choices: list[int] | None
    """The token ids of "higher" and "lower" in the pitch task, else None: the whole vocabulary."""


def evaluate_model(
    name_or_path: str | Path,
    data_dir: str | Path | None = None,
    task: str = COMBINED,
    split: str = "test",
    batch_size: int = 32,
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
        split (`str`, *optional*, defaults to `"test"`): train, validation, test or wiki.
        batch_size (`int`, *optional*, defaults to 32): changes the speed only.

    Returns:
        `dict` for a JSON file: `model`, `model_type`, `protocol`, `split`, `versions`, `data_sha256`, `left_out` (rows
        without exactly one gap: id and number of gaps), and `results`, a list of `{"task", "hearing", "accuracy",
        "correct", "rows"}`; `hearing` is None for a model that cannot hear.

    Raises:
        AudioBertInputError: the model, the data, or an argument cannot be used.
    """
    _check_choice("task", task, TASKS)
    _check_choice("split", split, SPLITS)
    if batch_size < 1:
        raise AudioBertInputError(f"the batch size is {batch_size}; give 1 or more.")
    if data_dir is not None:
        require_folder(data_dir, "data-dir", "AuditoryBench's CSV files")
    rows = load_auditorybench(task, split, data_dir).to_list()
    asked = [row for row in rows if row["sentence"].count(GAP) == 1]
    tokenizer = load_part(AutoTokenizer, name_or_path)
    require_mask_token(tokenizer, str(name_or_path))
    model = load_part(AutoModelForMaskedLM, name_or_path).eval()
    require_matching_vocabulary(tokenizer, model, str(name_or_path))
    if torch.accelerator.is_available():
        model = model.to(torch.accelerator.current_accelerator())
    questions = questions_of(asked, tokenizer, _longest(tokenizer, model))
    correct = judge(model, tokenizer, questions, batch_size)
    return {
        "kind": "evaluation",
        "model": str(name_or_path),
        "model_type": model.config.model_type,
        "protocol": PROTOCOL,
        "split": split,
        "versions": versions(),
        "data_sha256": rows_digest(rows),
        "left_out": [
            {"id": row["id"], "gaps": row["sentence"].count(GAP)} for row in rows if row["sentence"].count(GAP) != 1
        ],
        "results": [
            _summary(name, hearing, questions, right)
            for hearing, right in correct.items()
            for name in ([*tasks_of(task), COMBINED] if task == COMBINED else [task])
        ],
    }


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
    """Write results as JSON.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def questions_of(
    rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[Question]:
    """Return the rows as questions to a masked language model.

    Args:
        rows: rows of AuditoryBench, each with one gap.
        max_length (`int`): the longest input that the model reads, in tokens.

    Raises:
        AudioBertInputError: a sentence has no or several gaps or is too long, or "higher" or "lower" is not a single
            token of this vocabulary.
    """
    return [_question(row, tokenizer, max_length) for row in rows]


def judge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], batch_size: int
) -> dict[str | None, list[bool]]:
    """Return for each question whether the model is right: under `"on"` and `"off"` for hearing, or under None.

    The rows of a batch are of similar length, which saves time and changes nothing else.
    """
    hears = model.config.model_type == "audiobert"
    settings = {"hearing": True, "output_hearing_off": True} if hears else {}
    verdicts: dict[str | None, list[bool]] = {
        hearing: [False] * len(questions) for hearing in (["on", "off"] if hears else [None])
    }
    with torch.inference_mode(), tqdm(total=len(questions), unit="row", disable=None) as progress:
        for batch in _batches(questions, batch_size):
            inputs = tokenizer.pad({"input_ids": [questions[index].input_ids for index in batch]}, return_tensors="pt")
            output = model(**inputs.to(model.device), **settings)
            logits = {"on": output.logits, "off": output.hearing_off_logits} if hears else {None: output.logits}
            for hearing, values in logits.items():
                for place, index in enumerate(batch):
                    verdicts[hearing][index] = _is_right(questions[index], values[place])
            progress.update(len(batch))
    return verdicts


def _question(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Question:
    is_pitch = row["task"] == PITCH
    words = row["choices"] if is_pitch else [row["answer"]]
    pieces = answer_pieces(tokenizer, row, words)
    if is_pitch and any(len(piece) != 1 or piece == [tokenizer.unk_token_id] for piece in pieces):
        raise AudioBertInputError(
            f"row '{row['id']}': {' and '.join(words)} must be single, known tokens to be compared; the vocabulary "
            f"has {[tokenizer.convert_ids_to_tokens(piece) for piece in pieces]}. Evaluate another model."
        )
    if is_pitch and row["answer_index"] is None:
        raise AudioBertInputError(
            f"row '{row['id']}': the answer {row['answer']!r} is none of {', '.join(words)}. Correct the row."
        )
    answer = pieces[row["answer_index"] if is_pitch else 0]
    if not answer:
        raise AudioBertInputError(
            f"row '{row['id']}': the answer {row['answer']!r} has no word pieces. Correct the row."
        )
    text, _ = with_mask_token(row["sentence"], tokenizer.mask_token)
    token_ids = tokenizer(text)["input_ids"]
    gap = token_ids.index(tokenizer.mask_token_id)
    input_ids = token_ids[:gap] + [tokenizer.mask_token_id] * len(answer) + token_ids[gap + 1 :]
    if len(input_ids) > max_length:
        raise AudioBertInputError(
            f"row '{row['id']}' has {len(input_ids)} tokens, the model reads {max_length}. Leave the row out."
        )
    return Question(
        row_id=row["id"],
        task=row["task"],
        input_ids=input_ids,
        gap=tuple(range(gap, gap + len(answer))),
        # No prediction equals -1: a model that answers "unknown" does not know the answer.
        answer=[-1 if piece == tokenizer.unk_token_id else piece for piece in answer],
        choices=[piece[0] for piece in pieces] if is_pitch else None,
    )


def _is_right(question: Question, logits: torch.Tensor) -> bool:
    """Judge one row's `logits`, of shape `(sequence_length, vocabulary_size)`."""
    at_gap = logits[list(question.gap)]
    if question.choices is None:
        return at_gap.argmax(dim=-1).tolist() == question.answer
    return question.choices[int(at_gap[0, question.choices].argmax())] == question.answer[0]


def _batches(questions: Sequence[Question], batch_size: int) -> Iterator[list[int]]:
    order = sorted(range(len(questions)), key=lambda index: len(questions[index].input_ids))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _summary(task: str, hearing: str | None, questions: Sequence[Question], right: Sequence[bool]) -> dict[str, Any]:
    counted = [
        verdict for question, verdict in zip(questions, right, strict=True) if task in (COMBINED, question.task)
    ]
    return {
        "task": task,
        "hearing": hearing,
        "accuracy": sum(counted) / len(counted) if counted else None,
        "correct": sum(counted),
        "rows": len(counted),
    }


def _longest(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Return how many tokens the model reads; RoBERTa numbers positions from the padding token's id on."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", tokenizer.model_max_length)
    if config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= config.pad_token_id + 1
    return min(positions, tokenizer.model_max_length)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise AudioBertInputError(f"there is no {name} '{value}'; give one of {', '.join(choices)}.")
