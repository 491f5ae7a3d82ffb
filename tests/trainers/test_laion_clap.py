"""CLAP models of the laion-clap package: their checkpoints made safe, and used like a `ClapModel`."""

import importlib.util
import json
import os
import sys

import numpy as np
import pytest
import torch
from laion_clap_stand_ins import torchvision_stub
from safetensors.torch import load_file
from tiny_models import VOCABULARY, save_audio_encoder, tiny_tokenizer
from tiny_sounds import noise, tone, write_clips
from transformers import RobertaConfig
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audio_encoding import encode_keys, encode_texts
from audiobert.trainers.audio_features import clap_features
from audiobert.trainers.clap_loading import load_clap
from audiobert.trainers.laion_clap_adapter import new_laion_module
from audiobert.trainers.laion_clap_checkpoint import convert_laion_clap


needs_laion_clap = pytest.mark.skipif(
    importlib.util.find_spec("laion_clap") is None,
    reason="laion-clap is not installed (it needs numpy 1): make test-gaudi",
)
TEXT_CONFIG = RobertaConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=768,  # laion-clap's projection takes no other
    num_hidden_layers=1,
    num_attention_heads=12,
    intermediate_size=32,
    max_position_embeddings=100,
    type_vocab_size=1,
    pad_token_id=0,
    layer_norm_eps=1e-5,
)
TEXTS = ["cat sound", "the sound of a loud thunder in the rain"]


def save_checkpoint(path, state, **others):
    """Write weights as the published files hold them: from several processes, with the run's facts."""
    content = {"epoch": 3, "name": "run", "state_dict": {f"module.{name}": value for name, value in state.items()}}
    torch.save(content | others, path)  # noqa: TID251 - what is published is a pickle
    return path


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_tokenizer("roberta").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def converted(tokenizer, tmp_path_factory):
    """Return folder and `CLAP_Module` of random weights, fused or not, made once a session."""
    made = {}

    def make(fused: bool):
        if fused not in made:
            torch.manual_seed(0)
            with torchvision_stub():
                module = new_laion_module("HTSAT-tiny", fused, TEXT_CONFIG, tiny_tokenizer("roberta")).eval()
            positions = {"text_branch.embeddings.position_ids": torch.arange(100)[None]}
            folder = tmp_path_factory.mktemp("laion")
            state = {**module.model.state_dict(), **positions}
            save_checkpoint(folder / "clap.pt", state, best=np.float64(0.5), optimizer={"state": {}})
            convert_laion_clap(folder / "clap.pt", folder / "clap", tokenizer)
            (folder / "clap.pt").unlink()
            made[fused] = folder / "clap", module
        return made[fused]

    return make


def keys_of(folder, *sounds):
    clap, extractor, _ = load_clap(folder)
    return encode_keys(clap, torch.stack([clap_features(sound, extractor) for sound in sounds]))


@needs_laion_clap
@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_texts_and_clips_have_the_embeddings_that_laion_clap_gives(converted, fused):
    folder, module = converted(fused)
    assert json.loads((folder / "config.json").read_text())["enable_fusion"] is fused
    clap, _, tokenizer = load_clap(folder)
    theirs = module.get_text_embedding(TEXTS, use_tensor=True).detach()
    assert torch.allclose(encode_texts(clap, tokenizer, TEXTS), theirs, atol=1e-5)
    sound = (np.round(noise(1.3).repeat(3) * 32767) / 32767).astype(np.float32)  # laion-clap rounds to 16 bits
    (key,) = keys_of(folder, sound)
    if fused:  # whose own features need torchaudio
        features = clap_features(sound, load_clap(folder)[1])
        clips = [{"mel_fusion": features, "longer": torch.tensor([False])}]
        expected = module.model.get_audio_embedding(clips)[0]
    else:
        expected = module.get_audio_embedding_from_data([sound], use_tensor=False)[0]
    assert torch.allclose(key, torch.as_tensor(expected), atol=1e-4)


@needs_laion_clap
@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_a_key_depends_on_its_clip_alone(converted, fused):
    folder, _ = converted(fused)
    short, long = tone(300, 5.0, rate=48_000), np.concatenate([tone(300, 8.0, 48_000), tone(3000, 5.0, 48_000)])
    together = keys_of(folder, short, long)
    assert torch.allclose(keys_of(folder, short)[0], together[0], atol=1e-5)
    assert torch.allclose(keys_of(folder, long)[0], together[1], atol=1e-5)
    beginning = keys_of(folder, long[: 10 * 48_000])[0]
    assert torch.allclose(beginning, together[1], atol=1e-4) is not fused


