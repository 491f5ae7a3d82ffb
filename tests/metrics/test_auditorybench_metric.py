"""The metric auditorybench: by hand, against scikit-learn, and as evaluate and the Trainer use it."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score
from transformers import EvalPrediction

import audiobert


ANSWERS = st.sampled_from(["cat", "dog", "river otter", "bee"])


@pytest.fixture(scope="module")
def metric():
    return evaluate.load(audiobert.metric_path("auditorybench"))


def test_a_case_worked_by_hand(metric):
    results = metric.compute(
        predictions=["dog", "otter", "higher", "lower"],
        references=["dog", "river otter", "higher", "higher"],
        tasks=["animal", "animal", "pitch", "pitch"],
    )
    assert results["accuracy"] == results["accuracy_animal"] == results["accuracy_pitch"] == 0.5
    assert (results["rows"], results["rows_animal"], results["answers"]) == (4, 2, 3)
    # F1: dog 1, higher 2/3 (right once, predicted once, due twice), the other three answers 0.
    assert results["macro_f1"] == pytest.approx((1 + 2 / 3) / 5)
    assert results["weighted_f1"] == pytest.approx((1 * 1 + 2 / 3 * 2) / 4)


def test_combined_is_micro_and_not_the_mean_of_tasks(metric):
    results = metric.compute(predictions=["a", "a", "a", "b"], references=["a"] * 4, tasks=["x", "x", "x", "y"])
    assert (results["accuracy"], results["accuracy_x"], results["accuracy_y"]) == (0.75, 1.0, 0.0)


@settings(max_examples=15, deadline=None)
@given(pairs=st.lists(st.tuples(ANSWERS, ANSWERS), min_size=1, max_size=12), order=st.randoms())
def test_it_equals_scikit_learn_in_any_row_order(metric, pairs, order):
    predicted, right = (list(side) for side in zip(*pairs, strict=True))
    results = metric.compute(predictions=predicted, references=right)
    assert results["accuracy"] == pytest.approx(accuracy_score(right, predicted))
    for average in ("macro", "weighted"):
        expected = f1_score(right, predicted, average=average, zero_division=0)
        assert results[f"{average}_f1"] == pytest.approx(expected)
    order.shuffle(pairs)
    shuffled = metric.compute(predictions=[mine for mine, _ in pairs], references=[theirs for _, theirs in pairs])
    assert shuffled == pytest.approx(results)


@pytest.mark.parametrize(
    ("prediction", "reference", "options", "right"),
    [
        ("Dog", "dog", {}, True),
        ("Dog", "dog", {"ignore_case": False}, False),
        ("  river   otter ", "river otter", {}, True),
        ("riverotter", "river otter", {}, False),
        ("a dog", "dog", {}, False),
        ("a dog", "The dog", {"ignore_articles": True}, True),
        ("the", "the", {"ignore_articles": True}, True),
        ("dog.", "dog", {}, False),
        ("river", "river otter", {}, False),
        ("", "dog", {}, False),
    ],
)
def test_case_space_and_articles_count_as_the_card_says(metric, prediction, reference, options, right):
    assert metric.compute(predictions=[prediction], references=[reference], **options)["accuracy"] == float(right)


@pytest.mark.parametrize(
    ("prediction", "reference", "right"),
    [
        ([5, 6], [5, 6], True),
        ([5, 7], [5, 6], False),
        ([5], [5, 6], False),
        ([1, 5, 6, 2], [-100, 5, 6, -100], True),
        ([1, 5, 7, 2], [-100, 5, 6, -100], False),
        ([5, 6], [-100, 5, 6, -100], True),
    ],
    ids=["all pieces", "one piece wrong", "a piece missing", "labels", "labels, wrong", "answer against labels"],
)
def test_token_ids_are_right_only_if_every_piece_is(metric, prediction, reference, right):
    assert metric.compute(predictions=[prediction], references=[reference])["accuracy"] == float(right)


def test_the_interval_holds_the_accuracy_narrows_with_rows_and_repeats(metric):
    def interval(rows, **options):
        results = metric.compute(predictions=["a"] * rows, references=["a", "b"] * (rows // 2), **options)
        assert results["accuracy_low"] <= results["accuracy"] <= results["accuracy_high"]
        return results["accuracy_low"], results["accuracy_high"]

    few, many = interval(100), interval(1000)
    assert many[1] - many[0] < few[1] - few[0]
    assert interval(100) == few != interval(100, seed=1)
    # The normal approximation of 100 rows at one half: 0.5 ± 1.96 * 0.05.
    assert few == pytest.approx((0.402, 0.598), abs=0.03)


def test_batches_and_single_rows_give_what_one_call_gives():
    whole = {"predictions": ["a", "b", "c"], "references": ["a", "b", "b"], "tasks": ["x", "y", "y"]}
    metric = evaluate.load(audiobert.metric_path("auditorybench"), "by_task")
    expected = metric.compute(**whole)
    metric.add_batch(**{name: values[:2] for name, values in whole.items()})
    metric.add(prediction="c", reference="b", tasks="y")
    assert metric.compute() == expected
    assert expected["accuracy_y"] == 0.5


def test_it_combines_with_another_metric():
    both = evaluate.combine([evaluate.load(audiobert.metric_path(name)) for name in audiobert.metrics.METRICS])
    results = both.compute(predictions=[[0, 1], [1, 1]], references=[[0, 1], [1, 0]], num_positions=2, seed=3)
    assert results["accuracy"] == 0.5
    assert results["token_recall"] == 1.0


def test_it_scores_what_the_trainer_hands_to_compute_metrics(metric):
    logits = np.zeros((2, 3, 5))
    logits[0, 1, 4] = logits[1, 1, 3] = logits[1, 2, 2] = 1.0
    evaluation = EvalPrediction(predictions=logits, label_ids=np.array([[-100, 4, -100], [-100, 3, 1]]))
    results = metric.compute(predictions=evaluation.predictions.argmax(-1), references=evaluation.label_ids)
    assert (results["accuracy"], results["rows"]) == (0.5, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictions": [], "references": []}, "no rows to score"),
        ({"predictions": ["a", None], "references": ["a", "b"]}, "row 1 has None for an answer"),
        ({"predictions": [[1, 2]], "references": [[-100, -100]]}, "row 0: the reference holds no token but -100"),
        ({"predictions": ["a"], "references": ["a"], "tasks": ["x", "y"]}, "2 tasks for 1 rows"),
        ({"predictions": ["a"], "references": ["a"], "bootstrap_samples": 0}, "bootstrap_samples is 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate.load(audiobert.metric_path("auditorybench")).compute(**arguments)


@pytest.mark.parametrize("name", ["auditorybench", "auditory_span"])
def test_the_examples_of_card_and_help_print_what_they_say(name, capsys):
    module = evaluate.load(audiobert.metric_path(name))
    examples = doctest.DocTestParser().get_doctest(
        module.inputs_description, {"evaluate": evaluate, "audiobert": audiobert}, name, None, 0
    )
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0
    card = (Path(audiobert.metric_path(name)) / "README.md").read_text("utf-8")
    scope: dict = {}
    for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        capsys.readouterr()
        exec(block, scope)  # noqa: S102 - the card's own examples
        printed = capsys.readouterr().out
        assert printed == "".join(re.findall(r"^# (.*\n)", block, re.MULTILINE))
    assert "Limitations" in card


def test_unknown_metrics_are_refused_by_name():
    with pytest.raises(ValueError, match=r"no metric 'bleu'\. Choose one of: auditorybench, auditory_span"):
        audiobert.metric_path("bleu")
    with pytest.raises(ValueError, match=r"no configuration 'fast'\. Choose 'default' or 'by_task'"):
        evaluate.load(audiobert.metric_path("auditorybench"), "fast")


OFFLINE = """
import sys, evaluate
for path in sys.argv[1:]:
    print(evaluate.load(path).compute(predictions=[[1, 0]], references=[[1, 0]]))
"""


def test_both_load_offline_in_a_fresh_process_from_any_folder(tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path / "modules")}
    paths = [audiobert.metric_path(name) for name in audiobert.metrics.METRICS]
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, *paths],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "'accuracy': 1.0" in done.stdout
    assert "'weighted_f1': 1.0" in done.stdout
