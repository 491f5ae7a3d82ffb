"""CSV files, read strictly."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobert.dataset_scripts.auditorybench.csv_table import parse_csv
from audiobert.modeling_audiobert.errors import AudioBertInputError


WHOLE = b"animal,sentence\ncat,A [MASK] meows.\ndog,A [MASK] barks.\n"
# No lone carriage returns: with "\n" as its line end, Python's own writer leaves them unquoted and so breaks the row.
FIELDS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


@given(rows=st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=5), ending=st.sampled_from(["\n", "\r\n"]))
def test_whatever_a_csv_writer_writes_is_read_as_it_was(rows, ending):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=ending).writerows([("a", "b"), *rows])
    table = parse_csv(stream.getvalue().encode(), "table.csv")
    assert [tuple(row.values()) for row in table.rows] == rows


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + WHOLE, WHOLE.replace(b"\n", b"\r\n"), WHOLE.replace(b"\n", b"\n\n"), b"\n" + WHOLE + b"\n\n"],
    ids=["byte order mark", "CRLF", "blank lines between", "blank lines around"],
)
def test_what_editors_do_to_a_file_changes_no_row(content):
    assert parse_csv(content, "table.csv").rows == parse_csv(WHOLE, "table.csv").rows


def test_a_row_is_named_with_its_line_though_lines_are_blank():
    assert parse_csv(WHOLE.replace(b"\n", b"\n\n"), "table.csv").place(1) == "'table.csv', row 2 (line 5)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"'table.csv' is empty. Fetch it again"),
        (b"animal,sentence\n", r"'table.csv' has a header and no rows"),
        (WHOLE.replace(b"dog", b"d\xf6g"), r"'table.csv', row 2 \(line 3\) is not UTF-8 .* Save the file as UTF-8"),
        (WHOLE.decode().encode("utf-16"), r"'table.csv', the header \(line 1\) is not UTF-8"),
        (WHOLE.replace(b"dog", b"d\0g"), r"'table.csv', row 2 \(line 3\) holds a NUL byte"),
        (WHOLE.replace(b"dog,", b"dog,loud,"), r"'table.csv', row 2 \(line 3\) has 3 fields, the header has 2"),
        (WHOLE[:-17], r"'table.csv', row 2 \(line 3\) has 1 fields, the header has 2"),
        (WHOLE[:-8], r"'table.csv', row 2 \(line 3\) does not end with a line break: .* cut"),
        (WHOLE + b'cow,"A [MASK] mo', r"'table.csv', row 3 \(line 4\) is not valid CSV: .* fetched again"),
        (WHOLE.replace(b"dog", b'"dog"s'), r"'table.csv', row 2 \(line 3\) is not valid CSV"),
        (WHOLE.replace(b"animal", b"animals"), r"the header \(line 1\) has no column 'animal'.* Rename 'animals' to"),
        (WHOLE.replace(b"animal", b"sentence"), r"the header \(line 1\) names 'sentence' twice"),
    ],
    ids=[
        "empty", "no rows", "latin-1", "utf-16", "NUL", "unquoted comma", "cut before the last field",
        "cut in the last field", "cut inside quotes", "text after a quote", "renamed column", "column twice",
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_its_name_and_row(content, message):
    with pytest.raises(AudioBertInputError, match=message):
        parse_csv(content, "table.csv", required=("animal", "sentence"))


def test_a_file_cut_at_any_byte_is_never_read_as_more_than_its_whole_rows():
    table = parse_csv(WHOLE, "table.csv")
    outcomes = {"refused": 0, "read": 0}
    for end in range(len(WHOLE)):
        try:
            rows = parse_csv(WHOLE[:end], "table.csv", required=("animal", "sentence")).rows
        except AudioBertInputError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert rows == table.rows[: len(rows)]
    assert outcomes == {"refused": len(WHOLE) - 1, "read": 1}
