"""AudioBERT trained by several processes takes the steps of one with all their rows."""

import json

import pytest
import torch
import yaml
from several_processes import logged_losses, run_in_processes
from tiny_bank import random_bank, write_sounds
from tiny_benchmark import write_benchmark
from tiny_models import save_language_model

from audiobert import AudioBertForMaskedLM
from audiobert.trainers.audiobert_training import AudioBertRecipe, train_audiobert
from audiobert.trainers.recipe import load_recipe


# Each process draws its own random numbers: nothing may depend on them here.
UNDROPPED = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TRAINING = {
    # Not Adam, which would hide a gradient that is twice as large as it should be.
    "optim": "sgd",
    "learning_rate": 0.5,
    "lr_scheduler_type": "constant",
    "max_grad_norm": 1000.0,
    "num_train_epochs": 2,
    "logging_steps": 1,
    "use_cpu": True,
}


def test_two_processes_take_the_steps_of_one_with_twice_the_batch(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = {
        "kind": "audiobert",
        "language_model": str(save_language_model(tmp_path / "bert", **UNDROPPED)),
        "span_detector": str(parts.span_detector),
        "clap": str(parts.clap),
        "audio_encoder": str(parts.audio_encoder),
        "data_dir": str(write_benchmark(tmp_path / "benchmark")),
        "audio_dir": str(write_sounds(tmp_path / "clips")),
        "bank": "bank",
        "adapter": {"r": 4, "alpha": 8},
        "max_train_rows": 40,
        "training": TRAINING,
    }
    given = (recipe[part] for part in ("language_model", "span_detector", "clap", "audio_encoder"))
    random_bank(AudioBertForMaskedLM.from_parts(*given)).save(tmp_path / "bank")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    once = load_recipe(AudioBertRecipe, "recipe.yaml", ["output_dir=one", "training.per_device_train_batch_size=8"])
    (one,) = train_audiobert(once)
    command = ["train", "audiobert", "--config", "recipe.yaml", "--json", "output_dir=two"]
    printed = run_in_processes([*command, "training.per_device_train_batch_size=4"], 2, tmp_path)
    (two,) = json.loads(printed)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["steps"] == one["steps"] == 10
    expected = logged_losses(tmp_path / "one")
    assert len(expected) == 10
    assert logged_losses(tmp_path / "two") == pytest.approx(expected, abs=2e-4)
    end, other = (AudioBertForMaskedLM.from_pretrained(tmp_path / name).state_dict() for name in ("one", "two"))
    assert {name for name in end if not torch.allclose(end[name], other[name], atol=1e-5)} == set()
