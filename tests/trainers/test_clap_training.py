"""Training of CLAP: the loss, the text tower's start, learning, and resuming to the same weights."""

import json

import pytest
import torch
from tiny_models import save_language_model
from tiny_sounds import write_clips, write_manifest
from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer, ClapModel, TrainerCallback
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers import clap_training
from audiobert.trainers.audio_encoding import encode_texts
from audiobert.trainers.audio_features import AudioFeatureCache
from audiobert.trainers.clap_assembly import ClapAudioTower, ClapWindow, copy_text_tower, new_clap, text_tower_config
from audiobert.trainers.clap_rows import are_class_like, caption_spans
from audiobert.trainers.clap_training import ClapRecipe, train_clap
from audiobert.trainers.clip_sources import Clip, read_clips
from audiobert.trainers.clip_splits import split_clips
from audiobert.trainers.recipe import save_recipe


TOWER = ClapAudioTower(
    spec_size=64,
    patch_size=4,
    window_size=4,
    patch_embeds_hidden_size=8,
    depths=[1, 1],
    num_attention_heads=[2, 2],
    hidden_dropout_prob=0.1,
)
WINDOW = ClapWindow(max_length_s=1, hop_length=160, fft_window_size=512, feature_size=16)
TRAINING = {"num_train_epochs": 12.0, "per_device_train_batch_size": 6, "learning_rate": 2e-3, "use_cpu": True}


def make_recipe(parts, manifest, output_dir, **changes) -> ClapRecipe:
    settings = {
        "clips": manifest,
        "output_dir": output_dir,
        "text_model": str(parts.language_model),
        "audio_tower": TOWER,
        "window": WINDOW,
        "projection_dim": 16,
        "validation_share": 0.25,
        "text_learning_rate": 1e-3,
        "feature_cache": output_dir.parent / "features",
        "training": {**TRAINING, **changes.pop("training", {})},
    }
    return ClapRecipe(**(settings | changes))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), per_label=8)


@pytest.fixture(scope="module")
def trained(parts, manifest, tmp_path_factory):
    """A CLAP trained without interruption, and its metrics."""
    folder = tmp_path_factory.mktemp("clap") / "run"
    (metrics,) = train_clap(make_recipe(parts, manifest, folder))
    return folder, metrics


def test_a_clip_is_described_by_its_caption_its_label_and_what_is_heard(tmp_path):
    cow = Clip("a", "a.wav", "a cow mooing at a ring of strings", "cow")
    assert caption_spans(cow) == ["cow", "mooing"]
    assert caption_spans(Clip("b", "b.wav", "Bells ringing")) == ["ringing"]
    assert caption_spans(Clip("c", "c.wav")) == []


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("pad_token_id", [0, 1])
def test_the_text_tower_computes_what_the_language_model_computes(tmp_path, family, pad_token_id):
    folder = save_language_model(tmp_path / family, family, pad_token_id=pad_token_id)
    language_model = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tower = ClapModel.config_class(text_config=text_tower_config(language_model.config, str(folder)).to_dict())
    text_model = ClapModel._from_config(tower).text_model.eval()
    copy_text_tower(language_model, text_model)
    input_ids = torch.tensor([[2, 8, 9, 20, 3], [2, 8, 3, pad_token_id, pad_token_id]])
    attention_mask = (input_ids != pad_token_id).long()
    with torch.no_grad():
        expected = language_model(input_ids, attention_mask).last_hidden_state
        output = text_model(input_ids, attention_mask)
    real = attention_mask.bool()
    assert torch.allclose(output.last_hidden_state[real], expected[real], atol=1e-5)
    assert torch.allclose(output.pooler_output, torch.tanh(expected[:, 0]), atol=1e-5)


def test_a_tower_and_a_window_that_do_not_fit_are_refused(parts):
    with pytest.raises(AudioBertInputError, match=r"the window has 501 frames, but spec_size=64 holds 256"):
        new_clap(str(parts.language_model), TOWER, ClapWindow(**{**vars(WINDOW), "max_length_s": 5}), 16)
    with pytest.raises(AudioBertInputError, match=r"distilbert.*it takes a bert or roberta"):
        new_clap(str(parts.language_models["distilbert"]), TOWER, WINDOW, 16)


def test_a_trained_clap_loads_with_standard_classes_and_finds_held_out_clips_better_than_chance(trained):
    folder, metrics = trained
    clap = ClapModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert AutoFeatureExtractor.from_pretrained(folder).max_length_s == 1
    assert encode_texts(clap, tokenizer, ["cat sound"]).shape == (1, 16)
    assert metrics == json.loads((folder / "metrics.json").read_text())
    assert metrics["clips"]["train"] + metrics["clips"]["validation"] == 24
    assert metrics["validation"]["audio_to_label@1"] > 0.7
    assert metrics["validation"]["label_precision@1"] > metrics["validation"]["chance_precision@1"]
    card = (folder / "README.md").read_text()
    assert "CC0" in card
    assert str(folder) not in card


class StopAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_stopped_and_resumed_gives_the_weights_of_the_uninterrupted_run(
    parts, manifest, trained, tmp_path, monkeypatch
):

    folder, metrics = trained
    recipe = make_recipe(parts, manifest, tmp_path / "run")

    class Stopped(clap_training.ClapTrainer):
        def __init__(self, **arguments):
            super().__init__(**arguments, callbacks=[StopAt(metrics["steps"] // 2 + 1)])

    with monkeypatch.context() as patch:
        patch.setattr(clap_training, "ClapTrainer", Stopped)
        with pytest.raises(KeyboardInterrupt):
            train_clap(recipe)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    (resumed,) = train_clap(recipe)
    assert resumed["steps"] == metrics["steps"]
    one, other = (ClapModel.from_pretrained(path).state_dict() for path in (folder, tmp_path / "run"))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_training_goes_on_from_a_clap_and_a_frozen_text_tower_and_temperature_do_not_move(parts, manifest, tmp_path):
    before = ClapModel.from_pretrained(parts.clap).state_dict()
    recipe = make_recipe(
        parts,
        manifest,
        tmp_path / "run",
        clap=str(parts.clap),
        text_learning_rate=0.0,
        temperature=0.05,
        learn_temperature=False,
        training={"num_train_epochs": 1.0},
    )
    train_clap(recipe)
    after = ClapModel.from_pretrained(tmp_path / "run").state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert after["logit_scale_a"].exp().item() == pytest.approx(20.0)
    assert after["logit_scale_t"].exp().item() == pytest.approx(20.0)
    assert not {name for name in moved if name.startswith(("text_model.embeddings", "text_model.encoder"))}
    trainable = {name for name in before if name.startswith(("audio_projection", "text_projection", "audio_model"))}
    fixed = {name for name in trainable if name.endswith(("relative_position_index", "batches_tracked"))}
    statistics = {name for name in trainable if "running_" in name}
    assert len(statistics) == 2
    assert trainable - fixed - moved == statistics


def test_a_locked_text_side_stays_as_it_is(parts, manifest, tmp_path):
    before = ClapModel.from_pretrained(parts.clap).state_dict()
    settings = {"clap": str(parts.clap), "locked_text": True, "training": {"num_train_epochs": 1.0}}
    with pytest.raises(AudioBertInputError, match=r"text_learning_rate=0.001 trains it; give one of them"):
        train_clap(make_recipe(parts, manifest, tmp_path / "run", **settings))
    train_clap(make_recipe(parts, manifest, tmp_path / "run", text_learning_rate=0.0, **settings))
    after = ClapModel.from_pretrained(tmp_path / "run").state_dict()
    moved = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"audio_model", "audio_projection", "logit_scale_a", "logit_scale_t"}


def test_clips_without_captions_and_a_missing_manifest_are_refused(parts, tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=1)
    rows = [{"id": "a", "path": "hum/0.wav", "caption": "a hum"}, {"id": "b", "path": "rain/0.wav"}]
    uncaptioned = write_manifest(manifest.parent, rows, "uncaptioned.csv")
    with pytest.raises(AudioBertInputError, match=r"1 of the 2 clips of .*uncaptioned.csv' have no caption .*'b'"):
        train_clap(make_recipe(parts, uncaptioned, tmp_path / "run"))
    with pytest.raises(AudioBertInputError, match="'clips' is not set"):
        train_clap(make_recipe(parts, None, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_captions_that_many_clips_share_are_class_like_and_then_their_rows_are_no_rivals(trained):
    shared = [Clip(f"{index}", "p", f"a {'cat' if index % 2 else 'dog'} sound") for index in range(4)]
    varied = [Clip(f"{index}", "p", f"caption {index}") for index in range(4)]
    assert are_class_like(shared)
    assert not are_class_like(varied)
    assert not are_class_like([*shared, *varied])
    assert trained[1]["same_label_negatives"] is False


def test_the_input_normalisation_has_the_statistics_of_the_training_clips_and_keeps_them(trained, manifest, tmp_path):
    folder, _ = trained
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    source = read_clips(manifest)
    cache = AudioFeatureCache(tmp_path, split_clips(source.clips, 0.25, 0).train, extractor, source.folder)
    frames = torch.cat([cache[index].flatten(0, 1) for index in range(len(cache))])
    norm = ClapModel.from_pretrained(folder).audio_model.audio_encoder.batch_norm
    assert torch.allclose(norm.running_mean, frames.mean(dim=0), rtol=1e-4, atol=1e-3)
    assert torch.allclose(norm.running_var, frames.var(dim=0, correction=0), rtol=1e-3)


def test_retrieval_is_measured_while_training_and_the_best_epoch_is_kept(parts, manifest, tmp_path):
    asked = {"eval_strategy": "epoch", "load_best_model_at_end": True, "metric_for_best_model": "text_to_audio_map@10"}
    training = {**asked, "greater_is_better": True, "num_train_epochs": 3.0, "save_total_limit": 2}
    (metrics,) = train_clap(make_recipe(parts, manifest, tmp_path / "run", training=training))
    states = [json.loads(path.read_text()) for path in (tmp_path / "run").glob("checkpoint-*/trainer_state.json")]
    last = max(states, key=lambda state: state["global_step"])
    measured = [
        entry["eval_text_to_audio_map@10"] for entry in last["log_history"] if "eval_label_precision@5" in entry
    ]
    assert len(measured) == 3
    assert metrics["validation"]["text_to_audio_map@10"] == pytest.approx(max(measured))
    recipe = make_recipe(parts, manifest, tmp_path / "none", validation_share=0.0, training=asked)
    with pytest.raises(AudioBertInputError, match=r"eval_strategy .* validation_share=0 holds no clip"):
        train_clap(recipe)
    assert not (tmp_path / "none").exists()


def test_the_command_says_how_well_held_out_clips_are_found(parts, manifest, tmp_path):
    recipe = make_recipe(parts, manifest, tmp_path / "run", training={"num_train_epochs": 1.0})
    arguments = ["train", "clap", "--config", str(save_recipe(recipe, tmp_path))]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert f"{metrics['clips']['train']} clips" in result.stdout
    assert f"label precision@5 {metrics['validation']['label_precision@5']:.4f}" in result.stdout
    result = CliRunner().invoke(app, [*arguments, f"output_dir={tmp_path / 'none'}", "validation_share=0"])
    assert "nothing was held out" in result.stdout
