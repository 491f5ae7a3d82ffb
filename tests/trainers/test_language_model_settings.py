"""Dropout and attention of the language model, set for training alone."""

import pytest
import torch
import transformers
from tiny_audiobert import assemble

from audiobert import AudioBertInputError
from audiobert.trainers.language_model_settings import LanguageModelSettings


def test_dropout_changes_in_the_language_model_and_not_in_its_adapter(parts):
    model = assemble(parts, lora_dropout=0.25)
    LanguageModelSettings(dropout=0.0).apply(model.language_model)
    layers = {
        name: module.p for name, module in model.language_model.named_modules() if isinstance(module, torch.nn.Dropout)
    }
    adapters = {name for name in layers if "lora_dropout" in name}
    assert adapters
    assert adapters < set(layers)
    assert all(layers[name] == (0.25 if name in adapters else 0.0) for name in layers)


def test_the_attention_is_the_language_models_own_and_gives_the_same_answers(parts, caplog):
    model = assemble(parts)
    inputs = {"input_ids": torch.tensor([[2, 7, 4, 9, 3]])}
    with torch.no_grad():
        before = model.language_model(**inputs).logits
        LanguageModelSettings(attention="eager").apply(model.language_model)
        after = model.language_model(**inputs).logits
    changed = model.language_model.config._attn_implementation == "eager"
    assert changed or int(transformers.__version__.split(".")[0]) < 5
    assert changed is not ("cannot change it" in caplog.text)
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"dropout": 1.0}, "dropout is 1.0"), ({"attention": "keen"}, "attention=keen is refused")],
)
def test_what_cannot_be_set_is_refused(parts, settings, reason):
    language_model = assemble(parts).language_model
    with pytest.raises(AudioBertInputError, match=reason):
        LanguageModelSettings(**settings).apply(language_model)
