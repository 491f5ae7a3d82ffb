"""The audio encoder's second target: the clips' pitch."""

import math

import pytest
import torch
from tiny_sounds import write_clips, write_manifest
from transformers import ASTForAudioClassification

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.injection import pool_audio
from audiobert.trainers.audio_encoder_training import AudioEncoderRecipe, AudioEncoderShape, train_audio_encoder
from audiobert.trainers.clip_sources import Clip
from audiobert.trainers.pitch_target import PitchScale, pitch_loss, pitch_measures, pitch_scale
from audiobert.trainers.spectrogram_masking import SpectrogramMasking


def train(manifest, folder, **changes):
    settings = {
        "clips": manifest,
        "output_dir": folder,
        "shape": AudioEncoderShape(
            max_length=64,
            num_mel_bins=32,
            hidden_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
        ),
        "validation_share": 0.4,
        "masking": SpectrogramMasking(0.05, 0.05),
        "feature_cache": folder.parent / "features",
        "training": {
            "num_train_epochs": 25.0,
            "per_device_train_batch_size": 6,
            "learning_rate": 5e-3,
            "use_cpu": True,
            "save_strategy": "no",
        },
    }
    return train_audio_encoder(AudioEncoderRecipe(**(settings | changes)))[0]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), per_label=8)


def test_an_encoder_with_a_pitch_weight_tells_pitches_and_is_saved_as_transformers_own_class(manifest, tmp_path):
    measured = train(manifest, tmp_path / "pitched", pitch_weight=2.0)["validation"]
    assert measured["clips_of_known_pitch"] >= 3
    # The two kinds of pitched sound lie four octaves apart: a guess in their middle is 24 semitones off.
    assert measured["median_pitch_error_semitones"] < 18
    assert measured["pitch_order_accuracy"] > 0.6  # pairs of one kind differ by less than a mel bin
    assert measured["accuracy_by_mean"] > 0.6
    model, info = ASTForAudioClassification.from_pretrained(tmp_path / "pitched", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.architectures == ["ASTForAudioClassification"]


def test_the_pitch_moves_the_weights_and_without_it_nothing_of_it_is_told(manifest, tmp_path):
    training = {"max_steps": 3, "per_device_train_batch_size": 6, "learning_rate": 5e-3, "use_cpu": True}
    plain = train(manifest, tmp_path / "plain", training=training)["validation"]
    train(manifest, tmp_path / "pitched", pitch_weight=1.0, training=training)
    assert "pitch_order_accuracy" not in plain
    states = []
    for name in ("plain", "pitched"):
        model = ASTForAudioClassification.from_pretrained(tmp_path / name).eval()
        hidden = model.audio_spectrogram_transformer(torch.zeros(1, 64, 32)).last_hidden_state
        states.append(pool_audio(hidden))
    assert not torch.equal(*states)


def test_a_clip_without_a_pitch_adds_nothing_to_the_loss():
    pitches = torch.tensor([0.5, math.nan])
    predicted = torch.tensor([0.0, 9.0], requires_grad=True)
    loss = pitch_loss(predicted, pitches)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 0.5**2)
    assert predicted.grad.tolist() == [-0.5, 0.0]
    assert pitch_loss(torch.tensor([1.0]), torch.tensor([math.nan])).item() == 0.0


def test_the_scale_is_of_the_known_pitches_in_octaves():
    clips = [Clip("a", "a.wav", average_pitch_hz=hertz) for hertz in (100.0, 400.0)] + [Clip("b", "b.wav")]
    scale = pitch_scale(clips, "clips")
    assert scale == PitchScale(mean=pytest.approx(math.log2(200)), deviation=pytest.approx(1.0))
    standardized = scale.standardized(clips)
    assert standardized[:2].tolist() == pytest.approx([-1.0, 1.0], abs=1e-5)
    assert standardized[2].isnan()


def test_measures_agree_with_a_case_worked_by_hand():
    scale = PitchScale(mean=10.0, deviation=0.5)
    truths = torch.tensor([0.0, 1.0, 2.0, math.nan])
    guesses = torch.tensor([0.0, 2.5, 2.0, 7.0])  # of the three pairs, that of the two higher clips is turned round
    measured = pitch_measures(guesses, truths, scale)
    assert measured["clips_of_known_pitch"] == 3
    assert measured["pitch_order_accuracy"] == pytest.approx(2 / 3)
    assert measured["median_pitch_error_semitones"] == pytest.approx(0.0)
    nothing = pitch_measures(torch.tensor([1.0]), torch.tensor([math.nan]), scale)
    assert nothing == {
        "clips_of_known_pitch": 0,
        "median_pitch_error_semitones": None,
        "pitch_order_accuracy": None,
    }


def test_a_manifest_without_pitches_and_a_negative_weight_are_refused_before_anything_is_written(manifest, tmp_path):
    rows = [{"id": label, "path": f"{label}/0.wav", "label": label} for label in ("hum", "rain")]
    silent = write_manifest(manifest.parent, rows, "no_pitches.csv")
    with pytest.raises(AudioBertInputError, match=r"no_pitches.csv' that are trained on have 0 different pitches"):
        train(silent, tmp_path / "run", pitch_weight=1.0, validation_share=0.0)
    with pytest.raises(AudioBertInputError, match=r"pitch_weight=-1.0 must be 0 or above"):
        train(manifest, tmp_path / "run", pitch_weight=-1.0)
    assert not (tmp_path / "run").exists()
