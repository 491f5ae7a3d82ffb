from statistics import mean

import numpy as np
import pytest

from audiobert.trainers.paired_tests import mcnemar, paired_bootstrap


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
