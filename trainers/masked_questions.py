"""Rows of AuditoryBench as questions to a masked language model whose answer's length is given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from audiobert.dataset_scripts.auditorybench.sources import PITCH
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.span_decoding import span_token_range

from .masked_sentences import answer_pieces, with_mask_token


__all__ = ["Question", "annotated_spans", "choice_pieces", "longest_input", "questions_of", "resized"]


@dataclass(frozen=True)
class Question:
    """A row as the model reads it: as many mask tokens as the answer has word pieces."""

    row: dict[str, Any]
    """As the benchmark has it."""
    input_ids: list[int]
    gap: tuple[int, ...]
    """Positions of the mask tokens in `input_ids`."""
    answer: list[int]
    """The right word pieces; -1 where the vocabulary lacks one."""
    choices: list[int] | None
    """The token ids of "higher" and "lower" in the pitch task, else None: the whole vocabulary."""


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


def annotated_spans(row: dict[str, Any], question: Question, tokenizer: PreTrainedTokenizerBase) -> list[tuple]:
    """Return the token ranges, `(start, end)`, of a row's published spans in the `input_ids` of its question.

    Spans that are not in their sentence are left out.

    Args:
        tokenizer: a fast one: only these tell which characters a token stands for.
    """
    ranges = [(span["start"], span["end"]) for span in row["spans"]]
    text, ranges = with_mask_token(row["sentence"], tokenizer.mask_token, ranges)
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    offsets, special = encoding["offset_mapping"], encoding["special_tokens_mask"]
    # The tokenizer read one mask token, the question has one for each piece of the answer.
    gap, growth = question.gap[0], len(question.gap) - 1
    spans = []
    for start, end in ranges:
        tokens = span_token_range(offsets, start, end, special)
        if tokens is not None:
            spans.append(tuple(position + growth * (position > gap) for position in tokens))
    return sorted(spans)


def choice_pieces(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the token ids of the words that a row of the pitch task compares.

    Raises:
        AudioBertInputError: a word is not a single, known token, or the answer is none of them.
    """
    words = row["choices"]
    pieces = answer_pieces(tokenizer, row, words)
    if any(len(piece) != 1 or piece == [tokenizer.unk_token_id] for piece in pieces):
        raise AudioBertInputError(
            f"row '{row['id']}': {' and '.join(words)} must be single, known tokens to be compared; the vocabulary "
            f"has {[tokenizer.convert_ids_to_tokens(piece) for piece in pieces]}. Evaluate another model."
        )
    if row["answer_index"] is None:
        raise AudioBertInputError(
            f"row '{row['id']}': the answer {row['answer']!r} is none of {', '.join(words)}. Correct the row."
        )
    return [piece[0] for piece in pieces]


def resized(question: Question, num_pieces: int, mask_token_id: int, max_length: int) -> Question:
    """Return a question with a gap of another number of mask tokens.

    Raises:
        AudioBertInputError: it is too long then.
    """
    start, end = question.gap[0], question.gap[-1] + 1
    input_ids = [*question.input_ids[:start], *[mask_token_id] * num_pieces, *question.input_ids[end:]]
    _check_length(question.row, input_ids, max_length)
    return replace(question, input_ids=input_ids, gap=tuple(range(start, start + num_pieces)))


def longest_input(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Return how many tokens the model reads; RoBERTa numbers positions from the padding token's id on."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", tokenizer.model_max_length)
    if config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= config.pad_token_id + 1
    return min(positions, tokenizer.model_max_length)


def _question(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Question:
    choices = choice_pieces(row, tokenizer) if row["task"] == PITCH else None
    answer = [choices[row["answer_index"]]] if choices else answer_pieces(tokenizer, row, [row["answer"]])[0]
    if not answer:
        raise AudioBertInputError(
            f"row '{row['id']}': the answer {row['answer']!r} has no word pieces. Correct the row."
        )
    text, _ = with_mask_token(row["sentence"], tokenizer.mask_token)
    token_ids = tokenizer(text)["input_ids"]
    gap = token_ids.index(tokenizer.mask_token_id)
    input_ids = token_ids[:gap] + [tokenizer.mask_token_id] * len(answer) + token_ids[gap + 1 :]
    _check_length(row, input_ids, max_length)
    return Question(
        row=row,
        input_ids=input_ids,
        gap=tuple(range(gap, gap + len(answer))),
        # No prediction equals -1: a model that answers "unknown" does not know the answer.
        answer=[-1 if piece == tokenizer.unk_token_id else piece for piece in answer],
        choices=choices,
    )


def _check_length(row: dict[str, Any], input_ids: list[int], max_length: int) -> None:
    if len(input_ids) > max_length:
        raise AudioBertInputError(
            f"row '{row['id']}' has {len(input_ids)} tokens, the model reads {max_length}. Leave the row out."
        )
