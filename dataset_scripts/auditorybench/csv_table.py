"""A CSV file read strictly: whatever is wrong with it is an error that names the file and the row."""

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["CsvTable", "parse_csv"]


@dataclass(frozen=True)
class CsvTable:
    """The rows of one CSV file.

    Attributes:
        name (`str`): the file, as error messages call it.
        columns (`tuple[str, ...]`): the header.
        rows (`tuple[dict[str, str], ...]`): one dictionary a row, blank lines left out.
        lines (`tuple[int, ...]`): the line of the file on which each row starts, the header being line 1.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]

    def place(self, index: int) -> str:
        """Return how an error message names the row at `index`: the file, the row counted from 1, the line."""
        return f"'{self.name}', row {index + 1} (line {self.lines[index]})"

    def filled(self, index: int, column: str) -> str:
        """Return the text of a field that no row can do without, without white space around it.

        Raises:
            AudioBertInputError: there is nothing in it.
        """
        text = self.rows[index][column].strip()
        if not text:
            raise AudioBertInputError(
                f"{self.place(index)} has nothing in column '{column}'. Fill it in, or drop the row."
            )
        return text


def parse_csv(content: bytes, name: str, required: Sequence[str] = ()) -> CsvTable:
    """Return the table that the bytes of a CSV file hold.

    A byte order mark, CRLF line ends and blank lines change nothing; quoted fields may hold commas, quotes and line
    breaks. The last row must end with a line break: without one, a file that was cut inside its last field could
    not be told from a whole one.

    Args:
        content (`bytes`):
            The whole file, UTF-8.
        name (`str`):
            The file's name for error messages.
        required (`Sequence[str]`, *optional*):
            Columns that must be there; others may be.

    Raises:
        AudioBertInputError: the file is empty, not UTF-8, cut, without a required column, or a row has another
            number of fields than the header.
    """
    text = _decoded(content, name)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records = _records(reader, name)
    header = next(records, None)
    if header is None:
        raise AudioBertInputError(f"'{name}' is empty. Fetch it again, or give another folder.")
    columns = tuple(header[1])
    _check_columns(columns, name, required)
    rows, lines = [], []
    for line, fields in records:
        if len(fields) != len(columns):
            raise AudioBertInputError(
                f"'{name}', row {len(rows) + 1} (line {line}) has {len(fields)} fields, the header has "
                f"{len(columns)} ({', '.join(columns)}). Fields with commas need quotes around them; a file that "
                f"was cut has to be fetched again."
            )
        rows.append(dict(zip(columns, fields, strict=True)))
        lines.append(line)
    if not rows:
        raise AudioBertInputError(f"'{name}' has a header and no rows. Fetch it again, or give another folder.")
    if not text.endswith(("\n", "\r")):
        raise AudioBertInputError(
            f"'{name}', row {len(rows)} (line {lines[-1]}) does not end with a line break: the file may have been cut "
            f"in the middle of it. Fetch the file again, or end it with a line break if it is whole."
        )
    return CsvTable(name, columns, tuple(rows), tuple(lines))


def _decoded(content: bytes, name: str) -> str:
    """Return the text, or say where it stops being UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"row {line - 1} (line {line})" if line > 1 else "the header (line 1)"
        raise AudioBertInputError(
            f"'{name}', {where} is not UTF-8 (byte 0x{content[error.start]:02x} at offset {error.start}). Save the "
            f"file as UTF-8."
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise AudioBertInputError(f"'{name}', row {line - 1} (line {line}) holds a NUL byte. Fetch the file again.")
    return text


def _records(reader, name: str):
    """Yield the first line and the fields of each record, blank lines left out."""
    count = 0
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            where = f"row {count} (line {line})" if count else "the header (line 1)"
            raise AudioBertInputError(
                f"'{name}', {where} is not valid CSV: {error}. A quote is opened and not closed there, or closed and "
                f'followed by more text; inside quotes, a quote is written "". A file that was cut has to be fetched '
                f"again."
            ) from error
        if fields is None:
            return
        if fields:
            yield line, fields
            count += 1


def _check_columns(columns: tuple[str, ...], name: str, required: Sequence[str]) -> None:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise AudioBertInputError(f"'{name}', the header (line 1) names {twice[0]!r} twice. Rename one of the two.")
    for column in required:
        if column not in columns:
            near = difflib.get_close_matches(column, columns, n=1, cutoff=0.5)
            hint = f" Rename '{near[0]}' to '{column}'?" if near else " Restore the published header."
            raise AudioBertInputError(
                f"'{name}', the header (line 1) has no column '{column}'; it has: {', '.join(columns)}.{hint}"
            )
