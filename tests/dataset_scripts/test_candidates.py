"""What a row may be answered with, and how the sentence then reads."""

import pytest

from audiobert.dataset_scripts.auditorybench.candidates import candidates_of, filled_sentence, train_answers
from audiobert.modeling_audiobert.errors import AudioBertInputError


def row(answer: str = "cat", choices=None, sentence: str = "Meow goes the [MASK].") -> dict:
    return {"id": "asr-test-00000", "sentence": sentence, "answer": answer, "choices": choices}


def test_answers_that_differ_in_case_and_space_are_one_written_as_most_often():
    answers = ["House Wren", "dog", "house wren", "house  wren", "Dog", "ant"]
    assert train_answers(row(answer) for answer in answers) == ["ant", "Dog", "house wren"]


def test_a_row_is_answered_by_its_own_choices_before_those_of_train():
    assert candidates_of(row(choices=["dog", "Cat "]), ["ant", "cat"]) == (["dog", "Cat "], 1)
    assert candidates_of(row(), ["ant", "cat"]) == (["ant", "cat"], 1)


def test_an_answer_that_is_no_candidate_has_no_place():
    assert candidates_of(row("whale"), ["ant", "cat"]) == (["ant", "cat"], None)


def test_a_row_without_any_candidate_is_refused_by_its_id():
    with pytest.raises(AudioBertInputError, match=r"'asr-test-00000' has no choices.*with a train split"):
        candidates_of(row(), [])


def test_a_filled_sentence_differs_in_its_gap_only():
    assert filled_sentence(row(), "House Wren") == "Meow goes the House Wren."
    with pytest.raises(AudioBertInputError, match=r"'asr-test-00000' has 2 \[MASK\]"):
        filled_sentence(row(sentence="[MASK] or [MASK]"), "cat")
