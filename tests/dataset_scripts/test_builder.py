"""AuditoryBench by name: rows, layouts, caching, and what is refused."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from datasets import load_dataset
from tiny_benchmark import ANIMAL_FILE, PITCH_FILE

import audiobert
from audiobert.dataset_scripts.auditorybench import load_auditorybench, load_auditorybench_splits


ANIMAL, PITCH = "animal_sound_recognition", "sound_pitch_comparison"
SPLITS = ["train", "validation", "test", "wiki"]


def edit(file, change) -> None:
    """Write `change(text)` in place of the file's text, byte for byte."""
    file.write_bytes(change(file.read_bytes().decode()).encode())


def test_combined_is_the_union_of_both_tasks(benchmark_folder):
    both = load_dataset("auditorybench", "combined", data_dir=str(benchmark_folder))
    parts = [load_dataset("auditorybench", task, data_dir=str(benchmark_folder)) for task in (ANIMAL, PITCH)]
    assert list(both) == SPLITS
    for split in SPLITS:
        assert both[split].to_list() == parts[0][split].to_list() + parts[1][split].to_list()
        assert len(set(both[split]["id"])) == len(both[split])


def test_rows_hold_what_was_published_and_where_the_spans_lie(benchmark_folder):
    rows = load_auditorybench(ANIMAL, "train", benchmark_folder).to_list()
    published = (benchmark_folder / "animal_train" / ANIMAL_FILE.format("train")).read_text("utf-8")
    assert len(rows) == 24
    for row, source in zip(rows, csv.DictReader(io.StringIO(published)), strict=True):
        assert (row["answer"], row["sentence"]) == (source["animal"], source["sentence"])
        assert row["choices"][row["answer_index"]] == source[source["Answer"]]
        (span,) = row["spans"]
        assert span["text"] == source["description"]
        inside = source["description"].lower() in source["sentence"].lower()
        assert row["spans_found"] is inside
        expected = source["description"].lower() if inside else ""
        assert row["sentence"][max(span["start"], 0) : max(span["end"], 0)].lower() == expected
        assert (span["start"] == -1) is not inside


def test_pitch_rows_name_the_right_choice_and_no_measurement_that_was_not_published(benchmark_folder):
    rows = load_auditorybench(PITCH, "test", benchmark_folder).to_list()
    assert len(rows) == 18
    for row in rows:
        assert row["choices"][row["answer_index"]] == row["answer"]
        assert row["freesound_ids"] is None
        assert row["average_pitch_hz"] is None


def test_measured_pitches_and_freesound_ids_come_along_where_published(benchmark_folder):
    folder = benchmark_folder / "first_release"
    folder.mkdir()
    for split in ("train", "dev", "test", "wiki"):
        text = (benchmark_folder / "published" / PITCH_FILE.format(split)).read_text("utf-8")
        rows = list(csv.reader(io.StringIO(text)))
        with (folder / PITCH_FILE.format(split)).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id_1", "id_2", "avg_pitch_1", "avg_pitch_2", *rows[0]])
            writer.writerows([i, i + 1000, 440.5 + i, "", *row] for i, row in enumerate(rows[1:], 1))
    row = load_auditorybench(PITCH, "test", benchmark_folder)[2]
    assert row["freesound_ids"] == [3, 1003]
    assert row["average_pitch_hz"] == [443.5, None]
    edit(folder / PITCH_FILE.format("test"), lambda text: text.replace("443.5", "loud"))
    with pytest.raises(
        ValueError, match=r"dev|test.csv', row 3 \(line 4\): 'loud' .*avg_pitch_1' is not a pitch in Hz"
    ):
        load_auditorybench(PITCH, "test", benchmark_folder)


def test_a_checkout_and_its_dataset_folder_load_like_the_gathered_files(benchmark_folder, checkout):
    gathered = load_auditorybench("combined", "train", benchmark_folder).remove_columns("source").to_list()
    for folder in (checkout, checkout / "dataset"):
        assert load_auditorybench("combined", "train", folder).remove_columns("source").to_list() == gathered


def test_streaming_slices_and_processes_give_the_same_rows(benchmark_folder, tmp_path):
    arguments = {"path": "auditorybench", "name": "combined", "data_dir": str(benchmark_folder)}
    whole = load_dataset(**arguments)
    streamed = load_dataset(**arguments, streaming=True)
    assert {split: list(streamed[split]) for split in streamed} == {split: whole[split].to_list() for split in whole}
    assert load_dataset(**arguments, split="test[10:12]").to_list() == whole["test"].to_list()[10:12]
    shared_out = load_dataset(**arguments, num_proc=2, cache_dir=str(tmp_path / "elsewhere"))
    assert shared_out["train"].to_list() == whole["train"].to_list()


