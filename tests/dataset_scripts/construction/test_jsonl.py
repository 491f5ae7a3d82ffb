"""JSON Lines between the steps: every fault is named by its line."""

import pytest

from audiobert.dataset_scripts.construction.jsonl import read_jsonl, write_jsonl
from audiobert.modeling_audiobert.errors import AudioBertInputError


def test_what_was_written_is_read(tmp_path):
    rows = [{"id": "1", "text": "Möwe\nzwei"}, {"id": "2", "pitch": None}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert read_jsonl(tmp_path / "rows.jsonl", ("id",)) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"rows\.jsonl' is empty"),
        (b"\n \n", r"rows\.jsonl' is empty"),
        (b'{"id": 1}\n\n{"id": 2\n', r"line 3 is not JSON"),
        (b'{"id": 1}\n[1]\n', r"line 2 is not a JSON object but a list"),
        (b'{"id": 1}\n{"name": 2}\n', r"line 2 has no field 'id'; it has: name"),
        (b'{"id": 1}\n{"id": "\xff"}\n', r"line 2 is not UTF-8"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(AudioBertInputError, match=message):
        read_jsonl(tmp_path / "rows.jsonl", ("id",))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AudioBertInputError, match=r"'.*rows\.jsonl' does not exist"):
        read_jsonl(tmp_path / "rows.jsonl")


def test_nothing_stays_behind_when_the_rows_end_in_an_error(tmp_path):
    def rows():
        yield {"id": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(tmp_path / "out" / "rows.jsonl", rows())
    assert list(tmp_path.iterdir()) == []
