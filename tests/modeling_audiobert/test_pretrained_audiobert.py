"""Saving, loading and placing a model with its bank."""

import sys

import pytest
import torch
from tiny_audiobert import SPANS, assemble, batch
from tiny_models import LANGUAGE_MODELS
from transformers import AutoModelForMaskedLM

from audiobert import AudioBertInputError


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_saving_and_loading_returns_equal_tensors_logits_bank_and_evidence(parts, tmp_path, language_model):
    model = assemble(parts, language_model)
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path)
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.bank.clips.equals(model.bank.clips)
    assert torch.equal(again.bank.keys, model.bank.keys)
    assert torch.equal(again.bank.values, model.bank.values)
    inputs = batch(parts, language_model)
    with torch.no_grad():
        one, other = model(**inputs), again(**inputs)
    for name in ("logits", "span_positions", "clip_ids", "similarities"):
        assert torch.equal(one[name], other[name]), name
    assert [n for n, p in again.named_parameters() if p.requires_grad] == [
        n for n, p in model.named_parameters() if p.requires_grad
    ]


def test_a_saved_model_tells_nothing_of_the_writers_machine(parts, tmp_path):
    assemble(parts).save_pretrained(tmp_path)
    texts = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".py")]
    assert texts
    assert not [path.name for path in texts if str(parts.clap.parent) in path.read_text(encoding="utf-8")]


def test_the_bank_stays_with_the_model_wherever_it_is_placed(parts, tmp_path):
    model = assemble(parts)
    inputs = batch(parts)
    model.save_pretrained(tmp_path)
    placed = AutoModelForMaskedLM.from_pretrained(tmp_path, device_map={"": "cpu"})
    with torch.no_grad():
        expected = model(**inputs, span_positions=SPANS)
        for moved in (placed, model.to("cpu"), model.to(torch.float64)):
            output = moved(**inputs, span_positions=SPANS)
            assert torch.equal(output.clip_ids, expected.clip_ids)
            torch.testing.assert_close(output.logits.float(), expected.logits, atol=1e-5, rtol=1e-4)


def test_an_index_is_loaded_with_its_model_or_left_out_where_its_package_is_missing(parts, tmp_path, monkeypatch):
    model = assemble(parts)
    exact = model.bank
    model.bank = exact.with_values(exact.values, exact.value_fingerprint)
    model.bank.build_index("hnsw", recall=1.0)
    model.save_pretrained(tmp_path)
    inputs = batch(parts)
    indexed = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert indexed.bank.index_kind == "hnsw"
    indexed.refresh_values(exact.values)
    assert indexed.bank.index_kind == "hnsw"
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(AudioBertInputError, match=r"audiobert\[faiss\].*bank_index=\"exact\" of from_pretrained"):
        AutoModelForMaskedLM.from_pretrained(tmp_path)
    without = AutoModelForMaskedLM.from_pretrained(tmp_path, bank_index="exact")
    assert without.bank.index is None
    monkeypatch.undo()
    with torch.no_grad():
        outputs = [one(**inputs, span_positions=SPANS) for one in (model, indexed, without)]
    for output in outputs[1:]:
        assert torch.equal(output.logits, outputs[0].logits)
        assert torch.equal(output.clip_ids, outputs[0].clip_ids)
