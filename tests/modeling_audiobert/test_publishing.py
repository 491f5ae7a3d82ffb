"""Model cards, and uploads to a stand-in for the Hub on 127.0.0.1."""

import ast
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from http_stand_in import serving
from hub_stand_in import COMMIT, HubState, hub_handler
from huggingface_hub import EvalResult, ModelCard
from tiny_audiobert import assemble
from tiny_bank import random_bank

from audiobert import AudioBertForMaskedLM, AudioBertInputError
from audiobert.modeling_audiobert import modeling_audiobert
from audiobert.modeling_audiobert.model_card import RunFacts, audiobert_card


RESULT = EvalResult(
    task_type="fill-mask",
    dataset_type="auditorybench",
    dataset_name="AuditoryBench",
    dataset_config="combined",
    dataset_split="test",
    metric_type="accuracy",
    metric_name="accuracy, hearing on",
    metric_value=0.5,
)


def test_every_module_of_the_model_is_named_where_transformers_4_looks_for_what_to_copy():
    package = Path(modeling_audiobert.__file__)
    imported = {
        node.module
        for node in ast.walk(ast.parse(package.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 1
    }
    assert {file.stem for file in package.parent.glob("*.py")} - imported == {"__init__", package.stem}


@pytest.fixture(scope="module")
def model(parts):
    return assemble(parts)


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path / "ears")
    return tmp_path / "ears"


@pytest.fixture
def hub(monkeypatch, online):
    """A stand-in that huggingface_hub takes for the Hub, with leave to reach it and a token."""
    # Which transformers 4 remembers from its import.
    monkeypatch.setattr("transformers.utils.hub._is_offline_mode", False, raising=False)
    # Made by whoever loads a model first, with the address of then: it would ask the real Hub, and for a minute again.
    monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)
    # The stand-in takes large files as Git LFS does; Xet, which the real Hub also offers, is a service of its own.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    state = HubState("hf_right", kind="models")
    with serving(hub_handler(state)) as address, pytest.MonkeyPatch.context() as patch:
        template = huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE
        for module in ("constants", "file_download"):  # the second has a copy, below huggingface_hub 1.0
            name = f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE"
            patch.setattr(name, template.replace(huggingface_hub.constants.ENDPOINT, address), raising=False)
        patch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        patch.setattr("huggingface_hub.hf_api.api.endpoint", address)
        yield state


def test_a_saved_folder_has_a_card_of_what_it_is_made_of(model, folder):
    card = ModelCard.load(folder / "README.md")
    assert (card.data.pipeline_tag, card.data.library_name, card.data.language) == ("fill-mask", "transformers", "en")
    assert "audiobert" in card.data.tags
    assert all("[MASK]" in example["text"] for example in card.data.widget)
    assert '"audio-fill-mask", model="ears"' in card.text
    assert f"| {sum(weight.numel() for weight in model.audio_encoder.parameters()):,} |" in card.text
    assert "5 clips" in card.text
    assert "| CC0 | 5 |" in card.text
    assert f"Keys from their sounds by CLAP `{model.bank.key_fingerprint}`" in card.text
    assert "not recorded" in card.text.partition("## Training")[2].partition("## Results")[0]
    assert card.data.eval_results is None
    assert str(folder.parent) not in card.content


def test_the_card_tells_keys_from_captions(parts):
    model = assemble(parts, "bert")
    model.bank = random_bank(model).with_keys(model.bank.keys, "captions")
    assert "Keys from their captions by CLAP" in audiobert_card(model, "me/model")


def test_widget_examples_have_the_models_own_mask_token(parts, tmp_path):
    # The tiny RoBERTa writes [MASK] too, so the token is taken from the tokenizer here.
    model = assemble(parts, "roberta")
    model.retriever.tokenizer.mask_token = "<mask>"
    card = ModelCard(audiobert_card(model, "me/model"))
    assert all("<mask>" in example["text"] for example in card.data.widget)


