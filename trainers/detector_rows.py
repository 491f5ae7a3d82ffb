"""Rows that a span detector reads: sentences of AuditoryBench with labels, and ordinary sentences without a span."""

import gzip
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.span_decoding import span_token_range

from .masked_sentences import GAP, with_mask_token


__all__ = ["IGNORED", "OrdinaryText", "OrdinaryTextSettings", "token_labels", "with_gap", "without_full_stops"]

IGNORED = -100


@dataclass
class OrdinaryTextSettings:
    """Text that is not about sounds, to count false alarms on, and to learn from.

    Its first lines are for measuring only, the next ones choose the threshold, those behind may be trained on. Each
    line is read as it is or with one word in the gap, as a masked language model is asked.

    Args:
        path (`Path`, *optional*): one text a line, UTF-8, as it is or gzipped. Without it nothing of this is done.
        measure_lines (`int`): read twice, as they are and with a gap.
        choose_lines (`int`): read with a gap.
        train_lines (`int`): trained on as sentences without a span, every second one with a gap; none by default. They
            teach caution: sounds in sentences unlike the benchmark's are overlooked more often, too.
        false_alarm_weight (`float`): what the threshold is chosen by: the highest weighted F1 on validation, minus
            this times the share of the choosing lines that are flagged.
    """

    path: Path | None = None
    measure_lines: int = 2000
    choose_lines: int = 2000
    train_lines: int = 0
    false_alarm_weight: float = 0.1


@dataclass
class OrdinaryText:
    """The lines of an `OrdinaryTextSettings`, as rows without a span.

    Args:
        measure, measure_with_gap, choose, train (`list[dict]`): rows with `id` (the line's number, from 1),
            `sentence` and no `spans`.
    """

    measure: list[dict[str, Any]]
    measure_with_gap: list[dict[str, Any]]
    choose: list[dict[str, Any]]
    train: list[dict[str, Any]]

    @classmethod
    def read(cls, settings: OrdinaryTextSettings) -> "OrdinaryText":
        """Read the lines.

        Raises:
            AudioBertInputError: the file is missing, cannot be read, or has too few lines.
        """
        first = settings.measure_lines
        second = first + settings.choose_lines
        lines = _read_lines(settings.path, second + settings.train_lines)
        rows = [{"id": f"line {number}", "sentence": line, "spans": []} for number, line in enumerate(lines, start=1)]
        gapped = [{**row, "sentence": with_gap(row["sentence"], number)} for number, row in enumerate(rows)]
        train = [(gapped if number % 2 else rows)[number] for number in range(second, len(rows))]
        return cls(rows[:first], gapped[:first], gapped[first:second], train)


def with_gap(text: str, seed: int) -> str:
    """Return the text with one of its words, drawn by `seed`, replaced by `[MASK]`; without a word, as it is."""
    words = list(re.finditer(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text))
    if not words:
        return text
    start, end = random.Random(seed).choice(words).span()
    return text[:start] + GAP + text[end:]


def without_full_stops(rows: Sequence[dict[str, Any]], share: float, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows, of which a share, drawn by the seed, has lost the full stop at its end.

    Where nearly every training sentence ends in one, a detector learns that the last token is never part of a sound;
    but people leave it out, as the benchmark's wiki rows do.

    Args:
        share (`float`): of all rows, from 0 to 1; a row without a full stop stays as it is.
    """
    generator = random.Random(seed)
    drawn = [generator.random() < share for _ in rows]
    return [
        {**row, "sentence": row["sentence"].removesuffix(".")} if loses and _ends_outside_spans(row) else row
        for row, loses in zip(rows, drawn, strict=True)
    ]


def _ends_outside_spans(row: dict[str, Any]) -> bool:
    return all(span["end"] < len(row["sentence"]) for span in row["spans"])


def token_labels(
    rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[dict[str, list[int]]]:
    """Return the tokenizer's encoding of each row's sentence, with `labels`.

    Labels are 1 for tokens that touch a span, 0 for other words, -100 for special tokens, the mask among them. A span
    that starts at -1 is not in the sentence and labels nothing.

    Args:
        rows: with `sentence` (gap as `[MASK]`) and `spans` (`text`, and `start`, `end` in characters, end exclusive).
    """
    if not rows:
        return []
    prepared = [
        with_mask_token(row["sentence"], tokenizer.mask_token, [(span["start"], span["end"]) for span in row["spans"]])
        for row in rows
    ]
    encoding = tokenizer(
        [text for text, _ in prepared], truncation=True, max_length=max_length, return_offsets_mapping=True
    )
    offsets = encoding.pop("offset_mapping")
    special_ids = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    encoded = []
    for index, (_, spans) in enumerate(prepared):
        inputs = {name: values[index] for name, values in encoding.items()}
        special = [token in special_ids for token in inputs["input_ids"]]
        labels = [IGNORED if is_special else 0 for is_special in special]
        for start, end in spans:
            first, last = span_token_range(offsets[index], start, end, special) or (0, 0)
            labels[first:last] = [IGNORED if label == IGNORED else 1 for label in labels[first:last]]
        encoded.append({**inputs, "labels": labels})
    return encoded


def _read_lines(path: Path, count: int) -> list[str]:
    opener = gzip.open if str(path).endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            lines = [line.rstrip("\n") for line in islice(stream, count)]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise AudioBertInputError(
            f"cannot read the ordinary text '{path}': {error}. Give a text file in UTF-8, or a gzipped one (.gz)."
        ) from error
    if len(lines) < count:
        raise AudioBertInputError(
            f"the ordinary text '{path}' has {len(lines)} lines, {count} are asked for. Lower measure_lines, "
            f"choose_lines or train_lines."
        )
    return lines