def test_a_second_load_comes_from_the_cache_and_a_changed_file_does_not(benchmark_folder, own_cache):
    def answers():
        return load_dataset("auditorybench", ANIMAL, data_dir=str(benchmark_folder), split="wiki")["answer"]

    def prepared():
        return sorted(own_cache.rglob("*.arrow"))

    file = benchmark_folder / "published" / ANIMAL_FILE.format("wiki")
    before, files = list(answers()), prepared()
    assert files
    assert list(answers()) == before
    assert prepared() == files
    times = file.stat()
    edit(file, lambda text: text.replace("cat,", "cow,"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # not even the time tells
    assert list(answers()) == ["cow" if answer == "cat" else answer for answer in before]


def test_moved_files_are_not_prepared_twice(benchmark_folder, tmp_path, own_cache):
    load_auditorybench(PITCH, "test", benchmark_folder)
    files = sorted(own_cache.rglob("*.arrow"))
    load_auditorybench(PITCH, "test", benchmark_folder.rename(tmp_path / "moved"))
    assert sorted(own_cache.rglob("*.arrow")) == files


def copy_test_to_train(folder, change=lambda text: text):
    file = folder / "animal_train" / ANIMAL_FILE.format("train")
    text = (folder / "published" / ANIMAL_FILE.format("test")).read_bytes().decode()
    file.write_bytes(change(text).encode())


@pytest.mark.parametrize(
    "change",
    [lambda text: text, lambda text: text.replace("\r\n", "\n"), lambda text: "\n".join(sort_rows(text)) + "\n"],
    ids=["the same bytes", "other line ends", "another order"],
)
def test_a_train_split_that_is_the_test_split_is_refused(benchmark_folder, change):
    copy_test_to_train(benchmark_folder, change)
    with pytest.raises(ValueError, match=r"(?s)benchmark'.*train split is the test split.*allow_leaked_train=True"):
        load_dataset("auditorybench", ANIMAL, data_dir=str(benchmark_folder))


def sort_rows(text: str) -> list[str]:
    header, *rows = text.splitlines()
    return [header, *sorted(rows)]


def test_an_explicit_option_takes_it_all_the_same_with_a_warning(benchmark_folder, caplog):
    copy_test_to_train(benchmark_folder)
    splits = load_dataset("auditorybench", ANIMAL, data_dir=str(benchmark_folder), allow_leaked_train=True)
    assert splits["train"]["sentence"][:] == splits["test"]["sentence"][:]
    assert "has seen the test answers" in caplog.text


def test_clean_train_shares_no_sentence_with_what_is_evaluated(benchmark_folder):
    leaked = "A [MASK] makes the leaked noise."
    for folder, split in (("animal_train", "train"), ("published", "wiki")):
        file = benchmark_folder / folder / ANIMAL_FILE.format(split)
        tail = ",cat,dog,cow,bee,A" if split == "train" else ""
        sentence = leaked.upper().replace("  ", " ") if split == "train" else leaked
        edit(file, lambda text, tail=tail, sentence=sentence: f"{text}ghost,noise,{sentence}{tail}\r\n")
    cleaned = load_auditorybench_splits("combined", benchmark_folder, clean_train=True)
    dirty = load_auditorybench_splits("combined", benchmark_folder)
    assert len(dirty["train"]) - len(cleaned["train"]) == 1
    assert "ghost" not in cleaned["train"]["answer"][:]
    assert cleaned["wiki"].to_list() == dirty["wiki"].to_list()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "published" / PITCH_FILE.format("dev")).unlink(), "sound_pitch_comparsion_dev.csv"),
        (
            lambda folder: edit(
                folder / "published" / PITCH_FILE.format("wiki"), lambda t: t.replace("span1", "span")
            ),
            r"comparsion_wiki.csv', the header \(line 1\) has no column 'span1'",
        ),
        (
            lambda folder: edit(
                folder / "published" / ANIMAL_FILE.format("dev"), lambda t: t.replace("cow,", " ,", 1)
            ),
            r"recognition_dev.csv', row 9 \(line 10\) has nothing in column 'animal'",
        ),
        (
            lambda folder: edit(folder / "published" / ANIMAL_FILE.format("test"), lambda t: t[: len(t) // 2]),
            r"recognition_test.csv', row \d+ \(line \d+\)",
        ),
    ],
    ids=["missing split", "renamed column", "empty answer", "file cut in the middle"],
)
def test_damaged_sources_are_refused_by_file_and_row(benchmark_folder, own_cache, spoil, message):
    spoil(benchmark_folder)
    with pytest.raises(ValueError, match=message) as raised:
        load_dataset("auditorybench", "combined", data_dir=str(benchmark_folder))
    assert isinstance(raised.value, audiobert.AudioBertInputError)
    assert not list(own_cache.rglob("*.arrow"))


