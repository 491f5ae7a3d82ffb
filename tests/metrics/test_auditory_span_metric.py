"""The metric auditory_span: by hand, and against scikit-learn."""

import evaluate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

import audiobert


LENGTH = 9
LABELS = st.lists(st.integers(0, 1), min_size=LENGTH, max_size=LENGTH)


@pytest.fixture(scope="module")
def metric():
    return evaluate.load(audiobert.metric_path("auditory_span"))


def padded(rows) -> np.ndarray:
    return np.pad(np.array(rows), ((0, 0), (0, 128 - LENGTH)))


@settings(max_examples=20, deadline=None)
@given(pairs=st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=6))
def test_it_equals_scikit_learn_where_they_mean_the_same(metric, pairs):
    predicted, right = ([pair[side] for pair in pairs] for side in (0, 1))
    results = metric.compute(predictions=predicted, references=right)
    expected = f1_score(padded(right), padded(predicted), average="weighted", zero_division=0)
    assert results["weighted_f1"] == pytest.approx(expected)
    flat = np.ravel(right), np.ravel(predicted)
    for name, function in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert results[f"token_{name}"] == pytest.approx(function(*flat, zero_division=0))


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(LABELS, min_size=1, max_size=6))
def test_perfect_predictions_have_one_everywhere_if_there_is_a_span(metric, rows):
    results = metric.compute(predictions=rows, references=rows)
    best = 1.0 if any(map(any, rows)) else 0.0
    assert {results[f"{kind}_f1"] for kind in ("weighted", "token", "span")} == {best}
    runs = sum("".join(map(str, row)).count("01") + row[0] for row in rows)
    assert results["spans"] == runs


def test_a_case_worked_by_hand(metric):
    right = [[0, 1, 1, 0, 1], [1, 0, 0, 0, 0]]
    predicted = [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0]]
    results = metric.compute(predictions=predicted, references=right)
    # Spans: right (0, 1-3), (0, 4-5), (1, 0-1); found (0, 1-4), (1, 0-1): one of two, one of three.
    assert (results["span_precision"], results["span_recall"]) == (0.5, pytest.approx(1 / 3))
    assert (results["token_precision"], results["token_recall"]) == (0.75, 0.75)
    # Positions 0, 1, 2 have F1 1, position 4 has 0; each is inside a span once.
    assert results["weighted_f1"] == 0.75


def test_padding_counts_for_nothing_whatever_is_predicted_there(metric):
    short = metric.compute(predictions=[[0, 1, 0]], references=[[0, 1, 1]])
    assert metric.compute(predictions=[[0, 1, 0, 1, 7]], references=[[0, 1, 1, -100, -100]]) == short
    assert metric.compute(predictions=[[0, 1, 0, 0]], references=[[0, 1, 1, 0]]) == short


def test_rows_of_different_lengths_are_scored_together(metric):
    assert metric.compute(predictions=[[1], [0, 1]], references=[[1], [0, 1]])["span_f1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictions": [], "references": []}, "no rows to score"),
        ({"predictions": [[0, 1]], "references": [[0, 1, 1]]}, "row 0 has 2 predictions for 3 references"),
        ({"predictions": [[0], [2]], "references": [[0], [1]]}, "row 1 has the prediction 2. Labels are 0 and 1"),
        ({"predictions": [[0], [0]], "references": [[0], [3]]}, "row 1 has the reference 3. Labels are 0 and 1"),
        ({"predictions": [[0] * 129], "references": [[0] * 129]}, "row 0 has 129 labels, num_positions is 128"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_row(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate.load(audiobert.metric_path("auditory_span")).compute(**arguments)
