"""Runs of tokens, and the way between characters and tokens."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import tiny_tokenizer

from audiobert.modeling_audiobert.span_decoding import decode_spans, span_character_range, span_token_range


def runs_by_hand(inside: list[bool]) -> list[list[int]]:
    runs, start = [], None
    for position, member in enumerate([*inside, False]):
        if member and start is None:
            start = position
        elif not member and start is not None:
            runs.append([start, position])
            start = None
    return runs


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 3))
def test_spans_are_the_unbroken_runs_the_first_ones_kept(rows, max_spans):
    inside = torch.tensor(rows)
    spans = decode_spans(inside.float(), torch.ones_like(inside), max_spans=max_spans)
    found = [[span for span in row if span != [-1, -1]] for row in spans.tolist()]
    assert found == [runs_by_hand(row)[:max_spans] for row in rows]


def test_what_is_not_eligible_ends_a_span():
    probabilities = torch.full((1, 5), 0.9)
    eligible = torch.tensor([[True, True, False, True, True]])
    assert decode_spans(probabilities, eligible).tolist() == [[[0, 2], [3, 5]]]


def test_a_token_at_the_threshold_belongs_to_the_span():
    probabilities = torch.tensor([[0.25, 0.5, 0.75]])
    eligible = torch.ones(1, 3, dtype=torch.bool)
    assert decode_spans(probabilities, eligible, threshold=0.5).tolist() == [[[1, 3]]]
    assert decode_spans(probabilities, eligible, threshold=0.8).shape == (1, 0, 2)


def token_range(text: str, part: str, **kwargs) -> tuple[tuple[int, int] | None, list]:
    encoding = tiny_tokenizer()(text, return_offsets_mapping=True, return_special_tokens_mask=True, **kwargs)
    start = text.index(part)
    offsets = encoding["offset_mapping"]
    return span_token_range(offsets, start, start + len(part), encoding["special_tokens_mask"]), offsets


def test_spans_at_the_start_the_end_and_inside_words_get_the_tokens_they_touch():
    text = "meow is a sound unquack"
    for part, expected in {
        "meow": (1, 2),
        "eo": (1, 2),
        "a sound": (3, 5),
        "unquack": (5, 7),
        "quack": (6, 7),
        "nqua": (5, 7),
    }.items():
        assert token_range(text, part)[0] == expected, part


def test_what_truncation_cuts_off_is_cut_off_the_span():
    text = "it makes a loud meow sound"
    assert token_range(text, "meow sound", truncation=True, max_length=7)[0] == (5, 6)
    assert token_range(text, "sound", truncation=True, max_length=7)[0] is None


def test_a_span_that_is_not_in_the_sentence_has_no_tokens():
    assert span_token_range([(0, 0), (0, 4), (0, 0)], -1, -1) is None


def test_characters_and_tokens_lead_back_to_each_other():
    text = "when you hear a loud chirp, it is a bird"
    for part in ("loud chirp", "bird", "when"):
        tokens, offsets = token_range(text, part)
        start, end = span_character_range(offsets, *tokens)
        assert text[start:end] == part
