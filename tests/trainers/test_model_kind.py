import json

import pytest
from hearing_model import save_hearing_model
from tiny_causal_families import save_family

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.model_kind import model_kind


def configuration(folder, **content):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def test_the_class_that_saved_a_checkpoint_decides(parts, tmp_path):
    for folder in parts.language_models.values():
        assert model_kind(folder) == "masked"
    for family in ("gpt2", "llama", "gemma2"):
        assert model_kind(save_family(tmp_path / family, family)) == "causal"
    assert model_kind(save_hearing_model(parts, tmp_path / "hearing")) == "audiobert"
    as_decoder = configuration(tmp_path / "decoder", model_type="bert", architectures=["BertForCausalLM"])
    assert model_kind(as_decoder) == "causal"


@pytest.mark.parametrize(("model_type", "kind"), [("bert", "masked"), ("roberta", "masked"), ("gpt2", "causal")])
@pytest.mark.parametrize("saved_by", [[], ["SomethingModel"]])
def test_a_bare_encoder_is_what_its_type_is_made_for(tmp_path, model_type, kind, saved_by):
    assert model_kind(configuration(tmp_path / "bare", model_type=model_type, architectures=saved_by)) == kind


@pytest.mark.parametrize(("model_type", "saved_by"), [("vit", "ViTModel"), ("t5", "T5ForConditionalGeneration")])
def test_a_model_of_neither_kind_is_refused_by_its_name(tmp_path, model_type, saved_by):
    folder = configuration(tmp_path / "other", model_type=model_type, architectures=[saved_by])
    with pytest.raises(AudioBertInputError, match=rf"other' .*model_type '{model_type}' \({saved_by}\), neither"):
        model_kind(folder)
