"""`audiobert data`, as a user meets it."""

import json
import re

import datasets
import pytest
import typer
from datasets import load_dataset
from tiny_benchmark import ANIMAL_FILE, write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing that datasets prepares is left behind."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def benchmark_folder(tmp_path):
    return write_benchmark(tmp_path / "benchmark")


def run(*arguments):
    return CliRunner().invoke(app, ["data", *(str(argument) for argument in arguments)])


def reason_of(result) -> str:
    """The one line that a refused command prints."""
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("audiobert: ")]
    return line


def test_stats_prints_table_one_as_text_and_as_json(benchmark_folder):
    text = run("stats", "--data-dir", benchmark_folder)
    assert text.exit_code == 0
    assert "| animal_sound_recognition | test | 24 |" in text.stdout
    sizes = json.loads(run("stats", "--data-dir", benchmark_folder, "--json").stdout)
    assert [size["captions"] for size in sizes] == [24] * 4 + [18] * 4
    assert all(size["words"] == pytest.approx(size["captions"] * size["words_per_caption"]) for size in sizes)


def test_export_for_the_harness_says_how_to_run_it(benchmark_folder, tmp_path):
    arguments = ("export", "--data-dir", benchmark_folder, "--format", "lm-eval", "--out", tmp_path / "tasks")
    text = run(*arguments)
    assert text.exit_code == 0
    assert f"--include_path {tmp_path / 'tasks'} --tasks auditorybench" in text.stdout
    counts = json.loads(run(*arguments, "--json").stdout)["tasks"]
    assert counts["auditorybench_sound_pitch_comparison_wiki"] == {
        "rows": 18,
        "answer_not_among_candidates": 0,
        "left_out": 0,
    }
    assert run(*arguments[:3], "--format", "csv", "--out", tmp_path / "csv").exit_code == 2
    assert not (tmp_path / "csv").exists()


def test_check_exits_0_without_a_leak_and_1_with_one(benchmark_folder):
    clean = run("check", "--data-dir", benchmark_folder, "--json")
    assert clean.exit_code == 0
    assert json.loads(clean.stdout)["has_leak"] is False
    test = (benchmark_folder / "published" / ANIMAL_FILE.format("test")).read_text("utf-8").splitlines()
    train = benchmark_folder / "animal_train" / ANIMAL_FILE.format("train")
    train.write_text(train.read_text("utf-8") + test[1] + ",cat,dog,cow,bee,A\n", "utf-8")
    leaking = run("check", "--data-dir", benchmark_folder, "--json")
    assert leaking.exit_code == 1
    report = json.loads(leaking.stdout)
    assert [pair["rows"] for pair in report["shared"] if pair["is_leak"]] == [["asr-test-00000"]]
    text = run("check", "--data-dir", benchmark_folder)
    assert text.exit_code == 1
    assert "LEAK: 1 sentences" in text.stdout


def test_check_reports_a_train_split_that_is_the_test_split_and_export_refuses_it(benchmark_folder, tmp_path):
    test = (benchmark_folder / "published" / ANIMAL_FILE.format("test")).read_bytes()
    (benchmark_folder / "animal_train" / ANIMAL_FILE.format("train")).write_bytes(test)
    assert run("check", "--data-dir", benchmark_folder).exit_code == 1
    out = tmp_path / "out"
    assert "train split is the test split" in reason_of(run("export", "--out", out, "--data-dir", benchmark_folder))
    assert not out.exists()
    assert run("export", "--out", out, "--data-dir", benchmark_folder, "--allow-leaked-train").exit_code == 0


def test_export_says_how_to_load_what_it_wrote(benchmark_folder, tmp_path):
    out = tmp_path / "out"
    written = json.loads(run("export", "--out", out, "--data-dir", benchmark_folder, "--json").stdout)
    assert written["rows"]["sound_pitch_comparison"] == dict.fromkeys(["train", "validation", "test", "wiki"], 18)
    text = run("export", "--out", out, "--data-dir", benchmark_folder, "--clean-train")
    assert text.exit_code == 0
    path, task = re.search(r'load_dataset\("(.*)", "(.*)"\)', text.stdout).groups()
    assert len(load_dataset(path, task, split="wiki")) == 24


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["stats", "--data-dir", "no-such-folder"], "data_dir 'no-such-folder' does not exist"),
        (["check", "--data-dir", __file__], "is a file"),
        (["stats", "--benchmark", "glue"], "there is no benchmark 'glue'"),
        (["stats"], "connect to the network and repeat, or pass data_dir= (--data-dir)"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(arguments, reason):
    assert reason in reason_of(run(*arguments))


def test_push_without_a_hub_names_the_way_out(benchmark_folder):
    assert "audiobert data export" in reason_of(run("push", "me/bench", "--data-dir", benchmark_folder))


def test_the_examples_of_the_help_run(benchmark_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark_folder.rename(tmp_path / "auditorybench")
    commands = typer.main.get_command(app).commands["data"].commands
    assert sorted(commands) == ["check", "export", "push", "seen", "stats"]
    for name, command in commands.items():
        example = re.search(r"Example: audiobert data (.*)", command.help)[1]
        # Nothing to push to here: the example must get as far as the Hub.
        assert run(*example.split()).exit_code == (2 if name == "push" else 0), name
