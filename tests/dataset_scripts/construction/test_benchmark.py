"""The constructed benchmark: loads without our code, is evaluated like the published one, and says what it lacks."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from candidate_rows import ANIMAL, PITCH, animal_row, pitch_row

from audiobert.dataset_scripts.auditorybench import load_auditorybench, load_both_tasks
from audiobert.dataset_scripts.auditorybench.benchmarks import export_by_name
from audiobert.dataset_scripts.auditorybench.checks import check_benchmark
from audiobert.dataset_scripts.construction.benchmark import BenchmarkFacts, build_benchmark
from audiobert.dataset_scripts.construction.jsonl import read_jsonl
from audiobert.modeling_audiobert.errors import AudioBertInputError


WITHOUT_OUR_CODE = """
import json, sys
sys.modules["audiobert"] = None  # importing it is an error from here on
from datasets import get_dataset_config_names, load_dataset
names = get_dataset_config_names(sys.argv[1])
print(json.dumps({name: load_dataset(sys.argv[1], name).num_rows for name in names}))
"""


def candidates(count: int = 40) -> list[dict]:
    rows = [
        animal_row(
            id=f"a{index}", answer=("cat", "dog")[index % 2], sentence=f"Story {index} is of a meow and a [MASK].",
            clip_ids=[f"clip {index}"], provenance={"model": "a model", "prompt": "animal", "prompt_version": "1"},
        )
        for index in range(count)
    ]  # fmt: skip
    rows += [
        pitch_row(
            id=f"p{index}", sentence=f"Tone {index} has a [MASK] pitch than note {index}.", llm_answer="higher",
            spans=[f"Tone {index}", f"note {index}"], clip_ids=[f"high {index}", f"low {index}"],
        )
        if index % 2
        else pitch_row(
            id=f"p{index}", sentence=f"Note {index} has a [MASK] pitch than tone {index}.", llm_answer="lower",
            spans=[f"Note {index}", f"tone {index}"], clip_ids=[f"low {index}", f"high {index}"],
        )
        for index in range(count)
    ]  # fmt: skip
    return [*rows, animal_row(id="bad", answer="zombie")]


def pitches(count: int = 40) -> list[dict]:
    return [
        {"id": f"{name} {index}", "average_pitch_hz": hertz}
        for index in range(count)
        for name, hertz in (("low", 100.0), ("high", 900.0))
    ]


WIKI = [
    animal_row(id="w1", sentence="Meow goes the [MASK] of encyclopedias.", clip_ids=[], provenance={"facts": "f.csv"})
]


@pytest.fixture
def built(tmp_path):
    folder = tmp_path / "bench"
    return folder, build_benchmark(folder, candidates(), pitches(), WIKI, facts=BenchmarkFacts("My bench", "cc0-1.0"))


def test_the_folder_loads_in_a_fresh_process_without_code_of_ours(built, own_cache):
    folder, _ = built
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OUR_CODE, str(folder)], capture_output=True, text=True, check=False,
        env={**os.environ, "HF_DATASETS_CACHE": str(own_cache), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert loaded[ANIMAL] == {"train": 28, "validation": 4, "test": 8, "wiki": 1}
    assert loaded[PITCH] == {"train": 28, "validation": 4, "test": 8}
    assert loaded["combined"] == {"train": 56, "validation": 8, "test": 16, "wiki": 1}


def test_the_rows_are_of_the_published_schema_and_without_defects(built):
    folder, _ = built
    tasks = load_both_tasks(folder)
    report = check_benchmark(tasks)
    assert not report.has_leak
    assert all(not any(split.misplaced_spans) and not split.not_one_mask for split in report.splits)
    row = tasks[PITCH]["train"][0]
    assert row["choices"] == ["higher", "lower"]
    assert row["choices"][row["answer_index"]] == row["answer"]
    assert sorted(row["average_pitch_hz"]) == [100.0, 900.0]
    assert tasks[ANIMAL]["train"][0]["source"] == "a model, prompt animal 1"
    assert tasks[ANIMAL]["wiki"][0]["source"] == "f.csv"


def test_provenance_and_rejects_lie_beside_the_rows(built):
    folder, benchmark = built
    rows = read_jsonl(folder / "rows.jsonl")
    assert {row["split"] for row in rows} == {"train", "validation", "test", "wiki"}
    assert rows[0]["clip_ids"]
    assert rows[0]["provenance"]
    rejects = read_jsonl(folder / "rejects.jsonl")
    assert [(row["id"], row["reason"]) for row in rejects] == [("bad", "the answer is blocked")]
    assert benchmark.reasons == {"the answer is blocked": 1}
    assert len(rows) + len(rejects) == len(candidates()) + len(WIKI)


def test_the_card_has_the_sizes_and_what_was_left_out_but_nothing_of_the_paper_s_numbers(built, tmp_path):
    text = (built[0] / "README.md").read_text("utf-8")
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert metadata["license"] == "cc0-1.0"
    assert f"| {ANIMAL} | train | 28 |" in text
    assert "Candidates left out: 1, the answer is blocked." in text
    assert "audiobert construct split" in text
    assert "paper:" not in text
    assert "$" not in text
    assert str(tmp_path) not in text
    assert not (built[0] / "LICENSE").exists()


def test_one_split_is_served_by_the_loader_that_evaluation_uses(built):
    assert len(load_auditorybench("combined", "test", built[0])) == 16
    assert load_auditorybench(ANIMAL, "wiki", built[0])["id"] == ["w1"]


def test_a_published_benchmark_that_was_exported_loads_from_there_too(benchmark_folder, tmp_path):
    export_by_name("auditorybench", tmp_path / "out", benchmark_folder, repository="out")
    assert (
        load_auditorybench("combined", "test", tmp_path / "out").to_list()
        == load_auditorybench("combined", "test", benchmark_folder).to_list()
    )


def test_what_an_exported_folder_lacks_is_named(tmp_path):
    folder = tmp_path / "animals"
    build_benchmark(folder, [row for row in candidates() if row["task"] == ANIMAL])
    assert list(load_both_tasks(folder)) == [ANIMAL]
    with pytest.raises(AudioBertInputError, match=rf"has no rows of {PITCH}, only of: {ANIMAL}"):
        load_auditorybench("combined", "test", folder)
    with pytest.raises(AudioBertInputError, match=rf"no split 'wiki' of {ANIMAL}; it has: train, validation, test"):
        load_auditorybench(ANIMAL, "wiki", folder)
    with pytest.raises(AudioBertInputError, match="clean_train is for the published CSV files"):
        load_auditorybench(ANIMAL, "train", folder, clean_train=True)


def test_a_damaged_file_of_an_exported_folder_is_an_input_error(built):
    folder, _ = built
    file = folder / "data" / ANIMAL / "test.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(AudioBertInputError, match=r"cannot read '.*test\.parquet'"):
        load_auditorybench(ANIMAL, "test", folder)


def test_other_columns_are_refused_and_other_rows_are_read_afresh(built):
    folder, _ = built
    file = folder / "data" / ANIMAL / "test.parquet"
    table = pq.read_table(file)
    assert len(load_auditorybench(ANIMAL, "test", folder)) == 8
    pq.write_table(table.slice(0, 3), file)
    assert len(load_auditorybench(ANIMAL, "test", folder)) == 3
    pq.write_table(table.drop_columns("spans"), file)
    with pytest.raises(AudioBertInputError, match=r"test\.parquet' has no column 'spans'"):
        load_auditorybench(ANIMAL, "test", folder)
    other = table.drop_columns("spans").append_column("spans", pa.array([1.5] * len(table)))
    pq.write_table(other, file)
    with pytest.raises(AudioBertInputError, match=r"test\.parquet' has columns of other types"):
        load_auditorybench(ANIMAL, "test", folder)


def test_when_too_few_rows_are_left_the_rejects_tell_why(tmp_path):
    rows = [
        animal_row(id=str(index), answer="zombie", sentence=f"{index}: meow says a [MASK].") for index in range(20)
    ]
    with pytest.raises(AudioBertInputError, match="no row is left to split"):
        build_benchmark(tmp_path / "bench", rows)
    assert len(read_jsonl(tmp_path / "bench" / "rejects.jsonl")) == 20
    assert not (tmp_path / "bench" / "README.md").exists()
