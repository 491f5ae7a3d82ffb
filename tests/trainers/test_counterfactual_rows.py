"""The same words with another sound, and the answer that is then right."""

from dataclasses import replace

from tiny_models import tiny_tokenizer

from audiobert.trainers.collation import EncodedRow, encode_rows
from audiobert.trainers.counterfactual_rows import draw_clips, with_counterfactuals, with_hidden_names


CAT, DOG, BIRD, UN, QUACK, HIGHER, LOWER = range(20, 27)


def call(answer: list[int], clip: int) -> EncodedRow:
    gap = [4] * len(answer)
    return EncodedRow([2, *gap, 9, 3], [-100, *answer, -100, -100], [(1 + len(gap), 2 + len(gap))], [[clip]], [[0.5]])


def comparison(answer: int, opposite: int, clips: tuple[int, int]) -> EncodedRow:
    return EncodedRow(
        [2, 9, 4, 10, 3],
        [-100, -100, answer, -100, -100],
        [(1, 2), (3, 4)],
        [[clip] for clip in clips],
        [[0.1], [0.2]],
        opposite,
    )


def answer(row: EncodedRow) -> list[int]:
    return [label for label in row.labels if label != -100]


def test_two_sounds_are_exchanged_and_the_answer_turns_round():
    row = comparison(HIGHER, LOWER, (5, 6))
    same, other = with_counterfactuals([row], 2, seed=0)
    assert same == row
    assert (other.input_ids, other.span_positions) == (row.input_ids, row.span_positions)
    assert (other.clip_ids, other.similarities, answer(other)) == ([[6], [5]], [[0.2], [0.1]], [LOWER])


def test_one_sound_gives_way_to_another_rows_with_that_rows_answer():
    rows = [call([CAT], 1), call([DOG], 2), call([BIRD], 3)]
    result = with_counterfactuals(rows, 2, seed=0)
    assert len(result) == 9
    right = {1: [CAT], 2: [DOG], 3: [BIRD]}
    for place, row in enumerate(rows):
        versions = result[3 * place : 3 * place + 3]
        assert sorted(version.clip_ids[0][0] for version in versions) == [1, 2, 3]
        assert all(answer(version) == right[version.clip_ids[0][0]] for version in versions)
        assert all(version.input_ids == row.input_ids for version in versions)


def test_an_answer_of_several_pieces_is_exchanged_with_one_of_as_many_only():
    rows = [call([CAT], 1), call([UN, QUACK], 2), call([UN, BIRD], 3)]
    result = with_counterfactuals(rows, 5, seed=0)
    assert [answer(row) for row in result] == [[CAT], [UN, QUACK], [UN, BIRD], [UN, BIRD], [UN, QUACK]]


def test_rows_that_are_not_heard_or_have_no_opposite_stay_alone():
    silent = EncodedRow([2, 4, 9, 3], [-100, CAT, -100, -100], [(2, 3)], [[-1]], [[-1.0]])
    half = comparison(HIGHER, LOWER, (5, -1))
    open_ended = comparison(CAT, None, (5, 6))
    rows = [silent, half, open_ended, call([DOG], 2)]
    assert with_counterfactuals(rows, 3, seed=0) == rows


def test_none_are_made_unless_asked_for_and_the_seed_decides_which():
    rows = [call([answer], clip) for clip, answer in enumerate(range(100, 120))]
    assert with_counterfactuals(rows, 0, seed=0) == rows
    assert with_counterfactuals(rows, 1, seed=0) == with_counterfactuals(rows, 1, seed=0)
    assert with_counterfactuals(rows, 1, seed=0) != with_counterfactuals(rows, 1, seed=1)


def test_a_share_of_the_rows_have_counterfactuals():
    rows = [comparison(HIGHER, LOWER, (clip, clip + 1)) for clip in range(400)]
    assert with_counterfactuals(rows, 1, seed=0, share=0.0) == rows
    some = with_counterfactuals(rows, 1, seed=0, share=0.25)
    assert len(rows) + 60 < len(some) < len(rows) + 140
    assert [row for row in some if answer(row) == [HIGHER]] == rows
    assert some != with_counterfactuals(rows, 1, seed=1, share=0.25)


def test_an_encoded_comparison_knows_its_opposite():
    sentence = "the meow makes a [MASK] sound than the buzz"
    row = {
        "id": "row-0",
        "task": "sound_pitch_comparison",
        "sentence": sentence,
        "answer": "lower",
        "choices": ["higher", "lower"],
        "answer_index": 1,
        "spans": [{"text": "meow", "start": 4, "end": 8}],
    }
    tokenizer = tiny_tokenizer()
    (encoded,) = encode_rows([row], tokenizer, 64, 8)
    assert tokenizer.convert_ids_to_tokens([encoded.opposite, *answer(encoded)]) == ["higher", "lower"]


def test_clips_are_drawn_of_those_that_were_found_the_best_first():
    row = EncodedRow([2, 9, 4, 3], [-100, -100, CAT, -100], [(1, 2)], [[7, 8, 9, -1]], [[0.9, 0.8, 0.7, 0.1]])
    drawn = draw_clips([row] * 30, 2, seed=0)
    pairs = {tuple(one.clip_ids[0]) for one in drawn}
    assert pairs == {(7, 8), (7, 9), (8, 9)}
    for one in drawn:
        assert one.similarities[0] == [{7: 0.9, 8: 0.8, 9: 0.7}[clip] for clip in one.clip_ids[0]]
    (short,) = draw_clips([replace(row, clip_ids=[[7, -1, -1]], similarities=[[0.9, 0.2, 0.1]])], 2, seed=0)
    assert (short.clip_ids, short.similarities) == ([[7, -1]], [[0.9, 0.2]])


def test_a_hidden_name_reads_as_masks_and_still_hears_the_same():
    row = comparison(HIGHER, LOWER, (5, -1))
    (hidden,) = with_hidden_names([row], 1.0, seed=0, mask_token_id=4)
    assert hidden == replace(row, input_ids=[2, 4, 4, 10, 3])  # the second name is not heard, so it stays
    assert row.input_ids == [2, 9, 4, 10, 3]


def test_names_are_hidden_in_as_many_rows_as_are_asked_for():
    rows = [comparison(HIGHER, LOWER, (5, 6)) for _ in range(200)]
    changed = sum(row.input_ids != rows[0].input_ids for row in with_hidden_names(rows, 0.25, 0, 4))
    assert 30 < changed < 70
    assert with_hidden_names(rows, 0.0, 0, 4) == rows
    assert with_hidden_names(rows, 0.25, 0, 4) == with_hidden_names(rows, 0.25, 0, 4)
