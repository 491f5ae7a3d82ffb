"""JSON Lines files, which the construction steps hand to each other."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["read_jsonl", "write_jsonl"]


def read_jsonl(path: str | Path, required: Sequence[str] = (), may_be_empty: bool = False) -> list[dict]:
    """Return the objects of a JSON Lines file, in its order; blank lines are left out.

    Args:
        path (`str` or `Path`):
            A UTF-8 file with one JSON object a line.
        required (`Sequence[str]`, *optional*):
            Fields that every object must have.
        may_be_empty (`bool`, *optional*, defaults to False):
            Return no rows for a file without any, instead of refusing it.

    Raises:
        AudioBertInputError: the file is missing, unreadable or empty, or a line (named by its number) is not UTF-8,
            not a JSON object, or lacks a required field.
    """
    rows = []
    for number, line in enumerate(_content(path).split(b"\n"), 1):
        if line.strip():
            rows.append(_parsed(line, f"'{path}', line {number}", required))
    if not rows and not may_be_empty:
        raise AudioBertInputError(f"'{path}' is empty. Run the step that writes it again, or give another file.")
    return rows


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> None:
    """Write one JSON object a line, all or nothing.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    with staged_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _content(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise AudioBertInputError(f"'{path}' does not exist. Give the file that the step before wrote.") from error
    except OSError as error:
        raise AudioBertInputError(f"cannot read '{path}': {error.strerror}. Give another file.") from error


def _parsed(line: bytes, place: str, required: Sequence[str]) -> dict:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise AudioBertInputError(f"{place} is not UTF-8. Save the file as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise AudioBertInputError(
            f"{place} is not JSON ({error.msg} at character {error.pos + 1}). Correct the line, or drop it."
        ) from error
    if not isinstance(row, dict):
        raise AudioBertInputError(f"{place} is not a JSON object but a {type(row).__name__}. Correct the line.")
    missing = [name for name in required if name not in row]
    if missing:
        raise AudioBertInputError(
            f"{place} has no field '{missing[0]}'; it has: {', '.join(row) or 'none'}. Add it, or give another file."
        )
    return row
