"""`audiobert train detector` and `audiobert evaluate`, as a user meets them."""

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import typer
from tiny_benchmark import PITCH_FILE, write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app


FAST = ["training.num_train_epochs=3", "training.learning_rate=1e-2", "training.use_cpu=true"]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("benchmark"))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def train_arguments(parts, benchmark: Path, output_dir: Path) -> list[str]:
    settings = [f"data_dir={benchmark}", f"language_model={parts.language_model}", f"output_dir={output_dir}"]
    return ["train", "detector", "--config", "cpu_small", *settings, *FAST]


def reason_of(result) -> str:
    """The one line that a refused command prints."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("audiobert: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.stderr
    return lines[0]


def test_a_detector_is_trained_and_its_metrics_are_the_only_thing_on_stdout(parts, benchmark, tmp_path):
    result = run(*train_arguments(parts, benchmark, tmp_path / "run"), "--json")
    assert result.exit_code == 0, result.stderr
    (metrics,) = json.loads(result.stdout)
    assert metrics == json.loads((tmp_path / "run" / "metrics.json").read_text())
    again = run(*train_arguments(parts, benchmark, tmp_path / "run"))
    assert again.exit_code == 0
    assert f"f1 {metrics['validation']['f1']:.4f}" in again.stdout


def test_ctrl_c_exits_with_one_line_and_the_same_command_finishes_the_run(parts, benchmark, tmp_path):
    arguments = [
        *train_arguments(parts, benchmark, tmp_path),
        "training.per_device_train_batch_size=1",
        "training.save_strategy=steps",
        "training.save_steps=5",
    ]

    def press_when_saved():
        while not next(tmp_path.glob("checkpoint-*/trainer_state.json"), None):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press_when_saved, daemon=True)
    presser.start()
    result = run(*arguments)
    presser.join(timeout=5)
    assert reason_of(result) == "audiobert: interrupted; the same command goes on from what was saved."
    assert not (tmp_path / "model.safetensors").exists()
    assert run(*arguments).exit_code == 0
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["training.learning_rat=1"], "did you mean 'training.learning_rate'"),
        (["training.learning_rate=fast"], "'training.learning_rate' must be a number"),
        (["data_dir=/nowhere"], "'data_dir' is '/nowhere', which is not a folder"),
        (["language_model=/nowhere"], "there is no folder '/nowhere'"),
        (["task=animals"], "no task 'animals'"),
    ],
)
def test_a_mistake_in_training_is_one_line_and_nothing_is_written(parts, benchmark, tmp_path, changes, reason):
    result = run(*train_arguments(parts, benchmark, tmp_path / "run"), *changes)
    assert re.search(reason, reason_of(result))
    assert not (tmp_path / "run").exists()


def test_a_folder_with_another_run_is_left_alone(parts, benchmark, tmp_path):
    assert run(*train_arguments(parts, benchmark, tmp_path / "run")).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    result = run(*train_arguments(parts, benchmark, tmp_path / "run"), "max_length=32")
    assert re.search("differs in max_length", reason_of(result))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


def test_evaluate_prints_and_saves_the_same_numbers(parts, benchmark, tmp_path):
    arguments = ["evaluate", parts.language_model, "--data-dir", benchmark, "--split", "validation"]
    result = run(*arguments, "--json", "--out", tmp_path / "results.json")
    assert result.exit_code == 0, result.stderr
    results = json.loads(result.stdout)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert len(saved.pop("predictions")) == 42
    assert results == saved
    printed = run(*arguments).stdout
    assert len(results["results"]) == 3
    for entry in results["results"]:
        accuracy = f"{100 * entry['accuracy']:.2f} % ({entry['correct']} of {entry['rows']} rows)"
        assert f"{entry['task']}: {accuracy}" in printed


def test_a_mistake_in_evaluate_is_one_line_and_nothing_is_written(parts, benchmark, tmp_path):
    out = tmp_path / "results.json"

    def refused(*arguments) -> str:
        reason = reason_of(run("evaluate", *arguments, "--out", out))
        assert not out.exists()
        return reason

    assert "there is no folder '/nowhere'" in refused("/nowhere", "--data-dir", benchmark)
    assert "model_type 'clap'" in refused(parts.clap, "--data-dir", benchmark)
    assert "no split 'dev'" in refused(parts.language_model, "--data-dir", benchmark, "--split", "dev")
    broken = write_benchmark(tmp_path / "broken")
    path = broken / "published" / PITCH_FILE.format("test")
    path.write_text(path.read_text().replace("answer", "reply"))
    assert re.search(f"{path.name}.*answer", refused(parts.language_model, "--data-dir", broken))
    for place, problem in ((broken, "it is a folder"), (path / "results.json", "is a file. Choose another place")):
        # Refused before the model is looked at, so that no evaluation is lost.
        assert problem in reason_of(run("evaluate", "/nowhere", "--data-dir", benchmark, "--out", place))


@pytest.mark.parametrize("command", [["evaluate"], ["train", "detector"]])
def test_help_has_an_example_whose_options_exist(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    text = " ".join(re.sub("[│╭╰─╮╯]", " ", result.stdout).split())
    example = re.search(r"Example: audiobert (.+?)(?: Arguments| Options|$)", text).group(1).split()
    assert example[: len(command)] == command
    parsed = typer.main.get_command(app)
    for name in command:
        parsed = parsed.commands[name]
    # Parses and checks the arguments without running the command.
    parameters = parsed.make_context("audiobert", example[len(command) :]).params
    assert any(value for value in parameters.values())
