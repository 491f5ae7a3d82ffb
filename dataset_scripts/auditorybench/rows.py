"""Rows of AuditoryBench in the house schema, made from the published columns."""

import math
import re
from collections.abc import Iterable, Iterator

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .csv_table import CsvTable, parse_csv
from .sources import ANIMAL, ANIMAL_COLUMNS, CHOICE_COLUMNS, MEASURED_COLUMNS, PITCH_COLUMNS, SourceFile, source_name
from .spans import locate_span


__all__ = ["PITCH_CHOICES", "make_row", "plain_rows", "read_rows"]

PITCH_CHOICES = ("higher", "lower")
_ID_PREFIXES = {"animal_sound_recognition": "asr", "sound_pitch_comparison": "spc"}


def read_rows(content: bytes, name: str, task: str, split: str, origin: SourceFile | None = None) -> list[dict]:
    """Return the rows of one published file, in its order.

    Args:
        content (`bytes`):
            The whole file.
        name (`str`):
            The file for error messages and, without its folders, for the rows' `source`.
        task (`str`):
            `"animal_sound_recognition"` or `"sound_pitch_comparison"`.
        split (`str`):
            `"train"`, `"validation"`, `"test"` or `"wiki"`; goes into the ids.
        origin (`SourceFile`, *optional*):
            The published file that these bytes came from, where the bytes alone do not tell.

    Returns:
        `list[dict]`: rows of the schema that `make_row` documents.

    Raises:
        AudioBertInputError: the file cannot be read as one of this task; the message names the row.
    """
    required = origin.columns if origin else ANIMAL_COLUMNS if task == ANIMAL else PITCH_COLUMNS
    table = parse_csv(content, name, required)
    source = source_name(content, origin.name if origin else re.split(r"[/\\]", name)[-1])
    build = _animal_fields if task == ANIMAL else _pitch_fields
    return [
        make_row(id=f"{_ID_PREFIXES[task]}-{split}-{index:05d}", task=task, source=source, **fields)
        for index, fields in enumerate(build(table))
    ]


def make_row(*, sentence: str, answer: str, span_texts: list[str], **fields) -> dict:
    """Return one row of the schema that all benchmarks of this package share.

    Args:
        sentence (`str`):
            With its `"[MASK]"`.
        answer (`str`):
            What the mask stands for.
        span_texts (`list[str]`):
            The auditory spans; their characters are looked up in the sentence.
        fields:
            `id`, `task`, `source` (`str`), and where known `choices` (`list[str]`), `answer_index` (`int`, the place
            of the right choice), `freesound_ids` (`list[int]`) and `average_pitch_hz` (`list[float | None]`), these
            two one a span.

    Returns:
        `dict`: `id`, `task`, `sentence`, `answer`, `spans` (`text`, and `start`, `end` in characters, end exclusive,
        -1 where the span is not in the sentence), `spans_found` (`bool`: every span is), `choices`, `answer_index`,
        `source`, `freesound_ids`, `average_pitch_hz`; None where nothing was published.
    """
    spans = []
    for text in span_texts:
        start, end = locate_span(sentence, text)
        spans.append({"text": text.strip(), "start": start, "end": end})
    return {
        "id": fields["id"],
        "task": fields["task"],
        "sentence": sentence,
        "answer": answer,
        "spans": spans,
        "spans_found": all(span["start"] >= 0 for span in spans),
        "choices": fields.get("choices"),
        "answer_index": fields.get("answer_index"),
        "source": fields["source"],
        "freesound_ids": fields.get("freesound_ids"),
        "average_pitch_hz": fields.get("average_pitch_hz"),
    }


def plain_rows(rows: Iterable[dict]) -> list[dict]:
    """Return the rows of a `datasets.Dataset`, all at once, or of any other iterable."""
    return rows.to_list() if hasattr(rows, "to_list") else list(rows)


def _animal_fields(table: CsvTable) -> Iterator[dict]:
    with_choices = set(CHOICE_COLUMNS) <= set(table.columns)
    letters = CHOICE_COLUMNS[:-1]
    for index, row in enumerate(table.rows):
        fields = {
            "sentence": table.filled(index, "sentence"),
            "answer": table.filled(index, "animal"),
            "span_texts": [row["description"]],
        }
        if with_choices:
            letter = row["Answer"].strip()
            fields["choices"] = [row[column].strip() for column in letters]
            # Some published rows name no single letter ("A or D"): what is not one has no index.
            fields["answer_index"] = letters.index(letter) if letter in letters else None
        yield fields


def _pitch_fields(table: CsvTable) -> Iterator[dict]:
    measured = set(MEASURED_COLUMNS) <= set(table.columns)
    for index, row in enumerate(table.rows):
        answer = table.filled(index, "answer")
        fields = {
            "sentence": table.filled(index, "sentence"),
            "answer": answer,
            "span_texts": [row["span1"], row["span2"]],
            "choices": list(PITCH_CHOICES),
            "answer_index": PITCH_CHOICES.index(answer) if answer in PITCH_CHOICES else None,
        }
        if measured:
            fields["freesound_ids"] = [_freesound_id(table, index, column) for column in ("id_1", "id_2")]
            fields["average_pitch_hz"] = [_hertz(table, index, column) for column in ("avg_pitch_1", "avg_pitch_2")]
        yield fields


def _freesound_id(table: CsvTable, index: int, column: str) -> int:
    text = table.rows[index][column].strip()
    if not (text.isascii() and text.isdigit()):
        raise AudioBertInputError(f"{table.place(index)}: '{text}' in column '{column}' is not a Freesound id.")
    return int(text)


def _hertz(table: CsvTable, index: int, column: str) -> float | None:
    """A measured pitch; None where the publishers left it out."""
    text = table.rows[index][column].strip()
    if not text:
        return None
    try:
        pitch = float(text)
    except ValueError:
        pitch = math.nan
    if not (math.isfinite(pitch) and pitch > 0):
        raise AudioBertInputError(f"{table.place(index)}: '{text}' in column '{column}' is not a pitch in Hz.")
    return pitch
