"""Tests of whether one model is right more often than another on the same rows."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import binomtest, t


__all__ = ["RESAMPLES", "clustered_test", "mcnemar", "paired_bootstrap"]

RESAMPLES = 10_000
_CONFIDENCE = 0.95
_LEAST_NAMES = 10


def paired_bootstrap(first: Sequence[float], second: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """Return the difference of two accuracies on the same rows, tested by resampling the rows.

    Rows are drawn with replacement, 10,000 times; since only how often each difference between the two sides is drawn
    matters, these counts are drawn at once, from a multinomial distribution.

    Args:
        first, second (`Sequence[float]`):
            For each row, in the same order, 1 where that side is right and 0 where not; or the share of its seeds.
        seed (`int`, *optional*, defaults to 0): of the resamples.

    Returns:
        `dict`: **difference** (the first accuracy less the second); **low**, **high**: its 95 % percentile interval;
        **p**: two-sided, the share of resamples whose difference lies at least as far from the one observed as that
        lies from 0, with one added to both counts, so that it is never 0.

    Source:
        Koehn, Statistical significance tests for machine translation evaluation (EMNLP 2004); the two-sided p-value by
        shifting the resamples: Berg-Kirkpatrick, Burkett and Klein (EMNLP 2012), section 2.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    # Shares of several seeds differ in their last bits by the order of addition.
    values, counts = np.unique(differences.round(9), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(differences), counts / counts.sum(), size=RESAMPLES)
    resampled = drawn @ values / len(differences)
    observed = float(values @ counts / len(differences))
    low, high = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    extreme = int((np.abs(resampled - observed) >= abs(observed) - 1e-12).sum())
    return {
        "difference": observed,
        "low": float(low),
        "high": float(high),
        "p": (extreme + 1) / (RESAMPLES + 1),
    }


def clustered_test(
    first: Sequence[float], second: Sequence[float], names: Sequence[Collection[str]]
) -> dict[str, Any]:
    """Return the difference of two accuracies on the same rows, tested with rows that share a name as dependent.

    A model that answers one instrument wrongly tends to answer all of its rows wrongly, and a test that takes rows for
    independent then finds too much. Here the variance of the difference also has the products of the differences of
    every two rows that share a name. Where no rows do, it is that of independent rows; it is never taken to be less.

    Args:
        first, second: as for `paired_bootstrap`.
        names (`Sequence[Collection[str]]`): of each row, in the same order; at least one each.

    Returns:
        `dict`: **difference**; **low**, **high**: its 95 % interval; **p**: two-sided, by Student's t with one degree
        of freedom less than there are names; **names**: how many these are. With fewer than 10 names low, high and p
        are None: the variance cannot be told from so few.

    Source:
        Aronow, Samii and Assenova, Cluster-robust variance estimation for dyadic data (Political Analysis 23, 2015);
        the factor for few names and Student's t: Cameron and Miller, Robust inference for dyadic data (2014).
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    observed, places = float(differences.mean()), {}
    pairs = [(row, places.setdefault(name, len(places))) for row, of_row in enumerate(names) for name in set(of_row)]
    tested = {"difference": observed, "low": None, "high": None, "p": None, "names": len(places)}
    if len(places) < _LEAST_NAMES:
        return tested
    rows, columns = np.array(pairs).T
    named = csr_array((np.ones(len(pairs)), (rows, columns)), shape=(len(differences), len(places)))
    shared = (named @ named.T).sign()
    centred = differences - observed
    variance = max(centred @ shared @ centred * len(places) / (len(places) - 1), centred @ centred)
    if not variance:
        return {**tested, "low": observed, "high": observed, "p": float(observed == 0)}
    spread = t(len(places) - 1, scale=variance**0.5 / len(differences))
    reach = float(spread.ppf((1 + _CONFIDENCE) / 2))
    return {
        **tested,
        "low": observed - reach,
        "high": observed + reach,
        "p": float(2 * spread.sf(abs(observed))),
    }


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> dict[str, Any]:
    """Return McNemar's exact test: of the rows where only one side is right, is it as often the one as the other?

    Returns:
        `dict`: **only_first**, **only_second** (rows), **p** (two-sided, binomial; 1 where the sides never differ).

    Source:
        McNemar, Psychometrika 12 (1947); exact, as recommended for classifiers by Dietterich (Neural Computation 10,
        1998).
    """
    only_first = sum(bool(one and not other) for one, other in zip(first, second, strict=True))
    only_second = sum(bool(other and not one) for one, other in zip(first, second, strict=True))
    differing = only_first + only_second
    p = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": p}
