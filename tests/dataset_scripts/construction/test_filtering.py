"""The filter: each fault alone is found and named, nothing is lost; published differences are the formula's."""

import csv

import pytest
from candidate_rows import animal_row, pitch_row
from hypothesis import given
from hypothesis import strategies as st

from audiobert.dataset_scripts.construction.filtering import (
    FilterSettings,
    filter_rows,
    pitch_difference,
    read_blocked_answers,
)
from audiobert.dataset_scripts.construction.near_duplicates import similar_pairs
from audiobert.modeling_audiobert.errors import AudioBertInputError


PITCHES = [
    {"id": "flute", "average_pitch_hz": 1000.0},
    {"id": "tuba", "average_pitch_hz": 60.0},
    {"id": "near", "average_pitch_hz": 1100.0},
    {"id": "rain", "average_pitch_hz": None},
]


def test_a_good_row_of_each_task_is_kept_with_what_was_measured():
    found = filter_rows([animal_row(), pitch_row()], PITCHES)
    assert found.rejects == []
    assert found.kept[0] == animal_row()
    assert found.kept[1]["answer"] == "higher"
    assert found.kept[1]["average_pitch_hz"] == [1000.0, 60.0]
    assert found.kept[1]["pitch_difference"] == pytest.approx(0.94)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (animal_row(sentence="The meow is loud."), "not exactly one [MASK]"),
        (animal_row(sentence="A [MASK] and a [MASK] meow."), "not exactly one [MASK]"),
        (animal_row(answer=" "), "the answer is blank"),
        (animal_row(spans=[]), "wrong number of spans"),
        (animal_row(spans=["meow", "loud"]), "wrong number of spans"),
        (pitch_row(spans=["flute"]), "wrong number of spans"),
        (animal_row(spans=["woof"]), "a span is not in the sentence"),
        (animal_row(spans=[" "]), "a span is not in the sentence"),
        (pitch_row(spans=["a flute", "flute has"]), "the spans overlap"),
        (animal_row(answer="Meow"), "the answer is in a span"),
        (animal_row(sentence="Cats are loud: a meow comes from a [MASK]."), "the answer is in the sentence"),
        (animal_row(answer="Zombie"), "the answer is blocked"),
        (animal_row(answer="vampires"), "the answer is blocked"),
        (pitch_row(clip_ids=["flute", "rain"]), "a clip has no pitch"),
        (pitch_row(clip_ids=["unknown", "tuba"]), "a clip has no pitch"),
        (pitch_row(clip_ids=["flute", "near"], llm_answer="lower"), "the pitches are too near"),
        (pitch_row(llm_answer="lower"), "the language model contradicts the measurement"),
        (pitch_row(llm_answer="both"), "the language model says neither higher nor lower"),
    ],
)
def test_each_fault_is_named(row, reason):
    found = filter_rows([row], PITCHES)
    assert found.kept == []
    assert [{name: reject[name] for name in row} for reject in found.rejects] == [row]
    assert found.reasons == {reason: 1}


def test_words_that_only_contain_the_answer_give_nothing_away():
    row = animal_row(answer="cat", sentence="The cattle fled from the meow of a [MASK].")
    assert filter_rows([row]).rejects == []


def test_an_animal_named_after_a_blocked_one_is_kept():
    assert filter_rows([animal_row(answer="Tasmanian devil")]).rejects == []


def test_exactly_ten_percent_is_not_more_than_ten_percent():
    pitches = [{"id": "flute", "average_pitch_hz": 100.0}, {"id": "tuba", "average_pitch_hz": 110.0}]
    assert filter_rows([pitch_row(llm_answer="lower")], pitches).reasons == {"the pitches are too near": 1}
    pitches[1]["average_pitch_hz"] = 110.01
    assert filter_rows([pitch_row(llm_answer="lower")], pitches).rejects == []


def test_of_near_duplicates_the_first_is_kept_and_the_others_name_it():
    rows = [
        animal_row(id="1", sentence="At night the meow of a [MASK] rang through the old town."),
        animal_row(id="2", sentence="At night, a meow of the [MASK] rang through the old town!"),
        animal_row(id="3", sentence="At night the meow of a [MASK] rang through that old town."),
        animal_row(id="4", sentence="Nothing but a [MASK] says meow."),
    ]
    found = filter_rows(rows)
    assert [row["id"] for row in found.kept] == ["1", "4"]
    assert [(row["id"], row["detail"]) for row in found.rejects] == [("2", "1"), ("3", "1")]


