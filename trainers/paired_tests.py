"""Tests of whether one model is right more often than another on the same rows."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest


__all__ = ["RESAMPLES", "bootstrap_over_names", "mcnemar", "paired_bootstrap"]

RESAMPLES = 10_000
_CONFIDENCE = 0.95
# Resamples whose weights of rows are held at once.
_RESAMPLES_AT_ONCE = 200


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
    return _tested(drawn @ values / len(differences), float(values @ counts / len(differences)))


def bootstrap_over_names(
    first: Sequence[float], second: Sequence[float], names: Sequence[Iterable[str]], seed: int = 0
) -> dict[str, Any]:
    """Return what `paired_bootstrap` does, with the names that rows share drawn anew instead of the rows.

    A model that answers one instrument wrongly answers all of its rows wrongly, so that rows are not independent and
    resampling them finds too much. Here names are drawn with replacement, and a row counts by the product of how often
    each of its names was drawn. Resamples in which no row has all of its names drawn tell nothing and are left out.

    Args:
        first, second: as for `paired_bootstrap`.
        names (`Sequence[Iterable[str]]`): of each row, in the same order; one that stands twice counts once.
        seed (`int`, *optional*, defaults to 0): of the resamples.

    Returns:
        `dict`: **difference**, **low**, **high**, **p** as of `paired_bootstrap`; **names**: how many there are.

    Source:
        Owen, The pigeonhole bootstrap (Annals of Applied Statistics 1, 2007), section 3, for two names a row.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    distinct = [set(of_row) for of_row in names]
    places = {name: place for place, name in enumerate(sorted(set().union(*distinct)))}
    # A row with fewer names than others is padded with one that always counts once.
    members = np.full((len(names), max(map(len, distinct))), len(places))
    for row, of_row in enumerate(distinct):
        members[row, : len(of_row)] = [places[name] for name in of_row]
    generator, resampled = np.random.default_rng(seed), []
    for start in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):
        size = min(_RESAMPLES_AT_ONCE, RESAMPLES - start)
        drawn = np.ones((size, len(places) + 1), dtype=np.int64)
        for counts in drawn:
            counts[:-1] = np.bincount(generator.integers(len(places), size=len(places)), minlength=len(places))
        weights = drawn[:, members].prod(axis=2)
        counted = weights.sum(axis=1)
        resampled.append((weights @ differences)[counted > 0] / counted[counted > 0])
    return {**_tested(np.concatenate(resampled), float(differences.mean())), "names": len(places)}


def _tested(resampled: np.ndarray, observed: float) -> dict[str, float]:
    low, high = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    extreme = int((np.abs(resampled - observed) >= abs(observed) - 1e-12).sum())
    return {"difference": observed, "low": float(low), "high": float(high), "p": (extreme + 1) / (len(resampled) + 1)}


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
