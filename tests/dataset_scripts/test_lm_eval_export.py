"""The export for lm-evaluation-harness, run by the harness itself."""

import json
import math

import pytest
from tiny_benchmark import CALLS
from tiny_causal import save_causal_model
from tiny_causal_families import FAMILIES, save_family

from audiobert.dataset_scripts.auditorybench.lm_eval_export import export_lm_eval
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.evaluation import evaluate_model


ANIMAL, PITCH = "auditorybench_animal_sound_recognition", "auditorybench_sound_pitch_comparison"


@pytest.fixture
def harness():
    """Runs tasks of a folder with a model's folder, as `lm_eval --include_path` does."""
    lm_eval = pytest.importorskip("lm_eval", reason='lm-eval is missing: pip install "audiobert[lm-eval]"')
    from lm_eval.tasks import TaskManager

    def run(folder, model, tasks):
        return lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(model), "dtype": "float32", "device": "cpu"},
            tasks=tasks,
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            batch_size=8,
            bootstrap_iters=0,
            log_samples=True,
        )

    return run


def rename_answers(folder, split, old, new) -> None:
    path = folder / "published" / f"animal_sound_recognition_{split}.csv"
    path.write_text(path.read_text("utf-8").replace(f"\n{old},", f"\n{new},"), "utf-8")


@pytest.mark.parametrize("start", [True, False], ids=["start token", "end token only"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_harness_finds_right_what_our_evaluation_finds_right(benchmark_folder, tmp_path, harness, family, start):
    rename_answers(benchmark_folder, "test", "bee", "whale")  # which is no answer of train
    export_lm_eval("auditorybench", tmp_path / "tasks", benchmark_folder)
    (tmp_path / "tasks").rename(tmp_path / "moved")
    model = save_family(tmp_path / family, family, "right", start)
    results = harness(tmp_path / "moved", model, ["auditorybench_combined_test"])
    ours = evaluate_model(model, benchmark_folder)
    correct = {entry["id"]: entry["correct"] for entry in ours["predictions"]}
    samples = [sample for task in (ANIMAL, PITCH) for sample in results["samples"][f"{task}_test"]]
    assert {sample["doc"]["id"]: sample["acc_norm"] == 1.0 for sample in samples} == correct
    assert len(correct) == 42
    # Without dividing by the length other rows are right, so that the test can tell whether it was done.
    assert [sample["acc"] for sample in samples] != [sample["acc_norm"] for sample in samples]
    assert 0 < sum(correct.values()) < 42
    for entry in ours["results"]:
        found = results["results"][f"auditorybench_{entry['task']}_test"]["acc_norm,none"]
        assert found == pytest.approx(entry["accuracy"])


def test_a_row_whose_answer_is_no_candidate_is_wrong_even_as_the_first_row(benchmark_folder, tmp_path, harness):
    for animal in CALLS:
        rename_answers(benchmark_folder, "wiki", animal, "whale")
    exported = export_lm_eval("auditorybench", tmp_path / "tasks", benchmark_folder)
    assert {task.name: len(task.unanswerable) for task in exported}[f"{ANIMAL}_wiki"] == 24
    results = harness(tmp_path / "tasks", save_causal_model(tmp_path / "model"), [f"{ANIMAL}_wiki"])
    assert results["results"][f"{ANIMAL}_wiki"]["acc_norm,none"] == 0.0
    assert len(results["samples"][f"{ANIMAL}_wiki"]) == 24


def test_published_choices_are_the_candidates_where_there_are_some(benchmark_folder, tmp_path, harness):
    export_lm_eval("auditorybench", tmp_path / "tasks", benchmark_folder)
    results = harness(tmp_path / "tasks", save_causal_model(tmp_path / "model"), [f"{ANIMAL}_train"])
    assert {len(row["resps"]) for row in results["samples"][f"{ANIMAL}_train"]} == {4}
    assert not math.isnan(results["results"][f"{ANIMAL}_train"]["acc_norm,none"])


def test_rows_without_one_gap_are_left_out_and_counted(benchmark_folder, tmp_path):
    path = benchmark_folder / "published" / "animal_sound_recognition_test.csv"
    path.write_text(path.read_text("utf-8").replace("[MASK]", "animal", 1), "utf-8")
    exported = {task.name: task for task in export_lm_eval("auditorybench", tmp_path / "tasks", benchmark_folder)}
    assert exported[f"{ANIMAL}_test"].left_out == ["asr-test-00000"]
    lines = (tmp_path / "tasks/data/animal_sound_recognition/test.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"asr-test-{index:05d}" for index in range(1, 24)]
    assert f"| `{ANIMAL}_test` | 23 | 0 | 1 |" in (tmp_path / "tasks/README.md").read_text("utf-8")


def test_a_benchmark_without_any_gap_is_refused_and_nothing_written(benchmark_folder, tmp_path):
    for path in benchmark_folder.rglob("*.csv"):
        path.write_text(path.read_text("utf-8").replace("[MASK]", "thing"), "utf-8")
    with pytest.raises(AudioBertInputError, match=r"no row of '.*benchmark' has exactly one \[MASK\].*data check"):
        export_lm_eval("auditorybench", tmp_path / "tasks", benchmark_folder)
    assert not (tmp_path / "tasks").exists()


def test_an_exported_benchmark_is_exported_again_for_the_harness(benchmark_folder, tmp_path):
    from audiobert.dataset_scripts.auditorybench.benchmarks import export_by_name

    export_by_name("auditorybench", tmp_path / "parquet", benchmark_folder, repository="parquet")
    export_lm_eval("auditorybench", tmp_path / "direct", benchmark_folder)
    export_lm_eval("auditorybench", tmp_path / "again", tmp_path / "parquet")
    files = sorted(path.relative_to(tmp_path / "direct") for path in (tmp_path / "direct").rglob("*.*"))
    assert len(files) > 15
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "direct" / file).read_bytes()
