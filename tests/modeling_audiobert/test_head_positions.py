"""The vocabulary head at some positions alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tiny_audiobert import SPANS, assemble, batch
from transformers import AutoModelForMaskedLM

from audiobert import AudioBertInputError
from audiobert.modeling_audiobert.head_positions import head_at, label_positions, prepare_head


INPUTS = {"input_ids": torch.tensor([[2, 8, 4, 9, 3, 0], [2, 9, 4, 4, 8, 3]])}
POSITIONS = torch.tensor([[2, 0], [2, 3]])


@pytest.fixture
def language_model(parts):
    model = AutoModelForMaskedLM.from_pretrained(parts.language_model).eval()
    prepare_head(model)
    return model


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model(**INPUTS).logits


def test_positions_are_those_of_the_labels_in_their_order():
    labels = torch.tensor([[-100, 7, -100, 8], [-100, -100, -100, -100], [-100, -100, 9, -100]])
    positions, there = label_positions(labels)
    assert there.tolist() == [[7, 8], [-100, -100], [9, -100]]
    assert torch.equal(labels.gather(1, positions), there)
    positions, there = label_positions(torch.full((2, 3), -100))
    assert (positions.shape, there.tolist()) == ((2, 1), [[-100], [-100]])
    assert label_positions(torch.empty(0, 3, dtype=torch.long))[0].shape == (0, 1)


def test_logits_within_the_block_are_those_of_the_positions_and_afterwards_all(language_model):
    everywhere = logits(language_model)
    with head_at(language_model, POSITIONS):
        there = logits(language_model)
    expected = everywhere.gather(1, POSITIONS.unsqueeze(-1).expand(-1, -1, everywhere.shape[-1]))
    torch.testing.assert_close(there, expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(RuntimeError, match="within"), head_at(language_model, POSITIONS):
        raise RuntimeError("within")
    assert torch.equal(logits(language_model), everywhere)


def test_rows_strung_together_for_the_head_are_cut_behind_it(language_model):
    everywhere = logits(language_model)
    bert = language_model.base_model
    strung = bert.register_forward_hook(lambda _, __, output: replaced(output, output[0].flatten(0, 1)), prepend=True)
    apart = language_model.register_forward_hook(
        lambda _, __, output: replaced(output, output[0].unflatten(0, (2, 6))), prepend=True
    )
    with strung, apart, head_at(language_model, POSITIONS):
        for _ in range(2):
            there = logits(language_model)
            expected = everywhere.gather(1, POSITIONS.unsqueeze(-1).expand(-1, -1, everywhere.shape[-1]))
            torch.testing.assert_close(there, expected, atol=1e-5, rtol=1e-4)


def replaced(output, value: torch.Tensor):
    output[next(iter(output))] = value
    return output


def test_a_head_is_prepared_until_it_is_closed(parts):
    model = AutoModelForMaskedLM.from_pretrained(parts.language_model).eval()
    with prepare_head(model), head_at(model, POSITIONS):
        assert logits(model).shape[1] == 2
    with head_at(model, POSITIONS):
        assert logits(model).shape[1] == 6


def test_another_thread_and_another_model_are_not_concerned(language_model, parts):
    other = AutoModelForMaskedLM.from_pretrained(parts.language_model).eval()
    prepare_head(other)
    with head_at(language_model, POSITIONS), ThreadPoolExecutor(1) as threads:
        assert logits(other).shape[1] == 6
        assert threads.submit(logits, language_model).result().shape[1] == 6
        assert logits(language_model).shape[1] == 2


def test_an_audiobert_that_is_asked_for_labels_alone_needs_labels(parts):
    model = assemble(parts)
    with pytest.raises(AudioBertInputError, match="but no labels were given"):
        model(**batch(parts), span_positions=SPANS, asked_logits_only=True)


def test_the_unmodified_models_logits_are_cut_alike(parts):
    model = assemble(parts)
    inputs = batch(parts)
    labels = torch.full_like(inputs["input_ids"], -100)
    labels[:, 1] = 18
    asked = {"labels": labels, "span_positions": SPANS, "output_hearing_off": True}
    with torch.no_grad():
        everywhere, there = (model(**inputs, **asked, asked_logits_only=only) for only in (False, True))
    for name in ("logits", "hearing_off_logits"):
        torch.testing.assert_close(there[name][:, 0], everywhere[name][:, 1], atol=1e-5, rtol=1e-4)
