"""Groups of rows and their accuracies, against cases worked by hand and scipy."""

import math

import pytest
from scipy.stats import binomtest

from audiobert.report.binned import by_frequency, by_similarity, frequency_label
from audiobert.report.systems import RowOutcome


def outcome(n: int, *correct: bool, answer: str = "cat") -> RowOutcome:
    return RowOutcome({"id": f"row-{n}", "answer": answer}, list(correct))


def test_rows_are_grouped_by_how_often_train_has_their_answer():
    train = ["cat"] * 3 + ["Dog", "dog"] + ["owl"] + ["bee"] * 120
    rows = [
        outcome(0, True, answer="whale"),
        outcome(1, False, answer="owl"),
        outcome(2, True, answer="dog"),
        outcome(3, False, answer="CAT"),
        outcome(4, True, answer="bee"),
    ]
    groups = by_frequency(rows, train)
    assert [(frequency_label(group), group.rows, group.accuracy) for group in groups] == [
        ("0", 1, 1.0),
        ("1", 1, 0.0),
        ("2\u20134", 2, 0.5),
        ("100+", 1, 1.0),
    ]
    assert groups[-1].high == math.inf


def test_a_row_counts_once_however_many_runs_answered_it():
    (group,) = by_frequency([outcome(0, True, False), outcome(1, True, True)], [])
    assert (group.rows, group.accuracy) == (2, 0.75)


@pytest.mark.parametrize(("right", "rows"), [(0, 25), (7, 25), (25, 25), (1, 1)])
def test_intervals_are_wilsons(right, rows):
    (group,) = by_frequency([outcome(n, n < right) for n in range(rows)], [])
    expected = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    assert group.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_similar_clips_are_grouped_evenly_and_equal_ones_stay_together():
    rows = [outcome(n, n >= 30) for n in range(60)]
    similarities = {f"row-{n}": n / 100 for n in range(60)}
    groups = by_similarity(reversed(rows), similarities)
    assert [(group.low, group.high, group.rows, group.accuracy) for group in groups] == [
        (0.0, 0.19, 20, 0.0),
        (0.2, 0.39, 20, 0.5),
        (0.4, 0.59, 20, 1.0),
    ]
    assert [group.middle for group in groups] == pytest.approx([0.095, 0.295, 0.495])
    (group,) = by_similarity(rows, dict.fromkeys(similarities, 0.5))
    assert (group.rows, group.accuracy) == (60, 0.5)


def test_rows_that_heard_nothing_are_in_no_group():
    assert by_similarity([outcome(0, True)], {}) == []
    (group,) = by_similarity([outcome(0, True), outcome(1, False)], {"row-1": 0.2})
    assert (group.rows, group.accuracy) == (1, 0.0)