def test_what_a_run_recorded_is_told_and_its_results_come_back_from_the_header(model):
    run = RunFacts(
        training={"rows": "12", "seed": None},
        results=[RESULT],
        environment={"hours of training": "0.50", "hardware": "2 CPU cores"},
        recipe="kind: audiobert\n",
        metadata={"license": "apache-2.0", "base_model": "google-bert/bert-base-uncased"},
    )
    card = ModelCard(audiobert_card(model, "me/model", run))
    assert card.data.eval_results == [RESULT]
    assert card.data.model_name == "model"
    assert yaml.safe_load(card.data.to_yaml())["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5
    assert (card.data.license, card.data.base_model) == ("apache-2.0", "google-bert/bert-base-uncased")
    assert "| AuditoryBench | combined | test | accuracy, hearing on | 0.5 |" in card.text
    for line in ("- rows: 12", "- seed: not recorded", "- hours of training: 0.50", "- CO2: not recorded"):
        assert line in card.text
    assert "```yaml\nkind: audiobert\n```" in card.text


def test_a_loaded_model_keeps_its_card_until_it_is_changed(model, folder, tmp_path):
    text = (folder / "README.md").read_text() + "\nA line of its maker.\n"
    (folder / "README.md").write_text(text)
    loaded = AudioBertForMaskedLM.from_pretrained(folder)
    loaded.save_pretrained(tmp_path / "copy")
    copied = (tmp_path / "copy" / "README.md").read_text()
    assert copied == text.replace('model="ears"', 'model="copy"').replace(" ears", " copy")
    assert copied != text
    with torch.no_grad():
        next(weight for weight in loaded.parameters() if weight.requires_grad).add_(1)
    loaded.save_pretrained(tmp_path / "changed")
    assert "A line of its maker" not in (tmp_path / "changed" / "README.md").read_text()
    grown = AudioBertForMaskedLM.from_pretrained(folder)
    grown.bank = random_bank(grown, count=6)
    grown.save_pretrained(tmp_path / "grown")
    assert "6 clips" in (tmp_path / "grown" / "README.md").read_text()


def test_pushing_uploads_the_whole_model_with_a_card_under_its_new_name(model, folder, hub):
    commit = AudioBertForMaskedLM.from_pretrained(folder).push_to_hub("me/model", private=True, tags=["tiny"])
    assert commit.commit_url.endswith(COMMIT)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(hub.files) - {".gitattributes"} == names
    card = ModelCard(hub.files["README.md"].decode())
    assert 'model="me/model"' in card.text
    assert "tiny" in card.data.tags
    assert hub.repository.get("private") or hub.repository.get("visibility") == "private"
    again = AudioBertForMaskedLM.from_pretrained("me/model", force_download=True)
    for (name, weight), (_, other) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_a_card_that_the_repository_has_stays_unless_it_is_to_be_replaced(model, hub):
    hub.files["README.md"] = b"Written by hand."
    hub.repository = {"name": "model"}
    model.push_to_hub("me/model")
    assert hub.files["README.md"] == b"Written by hand."
    assert "config.json" in hub.files
    model.push_to_hub("me/model", replace_card=True)
    assert b"## Audio bank" in hub.files["README.md"]


def test_save_pretrained_can_push_too(model, tmp_path, hub):
    model.save_pretrained(tmp_path / "here", push_to_hub=True, repo_id="me/model", commit_message="First")
    assert hub.files["model.safetensors"] == (tmp_path / "here" / "model.safetensors").read_bytes()
    assert b'model="me/model"' in hub.files["README.md"]


@pytest.mark.parametrize(
    ("repository", "token", "message"),
    [
        ("me/model", "hf_wrong", r"(?s)refused the upload to 'me/model': .*401.* Log in with 'hf auth login'"),
        ("a/b/c", "hf_right", r"'a/b/c' is not the name of a repository"),
    ],
    ids=["wrong token", "no repository's name"],
)
def test_a_refused_push_changes_nothing_and_says_why(model, hub, monkeypatch, repository, token, message):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(AudioBertInputError, match=message):
        model.push_to_hub(repository)
    assert hub.files == {}


def test_a_hub_that_is_not_there_is_named(model, hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(AudioBertInputError, match=r"could not reach the Hub at http://127.0.0.1:9"):
        model.push_to_hub("me/model")
