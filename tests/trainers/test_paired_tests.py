from statistics import mean

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from audiobert.trainers.paired_tests import clustered_test, mcnemar, paired_bootstrap


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


def test_where_no_name_is_shared_clusters_change_nothing():
    first, second = rows(30, 15, 60, 95)
    tested = clustered_test(first, second, [(f"name {number}", f"other {number}") for number in range(200)])
    by_rows = paired_bootstrap(first, second)
    assert tested.pop("names") == 400
    assert tested == {name: pytest.approx(value, abs=0.006) for name, value in by_rows.items()}


def test_rows_of_one_name_each_are_tested_as_their_means():
    # 12 names of 50 rows: 12 observations, not 600.
    means = np.array([1, 1, 0.5, 0, 1, -0.5, 1, 0, 0.5, 1, -1, 0.25])
    first, names = np.repeat(means, 50), [(str(number // 50),) for number in range(600)]
    tested = clustered_test(first, np.zeros(600), names)
    by_hand = ttest_1samp(means, 0)
    low, high = by_hand.confidence_interval()
    expected = {"difference": means.mean(), "low": low, "high": high, "p": by_hand.pvalue, "names": 12}
    assert tested == {name: pytest.approx(value) for name, value in expected.items()}
    assert paired_bootstrap(first, np.zeros(600))["p"] < 0.001 < tested["p"]


def test_the_variance_is_the_sum_over_rows_that_share_a_name():
    generator = np.random.default_rng(1)
    names = [generator.choice(list("abcdefghijkl"), size=size).tolist() for size in (1, 2, 3) * 20]
    differences = generator.choice([0, 1, 1, -1], size=60)
    tested = clustered_test(differences, np.zeros(60), names)
    centred = differences - differences.mean()
    total = sum(
        one * other
        for one, of_one in zip(centred, names, strict=True)
        for other, of_other in zip(centred, names, strict=True)
        if set(of_one) & set(of_other)
    )
    error = (total * 12 / 11) ** 0.5 / 60
    assert total > (centred**2).sum()
    assert tested["p"] == pytest.approx(2 * t.sf(differences.mean() / error, 11))
    reach = t.ppf(0.975, 11) * error
    assert (tested["low"], tested["high"]) == pytest.approx((differences.mean() - reach, differences.mean() + reach))


def test_false_alarms_are_few_and_true_differences_found_where_names_decide():
    generator = np.random.default_rng(0)
    pairs = [(one, other) for one in range(40) for other in range(one)]
    names = [(str(one), str(other)) for one, other in pairs]

    def p_values(shift: float) -> tuple[list[float], list[float]]:
        clustered, by_rows = [], []
        for number in range(40):
            lean = generator.normal(shift, size=40)
            first = np.array([lean[one] + lean[other] > 0 for one, other in pairs])
            clustered.append(clustered_test(first, ~first, names)["p"])
            by_rows.append(paired_bootstrap(first, ~first, number)["p"])
        return clustered, by_rows

    clustered, by_rows = p_values(0)
    assert mean(value < 0.05 for value in clustered) < 0.15
    assert mean(value < 0.05 for value in by_rows) > 0.4
    assert mean(value < 0.05 for value in p_values(0.6)[0]) > 0.8


def test_few_names_are_not_tested_and_no_difference_is_none():
    first, second = rows(30, 5, 10, 5)
    few = clustered_test(first, second, [(str(number % 9),) for number in range(50)])
    assert few == {"difference": 0.5, "low": None, "high": None, "p": None, "names": 9}
    same = clustered_test(first, first, [(str(number),) for number in range(50)])
    assert same == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "names": 50}
