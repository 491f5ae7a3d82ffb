"""Tests of whether one model is right more often than another on the same rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest


__all__ = ["RESAMPLES", "mcnemar", "paired_bootstrap"]

RESAMPLES = 10_000
_CONFIDENCE = 0.95


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