@needs_laion_clap
def test_a_bank_is_built_and_searched_and_the_clap_is_evaluated(converted, tmp_path):
    folder, _ = converted(False)
    clips = write_clips(tmp_path / "clips", per_label=1)
    encoder = save_audio_encoder(tmp_path / "encoder")
    path = list(sys.path)

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    bank = tmp_path / "bank"
    run("bank", "build", clips, "--clap", folder, "--audio-encoder", encoder, "--out", bank, "--json")
    found = run("bank", "search", bank, "cat sound", "--clap", folder, "--json")["clips"]
    assert len(found) == 3
    assert run("evaluate", "clap", folder, "--clips", clips, "--json")["clips"]["all"]["count"] == 3
    assert sys.path == path
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def small_state(width: int = 96) -> dict[str, torch.Tensor]:
    text = {
        "embeddings.word_embeddings.weight": torch.zeros(len(VOCABULARY), 64),
        "embeddings.position_embeddings.weight": torch.zeros(20, 64),
        "embeddings.token_type_embeddings.weight": torch.zeros(1, 64),
        "encoder.layer.0.intermediate.dense.weight": torch.zeros(32, 64),
    }
    patches = {"audio_branch.patch_embed.proj.weight": torch.randn(width, 1, 4, 4)}
    return {f"text_branch.{name}": tensor for name, tensor in text.items()} | patches


def test_conversion_keeps_the_weights_and_tells_the_shape(tokenizer, tmp_path):
    state = small_state()
    checkpoint = save_checkpoint(tmp_path / "clap.pt", state)
    config = convert_laion_clap(checkpoint, tmp_path / "clap", tokenizer)
    assert (config["audio_model"], config["enable_fusion"]) == ("HTSAT-tiny", False)
    assert config["text_config"]["num_hidden_layers"] == 1
    saved = load_file(tmp_path / "clap" / "model.safetensors")
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[name], state[name]) for name in state)
    fused = {**state, "audio_branch.patch_embed.fusion_model.local_att.0.weight": torch.zeros(1)}
    arguments = [save_checkpoint(tmp_path / "fused.pt", fused), "--out", tmp_path / "fused", "--tokenizer", tokenizer]
    result = CliRunner().invoke(app, ["convert-clap", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["enable_fusion"] is True


class RunsCode:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_none(tokenizer, tmp_path):
    checkpoint = save_checkpoint(tmp_path / "clap.pt", small_state(), trap=RunsCode(tmp_path / "trap"))
    with pytest.raises(AudioBertInputError, match=r"clap.pt' cannot be read safely.*Nothing of it was run"):
        convert_laion_clap(checkpoint, tmp_path / "clap", tokenizer)
    assert not (tmp_path / "trap").exists()
    assert not (tmp_path / "clap").exists()


def test_what_is_no_checkpoint_of_laion_clap_is_refused(tokenizer, tmp_path):
    def refused(reason, checkpoint, output=tmp_path / "clap"):
        with pytest.raises(AudioBertInputError, match=reason):
            convert_laion_clap(checkpoint, output, tokenizer)
        assert not (tmp_path / "clap").exists()

    refused("there is no checkpoint file", tmp_path / "nowhere.pt")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    refused(r"text\.pt' (cannot be read safely|is damaged)", tmp_path / "text.pt")
    whole = save_checkpoint(tmp_path / "whole.pt", small_state())
    (tmp_path / "half.pt").write_bytes(whole.read_bytes()[:3000])
    refused(r"half\.pt' (cannot be read safely|is damaged)", tmp_path / "half.pt")
    refused("is not a CLAP of HTSAT", save_checkpoint(tmp_path / "other.pt", small_state(width=100)))
    refused("holds no model's weights", save_checkpoint(tmp_path / "list.pt", {"numbers": [1, 2]}))
    few = small_state() | {"text_branch.embeddings.word_embeddings.weight": torch.zeros(10, 64)}
    refused(r"tokenizer '.*' has \d+ tokens, but .* knows 10", save_checkpoint(tmp_path / "few.pt", few))
    refused("holds something already", whole, output=tmp_path)


def test_without_laion_clap_the_error_names_the_extra(tokenizer, tmp_path, monkeypatch):
    convert_laion_clap(save_checkpoint(tmp_path / "clap.pt", small_state()), tmp_path / "clap", tokenizer)
    monkeypatch.setitem(sys.modules, "laion_clap", None)
    with pytest.raises(AudioBertInputError, match=r'pip install "audiobert\[laion-clap\]"'):
        load_clap(tmp_path / "clap")
