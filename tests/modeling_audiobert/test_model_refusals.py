"""What the model refuses, and what it says then."""

import pytest
import torch
from tiny_audiobert import SPANS, assemble, batch
from transformers import AutoModelForMaskedLM

from audiobert import AudioBank, AudioBertForMaskedLM, AudioBertInputError


def test_a_bank_made_by_another_encoder_is_refused(parts):
    model = assemble(parts)
    bank = model.bank
    for fingerprints in (("another", bank.value_fingerprint), (bank.key_fingerprint, "another")):
        foreign = AudioBank(bank.clips, bank.keys, bank.values, *fingerprints)
        with pytest.raises(AudioBertInputError, match=r"made by .* another, this model's .*bank build"):
            model.bank = foreign


def test_values_are_refused_once_the_encoder_was_trained_until_they_are_refreshed(parts, tmp_path):
    model = assemble(parts)
    inputs = batch(parts)
    with torch.no_grad():
        next(model.audio_encoder.parameters()).add_(1.0)
        with pytest.raises(AudioBertInputError, match="values of the audio bank"):
            model(**inputs, span_positions=SPANS)
        model.save_pretrained(tmp_path)
        with pytest.raises(AudioBertInputError, match="values of the audio bank"):
            AutoModelForMaskedLM.from_pretrained(tmp_path)(**inputs, span_positions=SPANS)
        model.refresh_values(torch.randn(len(model.bank), model.bank.values.shape[1]))
        refreshed = model(**inputs, span_positions=SPANS)
        model.save_pretrained(tmp_path)
        again = AutoModelForMaskedLM.from_pretrained(tmp_path)(**inputs, span_positions=SPANS)
    assert torch.equal(refreshed.logits, again.logits)


def test_missing_weights_are_refused_instead_of_drawn_at_random(parts, tmp_path):
    from safetensors.torch import load_file, save_file

    assemble(parts).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "lora_B" not in name}
    assert len(kept) < len(weights)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AudioBertInputError, match=r"lacks .*lora_B"):
        AutoModelForMaskedLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"span_positions": torch.tensor([[[1, 99]]] * 3)}, "tokens 1 to 99"),
        ({"span_positions": torch.tensor([[[2, 2]]] * 3)}, "tokens 2 to 2"),
        ({"span_positions": torch.zeros(2, 1, 2).long()}, r"must be \(3, num_spans, 2\)"),
        ({"span_positions": SPANS, "clip_ids": torch.full((3, 2), 9)}, "names clip 9, but the audio bank has 5"),
        ({"span_positions": SPANS, "clip_ids": torch.zeros(3, 1).long()}, "clip_ids of shape"),
        ({"span_positions": SPANS, "audio_values": torch.zeros(2, 64, 32)}, "need audio_ids"),
        ({"span_positions": SPANS, "audio_values": torch.zeros(3, 1, 64, 32)}, "one sound for each span"),
    ],
    ids=["beyond the row", "empty span", "rows", "no such clip", "clips of spans", "which sound", "sounds of spans"],
)
def test_inputs_that_do_not_fit_are_named(parts, inputs, message):
    model = assemble(parts)
    with pytest.raises(AudioBertInputError, match=message):
        model(**batch(parts), **inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"injection": "ad"}, "injection='ad' is not known.*add, replace"),
        ({"query_template": "the sound"}, "query_template='the sound'"),
        ({"query_template": "{span} of {other}"}, "no other brace"),
        ({"max_spans": 0}, "max_spans=0 is too small"),
        ({"min_similarity": 2.0}, "min_similarity=2.0 lies outside"),
        ({"lora_target_modules": ["nothing"]}, "no linear layer is named nothing"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_that_mean_nothing_are_refused(parts, settings, message):
    with pytest.raises(AudioBertInputError, match=message):
        assemble(parts, **settings)


def test_parts_that_do_not_belong_together_are_refused(parts, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"there is no folder .\./nowhere'"):
        AudioBertForMaskedLM.from_parts(parts.language_model, parts.span_detector, parts.clap, "./nowhere")
    with pytest.raises(AudioBertInputError, match=r"lacks .* of the weights of BertForTokenClassification"):
        AudioBertForMaskedLM.from_parts(parts.language_model, parts.language_model, parts.clap, parts.audio_encoder)
