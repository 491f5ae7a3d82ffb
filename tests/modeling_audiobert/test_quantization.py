"""Queries embedded in int8: near the exact ones, quick to take back, and nothing that is saved."""

import pytest
import torch
from tiny_audiobert import assemble
from torch.ao.nn.quantized.dynamic import Linear as QuantizedLinear

from audiobert import AudioBertForMaskedLM, AudioBertInputError
from audiobert.modeling_audiobert.quantization import quantized


TEXTS = ["cat", "a dog", "bird"]


def test_quantised_queries_lie_near_and_are_taken_back_bit_for_bit(parts):
    model = assemble(parts)
    exact = model.embed_queries(TEXTS)
    model.quantize_queries()
    near = model.embed_queries(TEXTS)
    assert not torch.equal(near, exact)
    assert torch.nn.functional.cosine_similarity(near, exact).min() > 0.99
    model.quantize_queries(False)
    assert torch.equal(model.embed_queries(TEXTS), exact)


def test_what_is_saved_is_not_quantised(parts, tmp_path):
    model = assemble(parts)
    exact, names = model.embed_queries(TEXTS), list(model.state_dict())
    model.quantize_queries()
    assert list(model.state_dict()) == names
    model.save_pretrained(tmp_path)
    assert torch.equal(AudioBertForMaskedLM.from_pretrained(tmp_path).embed_queries(TEXTS), exact)


def test_only_linear_layers_are_new_and_the_original_keeps_its_own():
    part = torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 3))
    twin = quantized(part)
    assert twin[0].weight is part[0].weight
    assert isinstance(twin[2], QuantizedLinear)
    assert type(part[2]) is torch.nn.Linear


def test_a_part_that_is_on_no_processor_is_refused():
    with pytest.raises(AudioBertInputError, match="the model is on meta"):
        quantized(torch.nn.Linear(2, 2, device="meta"))
