"""Training of the audio encoder on clip labels."""

import json

import pytest
import torch
from tiny_sounds import write_clips, write_manifest
from transformers import ASTForAudioClassification, ASTModel, AutoFeatureExtractor, AutoModel, TrainerCallback

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers import audio_encoder_training
from audiobert.trainers.audio_encoder_training import (
    AudioEncoderRecipe,
    AudioEncoderShape,
    AudioEncoderTrainer,
    train_audio_encoder,
)
from audiobert.trainers.audio_features import AudioFeatureCache
from audiobert.trainers.clip_sources import read_clips
from audiobert.trainers.clip_splits import split_clips
from audiobert.trainers.spectrogram_masking import SpectrogramMasking


SHAPE = AudioEncoderShape(
    max_length=64,
    num_mel_bins=32,
    hidden_size=24,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
)
TRAINING = {"num_train_epochs": 20.0, "per_device_train_batch_size": 6, "learning_rate": 5e-3, "use_cpu": True}


def make_recipe(manifest, output_dir, **changes) -> AudioEncoderRecipe:
    settings = {
        "clips": manifest,
        "output_dir": output_dir,
        "shape": SHAPE,
        "validation_share": 0.25,
        "masking": SpectrogramMasking(0.05, 0.05),
        "feature_cache": output_dir.parent / "features",
        "training": {**TRAINING, **changes.pop("training", {})},
    }
    return AudioEncoderRecipe(**(settings | changes))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), per_label=8)


@pytest.fixture(scope="module")
def trained(manifest, tmp_path_factory):
    """An encoder trained without interruption, and its metrics."""
    folder = tmp_path_factory.mktemp("encoder") / "run"
    (metrics,) = train_audio_encoder(make_recipe(manifest, folder))
    return folder, metrics


def test_both_readings_of_a_trained_encoder_tell_held_out_clips_apart(trained):
    folder, metrics = trained
    assert metrics == json.loads((folder / "metrics.json").read_text())
    assert metrics["labels"] == 3
    assert metrics["validation"]["clips_of_known_labels"] == metrics["clips"]["validation"] > 2
    assert metrics["validation"]["accuracy_by_class_tokens"] > 0.6
    assert metrics["validation"]["accuracy_by_mean"] > 0.6


def test_a_trained_encoder_loads_with_and_without_its_head(trained):
    folder, _ = trained
    classifier = ASTForAudioClassification.from_pretrained(folder)
    assert set(classifier.config.label2id) == {"whistle", "hum", "rain"}
    for auto_class in (ASTModel, AutoModel):
        encoder, info = auto_class.from_pretrained(folder, output_loading_info=True)
        assert not info["missing_keys"]
        inside = classifier.audio_spectrogram_transformer.state_dict()
        assert all(torch.equal(tensor, inside[name]) for name, tensor in encoder.state_dict().items())


def test_the_feature_extractor_has_the_statistics_of_the_training_clips(trained, manifest, tmp_path):
    folder, _ = trained
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    source = read_clips(manifest)
    train_clips = split_clips(source.clips, 0.25, 0).train
    cache = AudioFeatureCache(tmp_path, train_clips, extractor, source.folder)
    raw = torch.stack([cache.raw(index) for index in range(len(cache))]).double()
    assert extractor.mean == pytest.approx(raw.mean().item(), rel=1e-6)
    assert extractor.std == pytest.approx(raw.std(correction=0).item(), rel=1e-6)
    normalized = torch.stack([cache[index] for index in range(len(cache))])
    assert normalized.mean().item() == pytest.approx(0.0, abs=1e-4)
    assert normalized.std().item() == pytest.approx(0.5, abs=1e-3)


class StopAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def test_stopped_and_resumed_gives_the_weights_of_the_uninterrupted_run(manifest, trained, tmp_path, monkeypatch):
    folder, metrics = trained
    recipe = make_recipe(manifest, tmp_path / "run")

    class Stopped(audio_encoder_training.AudioEncoderTrainer):
        def __init__(self, **arguments):
            super().__init__(**arguments, callbacks=[StopAt(metrics["steps"] // 2 + 1)])

    with monkeypatch.context() as patch:
        patch.setattr(audio_encoder_training, "AudioEncoderTrainer", Stopped)
        with pytest.raises(KeyboardInterrupt):
            train_audio_encoder(recipe)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    train_audio_encoder(recipe)
    one, other = (ASTForAudioClassification.from_pretrained(path).state_dict() for path in (folder, tmp_path / "run"))
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_every_position_of_the_last_layer_learns(trained):
    """The class tokens' part of the loss alone would leave the last layer's patch positions without a gradient."""
    folder, _ = trained
    model = ASTForAudioClassification.from_pretrained(folder).eval()
    trainer = AudioEncoderTrainer(masking=SpectrogramMasking(), model=model)
    states = []

    def keep(module, inputs, output):
        output.retain_grad()
        states.append(output)

    model.audio_spectrogram_transformer.layernorm.register_forward_hook(keep)
    trainer.compute_loss(model, {"input_values": torch.randn(2, 64, 32), "labels": torch.tensor([0, 1])}).backward()
    (state,) = states
    assert (state.grad.abs().sum(dim=-1) > 0).all()


def test_training_goes_on_from_an_encoder_with_other_labels(parts, manifest, trained, tmp_path):
    recipe = make_recipe(
        manifest, tmp_path / "run", audio_encoder=str(parts.audio_encoder), training={"num_train_epochs": 1.0}
    )
    train_audio_encoder(recipe)
    before, after = (ASTModel.from_pretrained(path).state_dict() for path in (parts.audio_encoder, tmp_path / "run"))
    assert before.keys() == after.keys()
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    theirs, ours = (AutoFeatureExtractor.from_pretrained(path) for path in (parts.audio_encoder, tmp_path / "run"))
    assert (ours.mean, ours.std) == (theirs.mean, theirs.std)


def test_too_few_labels_and_an_impossible_shape_are_refused(tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=1)
    rows = [{"id": "a", "path": "hum/0.wav", "label": "hum"}, {"id": "b", "path": "rain/0.wav"}]
    one_label = write_manifest(manifest.parent, rows, "one.csv")
    with pytest.raises(AudioBertInputError, match=r"one.csv' that are trained on have 1 different labels"):
        train_audio_encoder(make_recipe(one_label, tmp_path / "run", validation_share=0.0))
    shape = AudioEncoderShape(**{**vars(SHAPE), "num_attention_heads": 5})
    with pytest.raises(AudioBertInputError, match="hidden_size must be a multiple of num_attention_heads"):
        train_audio_encoder(make_recipe(manifest, tmp_path / "run", shape=shape, validation_share=0.0))
    with pytest.raises(AudioBertInputError, match="'clips' is not set"):
        train_audio_encoder(make_recipe(None, tmp_path / "run"))
