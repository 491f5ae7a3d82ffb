"""The split: nothing on two sides, every answer shared out, nothing lost, the same for the same seed."""

from collections import Counter

import pytest
from candidate_rows import ANIMAL, PITCH, animal_row, pitch_row
from hypothesis import given, settings
from hypothesis import strategies as st

from audiobert.dataset_scripts.auditorybench.overlap import sentence_key
from audiobert.dataset_scripts.construction.near_duplicates import near_duplicate_rows
from audiobert.dataset_scripts.construction.splitting import split_rows
from audiobert.modeling_audiobert.errors import AudioBertInputError


SIDES = ("train", "validation", "test")


def animal_rows(count: int, answers: int = 3, clips: int | None = None, sentences: int | None = None) -> list[dict]:
    """Rows with an answer each in turn; clips and sentences are shared where fewer are given than rows."""
    return [
        animal_row(
            id=f"a{index}",
            answer=f"animal {index % answers}",
            spans=[f"meow{index % 7}"],
            sentence=f"Number {index % (sentences or count)} says that a [MASK] makes meow{index % 7}.",
            clip_ids=[f"clip {index % (clips or count)}"],
        )
        for index in range(count)
    ]


def pitch_rows(pairs: list[tuple[int, int]]) -> list[dict]:
    return [
        pitch_row(
            id=f"p{index}",
            answer="higher" if index % 2 else "lower",
            spans=[f"sound {first}", f"tone {second}"],
            sentence=f"Compared {index}: sound {first} has a [MASK] pitch than tone {second}.",
            clip_ids=[f"clip {first}", f"clip {second}"],
        )
        for index, (first, second) in enumerate(pairs)
    ]


def ties(row: dict) -> set:
    return {("sentence", sentence_key(row["sentence"])), *(("clip", clip) for clip in row["clip_ids"])}


def assert_nothing_is_on_two_sides(splits: dict[str, list[dict]]):
    sides_of_ties: dict = {}
    for side, rows in splits.items():
        for row in rows:
            for tie in ties(row):
                assert sides_of_ties.setdefault(tie, side) == side, tie
    rows = [(side, row) for side, found in splits.items() for row in found]
    for first, second in near_duplicate_rows([row for _, row in rows]):
        assert rows[first][0] == rows[second][0]


@settings(max_examples=60)
@given(
    rows=st.integers(12, 60),
    answers=st.integers(2, 8),
    clips=st.integers(8, 60),
    sentences=st.integers(8, 60),
    pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40),
    seed=st.integers(0, 5),
)
def test_no_sentence_clip_or_near_duplicate_is_on_two_sides_and_no_row_is_lost(
    rows, answers, clips, sentences, pairs, seed
):
    given_rows = animal_rows(rows, answers, clips, sentences) + (pitch_rows(pairs) if len(pairs) >= 10 else [])
    found, refusal = None, ""
    try:
        found = split_rows(given_rows, seed=seed)
    except AudioBertInputError as error:
        refusal = str(error)
    if found is None:
        assert "hang together" in refusal
        return
    assert_nothing_is_on_two_sides(found.splits)
    ids = [row["id"] for side in found.splits.values() for row in side] + [row["id"] for row in found.rejects]
    assert sorted(ids) == sorted(row["id"] for row in given_rows)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_answer_is_shared_out_seventy_ten_twenty(seed):
    found = split_rows(animal_rows(400, answers=4), seed=seed)
    assert found.rejects == []
    for side, expected in zip(SIDES, (70, 10, 20), strict=True):
        counts = Counter(row["answer"] for row in found.splits[side])
        assert len(counts) == 4
        assert all(abs(count - expected) <= 2 for count in counts.values())


def test_rare_answers_are_spread_over_the_sides_too():
    found = split_rows(animal_rows(200, answers=200))
    assert [len(found.splits[side]) for side in SIDES] == [140, 20, 40]


def test_a_seed_gives_one_split_and_another_seed_another():
    rows = animal_rows(60)
    assert split_rows(rows, seed=1) == split_rows(rows, seed=1)
    assert split_rows(rows, seed=1) != split_rows(rows, seed=2)


def test_rows_of_both_tasks_with_one_clip_stay_together():
    rows = animal_rows(30) + pitch_rows([(index, index) for index in range(30)])
    found = split_rows(rows)
    assert found.rejects == []
    assert_nothing_is_on_two_sides(found.splits)
    for side in SIDES:
        assert Counter(row["task"] for row in found.splits[side])[PITCH] == len(found.splits[side]) / 2


def test_a_chain_of_pairs_is_cut_at_the_cost_of_few_rows():
    found = split_rows(pitch_rows([(index, index + 1) for index in range(200)]))
    assert_nothing_is_on_two_sides(found.splits)
    assert len(found.rejects) <= 4
    assert {row["reason"] for row in found.rejects} == {"its clips are needed on two sides"}
    assert [round(len(found.splits[side]) / 200, 1) for side in SIDES] == [0.7, 0.1, 0.2]


def test_a_large_group_that_a_side_can_hold_is_left_whole():
    rows = animal_rows(100, clips=100)
    for row in rows[:50]:
        row["clip_ids"] = ["one clip"]
    found = split_rows(rows)
    assert found.rejects == []
    assert [len(found.splits[side]) for side in SIDES] == [70, 10, 20]


def test_cuts_of_one_recording_stay_together():
    rows = [row | {"clip_groups": [f"recording {index // 2}"]} for index, row in enumerate(animal_rows(60))]
    found = split_rows(rows)
    sides = {row["id"]: side for side, side_rows in found.splits.items() for row in side_rows}
    assert len(sides) == 60
    assert all(sides[f"a{index}"] == sides[f"a{index + 1}"] for index in range(0, 60, 2))


def test_wiki_rows_go_to_wiki_and_their_sentences_nowhere_else():
    rows = animal_rows(30)
    wiki = [animal_row(id="w", sentence=rows[0]["sentence"].upper().replace("[MASK]", "[MASK]"), clip_ids=[])]
    found = split_rows(rows, wiki)
    assert found.splits["wiki"] == wiki
    assert [(row["id"], row["reason"]) for row in found.rejects] == [("a0", "the sentence stands in the wiki split")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row is left to split"),
        (animal_rows(9), f"{ANIMAL} has 9 rows; to be split 70/10/20, it needs 10"),
        (animal_rows(30, answers=1), f"every answer of {ANIMAL} is 'animal 0'"),
        (animal_rows(30, clips=1), f"no row of {ANIMAL} is left for validation: its rows hang together"),
        (animal_rows(30) + pitch_rows([(1, 2)]), f"{PITCH} has 1 rows"),
    ],
    ids=["none", "few", "one answer", "one clip", "few of one task"],
)
def test_rows_that_cannot_be_split_are_refused(rows, message):
    with pytest.raises(AudioBertInputError, match=message):
        split_rows(rows)
