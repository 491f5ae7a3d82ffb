import json
import shutil

import pytest
from transformers import AutoModelForMaskedLM, AutoModelForTokenClassification, AutoTokenizer, ClapModel

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError


def test_the_standard_classes_load(parts):
    assert load_part(AutoModelForMaskedLM, parts.language_model).config.model_type == "bert"
    assert load_part(ClapModel, parts.clap).config.model_type == "clap"
    assert load_part(AutoTokenizer, parts.clap).mask_token == "[MASK]"


def test_a_new_head_must_be_asked_for(parts):
    with pytest.raises(AudioBertInputError, match=r"lacks 2 of the weights of BertForTokenClassification"):
        load_part(AutoModelForTokenClassification, parts.language_model)
    model = load_part(AutoModelForTokenClassification, parts.language_model, complete=False, num_labels=3)
    assert model.num_labels == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/no/such/folder", "there is no folder '/no/such/folder'"),
        ("./model", "there is no folder './model'"),
        ("one two", "'one two' is neither a local folder nor a valid Hub id"),
        # HF_HUB_OFFLINE is set for all tests, which is one way of not reaching the Hub.
        ("nobody/nothing", "the Hub could not be reached to look for it"),
    ],
)
@pytest.mark.parametrize("part_class", [AutoModelForMaskedLM, AutoTokenizer, ClapModel])
def test_a_checkpoint_that_is_nowhere_is_named(part_class, name, reason):
    with pytest.raises(AudioBertInputError, match=reason):
        load_part(part_class, name)


def test_a_checkpoint_of_another_kind_is_refused(parts):
    with pytest.raises(AudioBertInputError, match=r"model_type 'bert'; a 'clap' \(ClapModel\) is needed"):
        load_part(ClapModel, parts.language_model)
    with pytest.raises(AudioBertInputError, match=r"model_type 'clap', which AutoModelForMaskedLM cannot load"):
        load_part(AutoModelForMaskedLM, parts.clap)


@pytest.mark.parametrize("damage", ["truncated", "missing", "pickled", "config"])
def test_a_damaged_checkpoint_is_named(parts, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(parts.language_model, folder)
    weights = folder / "model.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "config":
        (folder / "config.json").write_text("{")
    else:
        weights.rename(folder / "pytorch_model.bin") if damage == "pickled" else weights.unlink()
    with pytest.raises(AudioBertInputError, match=f"cannot load '{folder}'"):
        load_part(AutoModelForMaskedLM, folder)


def test_a_file_or_an_unknown_model_type_is_named(parts, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"config.json' is a file; give the folder"):
        load_part(AutoModelForMaskedLM, parts.language_model / "config.json")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "not-known"}))
    with pytest.raises(AudioBertInputError, match="not-known"):
        load_part(AutoModelForMaskedLM, tmp_path)
