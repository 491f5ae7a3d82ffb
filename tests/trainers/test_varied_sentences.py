"""Rows in other sentences than the benchmark's: what is labelled in them, and what of the benchmark they hold."""

import pytest

from audiobert.trainers.varied_sentences import SoundWords, varied_rows


def row(task: str, *texts: str) -> dict:
    return {"task": task, "spans": [{"text": text, "start": 0, "end": len(text)} for text in texts]}


ROWS = [
    row("animal_sound_recognition", "oink"),
    row("animal_sound_recognition", "oinking"),
    row("animal_sound_recognition", "Long, eerie call"),
    row("sound_pitch_comparison", "sound of a bass tuba", "the ukulele"),
    {"task": "sound_pitch_comparison", "spans": [{"text": "zither", "start": -1, "end": -1}]},
]


def test_the_sounds_are_those_that_rows_name_and_the_spans_say_where():
    made = varied_rows(ROWS, 2000)
    assert len(made) == 2000
    named = {span["text"] for made_row in made for span in made_row["spans"]}
    assert {"oink", "oinking", "oinked", "bass tuba", "ukulele"} <= named
    assert not named & {"zither", "sound of a bass tuba", "long, eerie call", "walking"}
    for made_row in made:
        for span in made_row["spans"]:
            assert made_row["sentence"][span["start"] : span["end"]] == span["text"]
            assert not made_row["sentence"][: span["start"]].endswith((" a a", "  "))
        assert not set("{}<>") & set(made_row["sentence"])


def test_about_half_has_a_gap_and_some_name_no_sound():
    made = varied_rows(ROWS, 2000)
    gaps = [made_row["sentence"].count("[MASK]") for made_row in made]
    assert set(gaps) == {0, 1}
    assert 800 < sum(gaps) < 1200
    silent = [made_row["sentence"] for made_row in made if not made_row["spans"]]
    assert 100 < len(silent) < 400
    assert all("ukulele" in sentence for sentence in silent)


def test_the_same_seed_draws_the_same_rows_whatever_the_order_of_the_benchmark():
    assert varied_rows(ROWS, 50, seed=3) == varied_rows(ROWS[::-1], 50, seed=3)
    assert varied_rows(ROWS, 50, seed=3) != varied_rows(ROWS, 50, seed=4)
    assert varied_rows(ROWS, 0) == []


@pytest.mark.parametrize("sentence", ["The pig oinked.", "Pigs oink", "A Noise", "It rang twice", "it clatters"])
def test_a_sentence_with_a_known_sound_is_recognised(sentence):
    assert SoundWords(ROWS).occur_in(sentence)
    assert not SoundWords(ROWS).occur_in("The pig slept soundly in its ring-shaped pen.".replace("ring-shaped", "old"))


@pytest.mark.parametrize(
    ("verb", "forms"),
    [("hum", "humming hummed"), ("drip", "dripping dripped"), ("whine", "whining whined"), ("ring", "ringing rang"),
     ("scream", "screaming screamed"), ("cry", "crying cried"), ("thunder", "thundering thundered")],
)  # fmt: skip
def test_verbs_are_inflected(verb, forms):
    rows = [row("animal_sound_recognition", verb), row("animal_sound_recognition", forms.split()[0])]
    words = SoundWords(rows)
    place = words.to_do.index(verb)
    assert [words.doing[place], words.did[place]] == forms.split()