def test_verify_refuses_files_that_are_not_the_published_ones(benchmark_folder):
    with pytest.raises(ValueError, match=r"(?s)is not the published file HJ-Ok/AudioBERT@.*sha256"):
        load_auditorybench(PITCH, "test", benchmark_folder, verify=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data_dir": __file__}, r"test_builder.py' is a file. Give the folder"),
        ({"data_dir": "no-such-folder"}, r"'no-such-folder' does not exist"),
        ({"data_files": __file__}, r"as data_dir, not data_files"),
        ({}, r"(?s)could not download.*connect to the network.*pass data_dir="),
    ],
    ids=["a file", "nowhere", "data_files", "no network"],
)
def test_what_is_no_source_is_refused_with_the_way_out(arguments, message):
    with pytest.raises(audiobert.AudioBertInputError, match=message):
        load_dataset("auditorybench", PITCH, **arguments)


def test_the_builders_of_datasets_itself_are_found_as_before(tmp_path):
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    assert load_dataset("csv", data_dir=str(tmp_path), split="train").to_list() == [{"a": 1, "b": 2}]


def test_unknown_tasks_and_splits_are_refused(benchmark_folder):
    with pytest.raises(audiobert.AudioBertInputError, match=r"has no task 'pitch'\. Choose one of: animal_sound"):
        load_auditorybench("pitch", "test", benchmark_folder)
    with pytest.raises(audiobert.AudioBertInputError, match=r"has no split 'dev'\. Choose one of: train, validation"):
        load_auditorybench(PITCH, "dev", benchmark_folder)


IN_A_FRESH_PROCESS = """
import json, sys
import audiobert
light = "datasets" not in sys.modules
from datasets import load_dataset
rows = load_dataset("auditorybench", "combined", data_dir=sys.argv[1], split="test")
try:
    load_dataset("auditorybench", "combined")
    refusal = None
except audiobert.AudioBertInputError as error:
    refusal = str(error)
print(json.dumps({"light": light, "rows": len(rows), "refusal": refusal}))
"""


def test_a_fresh_process_finds_the_builder_by_name_and_searches_no_folder(benchmark_folder, tmp_path, own_cache):
    # Empty: were it searched for data files, datasets would complain of that instead.
    (tmp_path / "work").mkdir()
    arguments = [sys.executable, "-c", IN_A_FRESH_PROCESS, str(benchmark_folder)]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(own_cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        arguments, cwd=tmp_path / "work", capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["light"], report["rows"]) == (True, 42)
    assert "connect to the network" in report["refusal"]


def test_the_real_files_load_verified(real_tasks):
    sizes = {task: [len(real_tasks[task][split]) for split in SPLITS] for task in real_tasks}
    assert sizes == {ANIMAL: [4534, 593, 1211, 197], PITCH: [8312, 1178, 2387, 3625]}
    columns = {split: real_tasks[PITCH][split]["average_pitch_hz"] for split in SPLITS[:3]}
    missing = {split: sum(pitch is None for pair in pairs for pitch in pair) for split, pairs in columns.items()}
    assert missing == {"train": 13 + 18, "validation": 1 + 3, "test": 4 + 10}


def test_the_published_head_is_refused(shared):
    with pytest.raises(ValueError, match="train split is the test split"):
        load_auditorybench(ANIMAL, "test", shared / "auditorybench" / "published")


def test_the_spans_of_the_real_rows_read_as_published(real_tasks):
    found = 0
    for row in (row for splits in real_tasks.values() for rows in splits.values() for row in rows.to_list()):
        for span in row["spans"]:
            if span["start"] >= 0:
                found += 1
                assert row["sentence"][span["start"] : span["end"]].lower() == span["text"].lower()
    assert found > 30_000


def test_whoever_knows_the_measured_pitches_knows_nearly_all_answers(real_tasks):
    rows = [row for row in real_tasks[PITCH]["test"].to_list() if None not in row["average_pitch_hz"]]
    right = sum(
        (row["average_pitch_hz"][0] > row["average_pitch_hz"][1]) == (row["answer"] == "higher") for row in rows
    )
    assert right / len(rows) > 0.99
