"""Ordinary text: which lines serve what, and where its gaps are."""

import gzip

import pytest

from audiobert import AudioBertInputError
from audiobert.trainers.detector_rows import OrdinaryText, OrdinaryTextSettings, with_gap, without_full_stops


@pytest.mark.parametrize("compressed", [False, True], ids=["text", "gzip"])
def test_no_line_serves_two_purposes(tmp_path, compressed):
    lines = [f"line of words {'x' * number}" for number in range(1, 11)]
    path = tmp_path / ("text.txt.gz" if compressed else "text.txt")
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if compressed else content)
    text = OrdinaryText.read(OrdinaryTextSettings(path, measure_lines=2, choose_lines=3, train_lines=4))
    assert [row["sentence"] for row in text.measure] == lines[:2]
    assert [row["id"] for row in text.measure_with_gap] == ["line 1", "line 2"]
    assert [row["id"] for row in text.choose] == ["line 3", "line 4", "line 5"]
    assert [row["id"] for row in text.train] == ["line 6", "line 7", "line 8", "line 9"]
    assert all(row["sentence"].count("[MASK]") == 1 for row in text.choose + text.measure_with_gap)
    assert [row["sentence"].count("[MASK]") for row in text.train] == [1, 0, 1, 0]
    assert not any(row["spans"] for row in text.measure + text.choose + text.train)


def test_a_gap_takes_one_word_and_nothing_else():
    text = 'the cat\'s well-known 3rd "meow", (again).'
    gapped = {with_gap(text, seed) for seed in range(60)}
    assert gapped == {
        text.replace(word, "[MASK]", 1) for word in ("the", "cat's", "well-known", "rd", "meow", "again")
    }
    assert with_gap(text, 3) == with_gap(text, 3)
    assert with_gap("12 + 3 = 15", 0) == "12 + 3 = 15"


def test_a_share_of_the_rows_loses_its_full_stop_and_nothing_else():
    rows = [
        {"sentence": f"A bell has a [MASK] pitch than drum {n}.", "spans": [{"start": 2, "end": 6}]}
        for n in range(400)
    ]
    assert without_full_stops(rows, 0.0) == rows
    assert all(not row["sentence"].endswith(".") for row in without_full_stops(rows, 1.0))
    some = without_full_stops(rows, 0.25)
    changed = [(row, other) for row, other in zip(rows, some, strict=True) if row != other]
    assert 60 < len(changed) < 140
    assert all(other == {**row, "sentence": row["sentence"][:-1]} for row, other in changed)
    assert some == without_full_stops(rows, 0.25) != without_full_stops(rows, 0.25, seed=1)
    kept = [
        {"sentence": "It went [MASK] like etc.", "spans": [{"start": 20, "end": 24}]},
        {"sentence": "Oh!", "spans": []},
    ]
    assert without_full_stops(kept, 1.0) == kept


def test_text_that_cannot_be_read_is_named(tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("one\ntwo\n")
    with pytest.raises(AudioBertInputError, match=r"short.txt' has 2 lines, 4000 are asked for. Lower measure_lines"):
        OrdinaryText.read(OrdinaryTextSettings(short))
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"x" * 1000)[:18])
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\xfa")
    for path in (broken, binary, tmp_path / "absent.txt"):
        with pytest.raises(AudioBertInputError, match=f"cannot read the ordinary text '{path}'"):
            OrdinaryText.read(OrdinaryTextSettings(path))
