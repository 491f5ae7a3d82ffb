"""CLAP trained by several processes takes the steps of one with all their rows."""

import json

import pytest
import torch
import yaml
from several_processes import logged_losses, run_in_processes
from tiny_models import save_language_model
from tiny_sounds import write_clips
from transformers import ClapModel

from audiobert.trainers.clap_training import ClapRecipe, train_clap
from audiobert.trainers.recipe import load_recipe


SETTINGS = {
    "kind": "clap",
    "projection_dim": 16,
    "audio_tower": {
        "spec_size": 64,
        "patch_size": 4,
        "window_size": 4,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        # Each process draws its own random numbers: nothing may depend on them here.
        "hidden_dropout_prob": 0.0,
        "drop_path_rate": 0.0,
    },
    "window": {"max_length_s": 1, "hop_length": 160, "fft_window_size": 512, "feature_size": 16},
    "masking": {"time_share": 0.0, "frequency_share": 0.0},
    "validation_share": 0.25,
    "feature_cache": "features",
    # Not Adam, which would hide a gradient that is twice as large as it should be.
    "training": {
        "optim": "sgd",
        "learning_rate": 0.05,
        "max_grad_norm": 1000.0,
        "num_train_epochs": 2,
        "logging_steps": 1,
        "use_cpu": True,
    },
}


def test_two_processes_take_the_steps_of_one_with_twice_the_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text_model = save_language_model(
        tmp_path / "bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, hidden_size=16
    )
    settings = {**SETTINGS, "text_model": str(text_model), "clips": str(write_clips(tmp_path / "clips", per_label=6))}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings))
    one_recipe = load_recipe(ClapRecipe, "recipe.yaml", ["output_dir=one", "training.per_device_train_batch_size=8"])
    (one,) = train_clap(one_recipe)
    command = ["train", "clap", "--config", "recipe.yaml", "--json", "output_dir=two"]
    printed = run_in_processes([*command, "training.per_device_train_batch_size=4"], 2, tmp_path)
    (two,) = json.loads(printed)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["steps"] == one["steps"] > 5
    expected, found = logged_losses(tmp_path / "one"), logged_losses(tmp_path / "two")
    assert len(expected) == one["steps"]
    assert found == pytest.approx(expected, abs=2e-4)
    end, other = (ClapModel.from_pretrained(tmp_path / name).state_dict() for name in ("one", "two"))
    assert {name for name in end if not torch.allclose(end[name], other[name], atol=1e-5)} == set()
