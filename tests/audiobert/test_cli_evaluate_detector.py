"""`audiobert evaluate detector`, as a user meets it."""

import json
from pathlib import Path

import pytest
from tiny_benchmark import write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(parts, tmp_path_factory) -> Path:
    """A separate detector, and a trunk detector of two seeds, trained by the command; the benchmark beside them."""
    folder = tmp_path_factory.mktemp("trained")
    write_benchmark(folder / "benchmark")
    (folder / "ordinary.txt").write_text("\n".join(f"i like tea with {number} cats" for number in range(4010)))
    common = [f"data_dir={folder / 'benchmark'}", f"language_model={parts.language_model}", "training.use_cpu=true"]
    common += ["training.num_train_epochs=2", "training.learning_rate=1e-2"]
    for settings in (
        [f"output_dir={folder / 'separate'}"],
        [f"output_dir={folder / 'trunk'}", "detector=trunk", "probe.layer=1", "probe.width=8", "seeds=[0,1]"],
    ):
        result = run("train", "detector", "--config", "paper_detector", "seeds=[0]", *common, *settings)
        assert result.exit_code == 0, result.stderr
    return folder


def test_both_kinds_are_measured_as_their_training_did(trained):
    out, table = trained / "out.json", trained / "table.md"
    options = ["--data-dir", trained / "benchmark", "--ordinary-text", trained / "ordinary.txt"]
    result = run(
        "evaluate", "detector", trained / "separate", trained / "trunk", *options, "--out", out, "--table", table
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == table.read_text()
    saved = json.loads(out.read_text())
    folders = [trained / "separate", trained / "trunk" / "seed-0", trained / "trunk" / "seed-1"]
    assert [entry["folder"] for entry in saved["detectors"]] == list(map(str, folders))
    for entry, folder in zip(saved["detectors"], folders, strict=True):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert entry["threshold"] == metrics["threshold"]["value"]
        assert entry["results"] == metrics["results"]
        assert entry["ordinary_text"]["measure"]["lines"] == 2000
    assert {entry["seeds"] for entry in saved["table"]["scores"]} == {1, 2}


def test_a_trunk_detector_is_read_with_its_own_language_model_only(parts, trained):
    options = ["--data-dir", trained / "benchmark", "--language-model", parts.language_models["roberta"]]
    result = run("evaluate", "detector", trained / "trunk" / "seed-0", *options)
    assert result.exit_code == 2
    assert "the trunk detector was trained on the hidden states of language model" in result.stderr


def test_a_mistake_is_one_line(trained, tmp_path):
    for arguments, reason in (
        ([tmp_path], "holds neither a span detector nor seed-<n> folders"),
        (["/nowhere/at/all"], "there is no folder '/nowhere/at/all'"),
        ([trained / "separate", "--data-dir", "/nowhere"], "'data-dir' is '/nowhere'"),
        ([trained / "separate", "--out", tmp_path], "it is a folder"),
    ):
        result = run("evaluate", "detector", *arguments)
        assert result.exit_code == 2, result.output
        assert reason in result.stderr
        assert result.stdout == ""
