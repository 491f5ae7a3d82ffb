"""Several seeds by one command: folders, mean and deviation, and nothing trained twice."""

import json
import statistics
from pathlib import Path

import pytest
import yaml
from tiny_benchmark import write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.trainers import text_only_training
from audiobert.trainers.seed_summary import summarize_seeds


@pytest.fixture
def recipe(parts, tmp_path) -> Path:
    settings = {"max_steps": 1, "per_device_train_batch_size": 8, "use_cpu": True, "save_strategy": "no"}
    content = {
        "kind": "audiobert",
        "hearing": "text_only",
        "data_dir": str(write_benchmark(tmp_path / "benchmark")),
        "language_model": str(parts.language_model),
        "output_dir": str(tmp_path / "runs"),
        "adapter": {"r": 4, "alpha": 8},
        "training": {**settings, "learning_rate": 0.03},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "recipe.yaml"


def train(recipe, *arguments):
    return CliRunner().invoke(app, ["train", "audiobert", "--config", str(recipe), *arguments])


@pytest.fixture
def trained_seeds(monkeypatch) -> list[int]:
    """The seeds for which a Trainer was made."""
    seeds = []

    class Noted(text_only_training.TextOnlyTrainer):
        def __init__(self, *args, **kwargs):
            seeds.append(kwargs["args"].seed)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(text_only_training, "TextOnlyTrainer", Noted)
    return seeds


def test_each_seed_has_its_folder_and_ended_ones_are_not_repeated(recipe, trained_seeds):
    runs = recipe.parent / "runs"
    done = train(recipe, "--seeds", "0", "2", "training.learning_rate=0.02")
    assert done.exit_code == 0, done.output
    assert trained_seeds == [0, 2]
    assert sorted(path.name for path in runs.iterdir()) == ["seed-0", "seed-2", "summary.json"]
    assert "learning_rate: 0.02" in (runs / "seed-2" / "recipe.yaml").read_text()
    (runs / "seed-2" / "metrics.json").unlink()
    again = train(recipe, "training.learning_rate=0.02", "--seeds", "0,2,3", "--json")
    assert again.exit_code == 0, again.output
    assert trained_seeds == [0, 2, 2, 3]
    summary = json.loads((runs / "summary.json").read_text())
    assert summary["seeds"] == [0, 2, 3]
    metrics = [json.loads((runs / f"seed-{seed}" / "metrics.json").read_text()) for seed in (0, 2, 3)]
    expected = [run["validation"][-1]["accuracy"] for run in metrics]
    (figure,) = [entry for entry in summary["figures"] if entry["figure"] == "validation, combined: accuracy"]
    assert figure["values"] == expected
    assert figure["mean"] == pytest.approx(statistics.fmean(expected))
    assert figure["std"] == pytest.approx(statistics.stdev(expected))
    shown = train(recipe, "training.learning_rate=0.02", "--seeds", "0,2,3")
    assert f"{figure['mean']:.4f} ± {figure['std']:.4f}" in shown.output
    assert trained_seeds == [0, 2, 2, 3]


def test_figures_are_summed_up_by_their_names():
    runs = [
        {"kind": "clap", "seed": seed, "validation": {"recall@1": value, "clips": 7}, "held_out_sources": None}
        for seed, value in ((4, 0.25), (9, 0.75))
    ]
    assert summarize_seeds(runs) == {
        "kind": "clap",
        "seeds": [4, 9],
        "figures": [
            {"figure": "validation: recall@1", "mean": 0.5, "std": pytest.approx(0.125**0.5), "values": [0.25, 0.75]}
        ],
    }


@pytest.mark.parametrize("seeds", [("0", "0"), ("0,x",)], ids=["twice", "no number"])
def test_seeds_that_are_none_are_refused(recipe, seeds):
    done = train(recipe, "--seeds", *seeds)
    assert done.exit_code == 2
    assert "seeds" in done.output
    assert not (recipe.parent / "runs").exists()
