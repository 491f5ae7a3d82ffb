from statistics import mean

import numpy as np
import pytest

from audiobert.trainers.paired_tests import bootstrap_over_names, mcnemar, paired_bootstrap


def rows(only_first: int, only_second: int, both: int, neither: int) -> tuple[list[int], list[int]]:
    first = [1] * only_first + [0] * only_second + [1] * both + [0] * neither
    return first, [0] * only_first + [1] * only_second + [1] * both + [0] * neither


def test_the_bootstrap_agrees_with_drawing_the_rows_themselves():
    first, second = rows(30, 15, 60, 95)
    tested = paired_bootstrap(first, second, seed=3)
    differences = np.array(first) - np.array(second)
    generator = np.random.default_rng(5)
    drawn = differences[generator.integers(0, 200, size=(10_000, 200))].mean(axis=1)
    assert tested["difference"] == pytest.approx(15 / 200)
    assert (tested["low"], tested["high"]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)
    assert tested["p"] == pytest.approx((np.abs(drawn - 0.075) >= 0.075 - 1e-12).mean(), abs=0.01)


def test_few_false_alarms_where_there_is_no_difference():
    generator = np.random.default_rng(0)
    values = [
        paired_bootstrap(*generator.integers(0, 2, size=(2, 150)).tolist(), seed=number)["p"] for number in range(300)
    ]
    assert 0.01 < mean(value < 0.05 for value in values) < 0.10


def test_equal_sides_and_opposite_sides():
    first, second = rows(0, 0, 10, 10)
    assert paired_bootstrap(first, second)["p"] == mcnemar(first, second)["p"] == 1.0
    one, other = rows(60, 10, 40, 40)
    forth, back = paired_bootstrap(one, other), paired_bootstrap(other, one)
    assert forth["p"] == pytest.approx(1 / 10_001)
    assert (forth["difference"], forth["p"]) == (-back["difference"], back["p"])
    assert paired_bootstrap(one, other, seed=1) == paired_bootstrap(one, other, seed=1)


def test_the_order_of_the_rows_does_not_matter_and_shares_of_seeds_count():
    first, second = [1, 2 / 3, 1 / 3, 0, 1] * 20, [1 / 3, 2 / 3, 0, 0, 1 / 3] * 20
    tested = paired_bootstrap(first, second)
    assert tested["difference"] == pytest.approx((2 / 3 + 1 / 3 + 2 / 3) / 5)
    assert paired_bootstrap(first[::-1], second[::-1]) == tested


def test_mcnemar_is_the_exact_binomial_test_worked_by_hand():
    first, second = rows(5, 1, 3, 4)
    # Of 6 differing rows 5 or more on one side: 2 * (6 + 1) / 2**6.
    assert mcnemar(first, second) == {"only_first": 5, "only_second": 1, "p": pytest.approx(14 / 64)}


def test_over_names_of_one_row_each_the_bootstrap_is_that_over_rows():
    first, second = rows(30, 15, 60, 95)
    named = bootstrap_over_names(first, second, [(f"name {number}",) for number in range(200)])
    by_rows = paired_bootstrap(first, second)
    assert named.pop("names") == 200
    assert named == {name: pytest.approx(value, abs=0.01) for name, value in by_rows.items()}


def test_rows_that_share_a_name_count_as_one():
    # 12 names of 50 rows each, of which 8 are better with the first: 12 independent observations, not 600.
    values = np.repeat([1] * 8 + [0] * 4, 50)
    tested = bootstrap_over_names(values, 1 - values, [(str(number // 50),) for number in range(600)])
    of_names = paired_bootstrap(values[::50], 1 - values[::50])
    assert paired_bootstrap(values, 1 - values)["p"] < 0.001 < 0.1 < tested["p"]
    assert tested == {"names": 12} | {name: pytest.approx(value, abs=0.02) for name, value in of_names.items()}


def test_few_false_alarms_where_the_first_name_or_the_second_decides():
    generator = np.random.default_rng(0)
    pairs = [(one, other) for one in range(20) for other in range(one)]
    over_names, over_rows = [], []
    for number in range(40):
        lean = generator.normal(size=20)
        first = np.array([lean[one] + lean[other] > 0 for one, other in pairs])
        over_names.append(bootstrap_over_names(first, ~first, [map(str, pair) for pair in pairs], number)["p"])
        over_rows.append(paired_bootstrap(first, ~first, number)["p"])
    assert mean(value < 0.05 for value in over_names) < 0.2 < 0.4 < mean(value < 0.05 for value in over_rows)


def test_a_name_that_stands_twice_counts_once_and_fewer_names_than_others_are_no_matter():
    once = bootstrap_over_names([1, 1, 0], [0, 1, 1], [("a", "b"), ("b",), ("c", "a")])
    assert bootstrap_over_names([1, 1, 0], [0, 1, 1], [("b", "a"), ("b", "b"), ("a", "c", "a")]) == once
