"""The exported folder: loads without code of ours, and its card tells what it holds."""

import hashlib
import os
import subprocess
import sys

import pytest
import yaml
from datasets import load_dataset

from audiobert.dataset_scripts.auditorybench import load_both_tasks
from audiobert.dataset_scripts.auditorybench.benchmarks import export_by_name
from audiobert.modeling_audiobert.errors import AudioBertInputError


CONFIGURATIONS = ["animal_sound_recognition", "combined", "sound_pitch_comparison"]
WITHOUT_OUR_CODE = """
import json, sys
sys.modules["audiobert"] = None  # importing it is an error from here on
from datasets import get_dataset_config_names, load_dataset
folder = sys.argv[1]
names = get_dataset_config_names(folder)
loaded = {name: load_dataset(folder, name) for name in names}
print(json.dumps({name: {split: loaded[name][split].to_list() for split in loaded[name]} for name in names}))
"""


def card_of(folder) -> tuple[dict, str]:
    _, header, text = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(header), text


def test_an_export_loads_in_a_fresh_process_without_code_of_ours(benchmark_folder, tmp_path, own_cache):
    tasks = export_by_name("auditorybench", tmp_path / "out", benchmark_folder, repository="out")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OUR_CODE, "out"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_DATASETS_CACHE": str(own_cache), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = yaml.safe_load(done.stdout)
    assert sorted(loaded) == CONFIGURATIONS
    for task, splits in tasks.items():
        assert loaded[task] == {split: rows.to_list() for split, rows in splits.items()}
    for split, rows in loaded["combined"].items():
        assert rows == [row for task in tasks for row in loaded[task][split]]


def test_the_card_names_licence_splits_checksums_and_defects(benchmark_folder, tmp_path):
    folder = tmp_path / "out"
    export_by_name("auditorybench", folder, benchmark_folder, repository="me/bench")
    metadata, text = card_of(folder)
    assert metadata["license"] == "mit"
    assert [split["split"] for split in metadata["configs"][0]["data_files"]] == [
        "train",
        "validation",
        "test",
        "wiki",
    ]
    files = sorted((folder / "data").rglob("*.parquet"))
    assert len(files) == 8
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in text
    for part in (
        "b5fa9bf149bc",
        "train file is its test file",
        "paper: words",
        "2409.08199",
        'load_dataset("me/bench"',
    ):
        assert part in text
    assert "Spans that are not in their sentence: animal_sound_recognition/train 6" in text
    assert "$" not in text
    assert str(tmp_path) not in text
    assert "Hyunjong Ok" in (folder / "LICENSE").read_text("utf-8")


def test_exporting_again_is_never_served_from_the_cache_of_before(benchmark_folder, tmp_path):
    folder = tmp_path / "out"
    load = {"path": str(folder), "name": "sound_pitch_comparison", "split": "wiki"}
    export_by_name("auditorybench", folder, benchmark_folder, repository="out")
    times = {file: file.stat() for file in folder.rglob("*") if file.is_file()}
    before = load_dataset(**load)["answer"][:]
    source = benchmark_folder / "published" / "sound_pitch_comparsion_wiki.csv"
    swapped = {"higher": "lower", "lower": "higher"}
    text = source.read_text("utf-8")
    source.write_text("".join(swapped.get(word, word) for word in text.replace(",", "\0,\0").split("\0")), "utf-8")
    export_by_name("auditorybench", folder, benchmark_folder, repository="out")
    for file, stat in times.items():
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load_dataset(**load)["answer"][:] == [swapped[answer] for answer in before]


def test_the_cleaned_export_says_that_rows_are_left_out(benchmark_folder, tmp_path):
    export_by_name("auditorybench", tmp_path / "out", benchmark_folder, repository="out", clean_train=True)
    assert "were left out of this export" in card_of(tmp_path / "out")[1]


def test_a_place_that_cannot_be_written_is_named_and_left_as_it_was(benchmark_folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(AudioBertInputError, match=r"cannot write '.*file/out'.*a part of that path is a file"):
        export_by_name("auditorybench", tmp_path / "file" / "out", benchmark_folder, repository="out")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_exported_folder_is_not_exported_as_something_else(benchmark_folder, tmp_path):
    export_by_name("auditorybench", tmp_path / "out", benchmark_folder, repository="out")
    with pytest.raises(AudioBertInputError, match=r"'.*out' is an exported folder already; .*audiobert data push"):
        export_by_name("auditorybench", tmp_path / "again", tmp_path / "out", repository="again")
    assert not (tmp_path / "again").exists()


def test_unknown_benchmarks_are_refused_by_name(benchmark_folder):
    with pytest.raises(
        AudioBertInputError, match=r"no benchmark 'glue'\. Choose one of: auditorybench, auditorybench_pp"
    ):
        export_by_name("glue", "out", benchmark_folder, repository="out")


def test_both_tasks_come_by_name(benchmark_folder):
    assert list(load_both_tasks(benchmark_folder)) == ["animal_sound_recognition", "sound_pitch_comparison"]