def test_one_template_with_other_sounds_is_no_near_duplicate():
    rows = [
        pitch_row(id="1"),
        pitch_row(
            id="2",
            sentence="The sound of a bass flute has a [MASK] pitch than the sound of a tuba.",
            spans=["bass flute", "tuba"],
        ),
    ]
    assert filter_rows(rows, PITCHES).rejects == []


def test_one_pitch_sentence_about_other_clips_is_refused():
    rows = [pitch_row(id="1"), pitch_row(id="2", clip_ids=["tuba", "flute"], llm_answer="lower")]
    found = filter_rows(rows, PITCHES)
    assert [row["id"] for row in found.kept] == ["1"]
    assert found.reasons == {"nearly the same as an earlier row": 1}


ROWS = st.lists(
    st.builds(
        animal_row,
        answer=st.sampled_from(["cat", "dog", "zombie", ""]),
        sentence=st.sampled_from(
            ["A [MASK] makes a meow.", "a  [MASK] makes the meow", "No mask, one meow.", "[MASK]: meow"]
        ),
        spans=st.sampled_from([["meow"], ["woof"], []]),
    ),
    max_size=12,
).map(lambda rows: [row | {"id": str(index)} for index, row in enumerate(rows)])


@given(ROWS)
def test_every_row_is_either_kept_or_rejected_and_filtering_again_changes_nothing(rows):
    found = filter_rows(rows)
    assert sorted([row["id"] for row in found.kept + found.rejects], key=int) == [row["id"] for row in rows]
    assert all(row["reason"] for row in found.rejects)
    assert filter_rows(found.kept).kept == found.kept


@given(st.lists(st.frozensets(st.sampled_from("abcdefgh")), max_size=12), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_similar_pairs_are_those_of_brute_force(sets, similarity):
    expected = {
        (first, second)
        for second in range(len(sets))
        for first in range(second)
        if sets[first]
        and sets[second]
        and len(sets[first] & sets[second]) / len(sets[first] | sets[second]) >= similarity
    }
    pairs = list(similar_pairs(sets, similarity))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([animal_row(sentence=None)], r"row 1 \(id 'animal'\): 'sentence' is None, not a text"),
        ([animal_row(spans="meow")], "'spans' is 'meow', not a list of texts"),
        ([animal_row(), animal_row()], r"row 2 \(id 'animal'\): the id stands twice"),
        ([animal_row(task="colours")], "no task 'colours'; give one of animal_sound_recognition"),
        ([pitch_row(clip_ids=["flute"])], "compares 1 clips, not two"),
    ],
)
def test_rows_of_another_form_are_refused(rows, message):
    with pytest.raises(AudioBertInputError, match=message):
        filter_rows(rows, PITCHES)


def test_pitch_rows_need_pitches():
    with pytest.raises(AudioBertInputError, match="give the clips' pitches"):
        filter_rows([pitch_row()])


@pytest.mark.parametrize("settings", [{"min_difference": -1}, {"near_duplicate_similarity": 0}])
def test_thresholds_that_cannot_be_are_refused(settings):
    with pytest.raises(AudioBertInputError, match="give"):
        FilterSettings(**settings)


def test_a_block_list_of_ones_own_is_read(tmp_path):
    (tmp_path / "list.txt").write_text("# mine\nCat\n\n", encoding="utf-8")
    settings = FilterSettings(blocked_answers=read_blocked_answers(tmp_path / "list.txt"))
    assert settings.blocked_answers == {"cat"}
    assert filter_rows([animal_row()], settings=settings).reasons == {"the answer is blocked": 1}
    with pytest.raises(AudioBertInputError, match=r"block list '.*none\.txt'"):
        read_blocked_answers(tmp_path / "none.txt")


def test_the_published_differences_are_those_of_the_formula(shared):
    checked = 0
    for split in ("train", "dev", "test"):
        path = shared / "auditorybench" / "first_release" / f"sound_pitch_comparsion_{split}.csv"
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row["avg_pitch_1"] and row["avg_pitch_2"]:
                    difference = pitch_difference(float(row["avg_pitch_1"]), float(row["avg_pitch_2"]))
                    assert difference == pytest.approx(float(row["difference_percentage"]), rel=1e-12, abs=1e-12)
                    checked += 1
                else:
                    assert not row["difference_percentage"]
    assert checked == 8312 + 1178 + 2387 - 49
