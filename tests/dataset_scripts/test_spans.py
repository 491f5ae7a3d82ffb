"""Where a span lies in its sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiobert.dataset_scripts.auditorybench.spans import locate_span


LETTERS = st.text(alphabet="aAbB é.'-", min_size=1, max_size=8)


@given(before=LETTERS, span=LETTERS, after=LETTERS)
def test_a_found_span_reads_as_the_span_whatever_its_case(before, span, after):
    sentence = before + span + after
    start, end = locate_span(sentence, span)
    if span.strip():
        assert sentence[start:end].lower() == span.strip().lower()
    else:
        assert (start, end) == (-1, -1)


@pytest.mark.parametrize(
    ("sentence", "span", "found"),
    [
        ("Meow is what a [MASK] says.", "meow", "Meow"),
        ("A homeowner hears a meow.", "meow", "meow"),
        ("A caterwaul is loud.", "cat", "cat"),
        ("A cat hears a cat.", "cat", "cat"),
        ("It says 'kurr.' at night.", "'kurr.'", "'kurr.'"),
        ("It barks (woof).", " (woof) ", "(woof)"),
    ],
    ids=["other case", "whole word first", "inside a word", "first of two", "punctuation", "white space around"],
)
def test_a_span_is_found_as_a_reader_would(sentence, span, found):
    start, end = locate_span(sentence, span)
    assert sentence[start:end] == found


@pytest.mark.parametrize("longer", ["catfish", "tomcat", "concatenate"])
def test_whole_words_go_before_an_earlier_place_inside_a_word(longer):
    sentence = f"The {longer} fears the cat."
    assert locate_span(sentence, "cat") == (len(sentence) - 4, len(sentence) - 1)


def test_the_first_of_several_places_is_taken():
    assert locate_span("The bass is lower than the bass drum.", "bass") == (4, 8)


@pytest.mark.parametrize("span", ["", "  ", "moo", "mask", "as"])
def test_what_is_not_in_the_sentence_is_minus_one(span):
    assert locate_span("Woof says the [MASK].", span) == (-1, -1)


def test_letters_of_the_mask_token_do_not_hide_a_later_place():
    assert locate_span("A [MASK] wears a mask.", "mask") == (17, 21)
