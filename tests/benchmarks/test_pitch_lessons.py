"""Lessons about pitch: sentences of the training rows, about other things of them."""

import math
import random

import pytest
from bank_reach import words
from pitch_lessons import known_spans, lessons


def row(sentence: str, *texts: str) -> dict:
    spans = [{"text": text, "start": sentence.index(text), "end": sentence.index(text) + len(text)} for text in texts]
    return {"sentence": sentence, "spans": spans}


ROWS = [
    row("The sound of a kazoo is [MASK] in pitch than the sound of a gong.", "sound of a kazoo", "sound of a gong"),
    row("Compared with a creaking gate, a Whistle sounds [MASK].", "a Whistle", "a creaking gate"),
]
TEXTS = ["a bell", "a drum", "sound of a bell", "sound of a drum", "sound of a harp"]
PITCHES = [10.0, 7.0, 10.0, 7.0, math.nan]  # log2 Hz


def test_a_lesson_is_answered_by_the_clips_and_keeps_the_sentences_form():
    made = lessons(ROWS, TEXTS, PITCHES, 200, random.Random(0))
    assert len(made) == 200
    found = {(row["sentence"], row["answer"]) for row in made}
    assert found == {
        ("The sound of a bell is [MASK] in pitch than the sound of a drum.", "higher"),
        ("The sound of a drum is [MASK] in pitch than the sound of a bell.", "lower"),
        ("Compared with a drum, a bell sounds [MASK].", "higher"),
        ("Compared with a bell, a drum sounds [MASK].", "lower"),
    }
    for row in made:
        assert row["choices"][row["answer_index"]] == row["answer"]
        for span in row["spans"]:
            assert row["sentence"][span["start"] : span["end"]] == span["text"]


@pytest.mark.parametrize("pitches", [[10.0, 10.0, 10.0, 10.0, 10.0], [math.nan] * 5], ids=["alike", "unknown"])
def test_a_bank_that_cannot_tell_two_sounds_apart_ends_with_a_message(pitches):
    with pytest.raises(SystemExit, match=r"of \d sounds of known pitch too few lie 0.15 octaves apart"):
        lessons(ROWS, TEXTS, pitches, 3, random.Random(0))


def test_only_what_names_a_label_of_the_bank_is_compared():
    labels = {words(label): label for label in ("gong", "whistle", "steam train")}
    assert known_spans(ROWS, labels) == ["a whistle", "sound of a gong"]
