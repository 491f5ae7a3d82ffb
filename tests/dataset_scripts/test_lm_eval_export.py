"""The export for lm-evaluation-harness, run by the harness itself."""

import json
import math

import pytest
import torch
from tiny_benchmark import CALLS
from tiny_causal import save_causal_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.lm_eval_export import export_lm_eval
from audiobert.modeling_audiobert.errors import AudioBertInputError


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


@pytest.fixture
def opinionated(tmp_path):
    """A causal model whose weights, though random, are large: it prefers some words much to others."""
    folder = save_causal_model(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(12.0 if parameter.dim() > 1 else 1.0)
    model.save_pretrained(folder)
    return folder


def answers_by_hand(folder, rows, candidates) -> tuple[list[str], list[str]]:
    """The likeliest candidate of each row per character, and without regard to length: one sentence at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    normalised, plain = [], []
    for row in rows:
        scores, lengths = {}, {}
        for candidate in candidates:
            sentence = row["sentence"].replace("[MASK]", candidate)
            tokens = torch.tensor([[tokenizer.eos_token_id, *tokenizer(sentence, add_special_tokens=False).input_ids]])
            with torch.inference_mode():
                log_probabilities = model(tokens).logits[0, :-1].double().log_softmax(-1)
            scores[candidate] = float(log_probabilities.gather(1, tokens[0, 1:, None]).sum())
            lengths[candidate] = len(sentence)
        normalised.append(max(scores, key=lambda candidate: scores[candidate] / lengths[candidate]))
        plain.append(max(scores, key=scores.get))
    return normalised, plain


def rename_answers(folder, split, old, new) -> None:
    path = folder / "published" / f"animal_sound_recognition_{split}.csv"
    path.write_text(path.read_text("utf-8").replace(f"\n{old},", f"\n{new},"), "utf-8")


def test_the_harness_finds_the_accuracy_that_one_computes_by_hand(benchmark_folder, tmp_path, harness, opinionated):
    rename_answers(benchmark_folder, "test", "bee", "whale")  # which is no answer of train
    export_lm_eval("auditorybench", tmp_path / "tasks", benchmark_folder)
    (tmp_path / "tasks").rename(tmp_path / "moved")
    results = harness(tmp_path / "moved", opinionated, ["auditorybench_combined_test"])
    assert {name: found["original"] for name, found in results["n-samples"].items()} == {
        f"{ANIMAL}_test": 24,
        f"{PITCH}_test": 18,
    }
    right, by_length = {}, []
    for name, candidates in ((ANIMAL, sorted(CALLS)), (PITCH, ["higher", "lower"])):
        rows = load_auditorybench(name.removeprefix("auditorybench_"), "test", benchmark_folder).to_list()
        normalised, plain = answers_by_hand(opinionated, rows, candidates)
        by_length += [
            row["id"] for row, *answers in zip(rows, normalised, plain, strict=True) if len(set(answers)) > 1
        ]
        right[name] = [answer == row["answer"] for answer, row in zip(normalised, rows, strict=True)]
        found = sorted(results["samples"][f"{name}_test"], key=lambda sample: sample["doc_id"])
        assert [sample["acc_norm"] for sample in found] == right[name]
        assert results["results"][f"{name}_test"]["acc_norm,none"] == pytest.approx(sum(right[name]) / len(rows))
    assert by_length  # so that the test can tell whether length was divided by
    assert 0 < sum(right[ANIMAL]) < 24
    combined = results["results"]["auditorybench_combined_test"]["acc_norm,none"]
    assert combined == pytest.approx((sum(right[ANIMAL]) + sum(right[PITCH])) / 42)


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
