"""Rows to batches: answers expanded, labels where they belong, spans placed, each clip once."""

import pytest
import torch
from tiny_models import tiny_tokenizer

from audiobert.trainers.collation import AudioBertCollator, EncodedRow, encode_rows


def row(sentence: str, answer: str, *spans: str, task: str = "animal_sound_recognition", **fields) -> dict:
    located = [{"text": span, "start": sentence.find(span)} for span in spans]
    located = [{**span, "end": span["start"] + len(span["text"]) if span["start"] >= 0 else -1} for span in located]
    base = {"id": "row-0", "task": task, "choices": None, "answer_index": None}
    return {**base, "sentence": sentence, "answer": answer, "spans": located, **fields}


def tokens(encoded: EncodedRow) -> list[str]:
    return tiny_tokenizer().convert_ids_to_tokens(encoded.input_ids)


def test_an_answer_of_several_pieces_gets_a_mask_and_a_label_for_each():
    (encoded,) = encode_rows([row("the [MASK] makes a meow sound", "unquack", "meow")], tiny_tokenizer(), 64, 8)
    assert tokens(encoded) == ["[CLS]", "the", "[MASK]", "[MASK]", "makes", "a", "meow", "sound", "[SEP]"]
    labelled = [position for position, label in enumerate(encoded.labels) if label != -100]
    assert labelled == [2, 3]
    pieces = tiny_tokenizer().convert_ids_to_tokens([encoded.labels[position] for position in labelled])
    assert pieces == ["un", "##quack"]
    assert encoded.span_positions == [(6, 7)]


def test_spans_before_the_gap_stay_and_those_behind_it_move():
    text = "loud meow is the sound a [MASK] makes, not a buzz"
    (encoded,) = encode_rows([row(text, "unquack", "buzz", "loud meow")], tiny_tokenizer(), 64, 8)
    words = tokens(encoded)
    assert [words[start:end] for start, end in encoded.span_positions] == [["loud", "meow"], ["buzz"]]


def test_rows_without_one_gap_are_left_out_and_spans_that_are_not_there_too():
    rows = [row("a [MASK] is a [MASK]", "cat"), row("no gap", "cat"), row("a [MASK] makes it", "cat", "thunder")]
    encoded = encode_rows(rows, tiny_tokenizer(), 64, 8)
    assert [tokens(one)[1:-1] for one in encoded] == [["a", "[MASK]", "makes", "it"]]
    assert encoded[0].span_positions == []


def test_no_more_spans_than_the_model_hears_are_kept():
    (encoded,) = encode_rows([row("a loud soft [MASK]", "cat", "soft", "loud")], tiny_tokenizer(), 64, 1)
    assert [tokens(encoded)[start:end] for start, end in encoded.span_positions] == [["loud"]]


def encoded_rows() -> list[EncodedRow]:
    return [
        EncodedRow([2, 4, 18, 3], [-100, 23, -100, -100], [(2, 3)], [[7]], [[0.5]]),
        EncodedRow(
            [2, 5, 4, 18, 21, 3], [-100, -100, 24, -100, -100, -100], [(3, 4), (4, 5)], [[2], [7]], [[0.1], [0.2]]
        ),
        EncodedRow([2, 4, 3], [-100, 25, -100], [], [], []),
    ]


@pytest.mark.parametrize("side", ["right", "left"])
def test_labels_and_spans_stay_with_their_tokens_on_either_side_of_the_padding(side):
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    batch = AudioBertCollator(tokenizer)(encoded_rows())
    masked = batch["input_ids"] == 4
    assert torch.equal(batch["labels"] != -100, masked)
    assert batch["labels"][masked].tolist() == [23, 24, 25]
    heard = [
        batch["input_ids"][0, batch["span_positions"][0, 0, 0]],
        batch["input_ids"][1, batch["span_positions"][1, 1, 0]],
    ]
    assert [int(token) for token in heard] == [18, 21]
    assert batch["span_positions"][2].eq(-1).all()


def test_each_clip_of_a_batch_comes_once():
    features = {2: torch.full((3, 2), 2.0), 7: torch.full((3, 2), 7.0)}
    batch = AudioBertCollator(tiny_tokenizer(), features)(encoded_rows())
    assert batch["audio_values"].shape == (2, 3, 2)
    assert batch["clip_ids"][..., 0].tolist() == [[7, -1], [2, 7], [-1, -1]]
    for clip, sound in zip(batch["clip_ids"].flatten().tolist(), batch["audio_ids"].flatten().tolist(), strict=True):
        assert (sound == -1) == (clip == -1)
        if clip >= 0:
            assert batch["audio_values"][sound].eq(clip).all()


def test_a_batch_in_which_nothing_is_heard_brings_no_sounds():
    batch = AudioBertCollator(tiny_tokenizer(), {})(encoded_rows()[2:])
    assert "audio_values" not in batch
    assert batch["span_positions"].shape == (1, 0, 2)
