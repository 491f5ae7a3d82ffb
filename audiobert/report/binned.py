"""Accuracy over groups of rows: by how often the answer is in training, and by how near the clip was."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audiobert.dataset_scripts.auditorybench.overlap import sentence_key

from .systems import RowOutcome


__all__ = ["Bin", "by_frequency", "by_similarity", "frequency_label"]

# Lower ends of the groups; answers are spread so unevenly that equal steps would leave most of them in one.
_FREQUENCIES = (0, 1, 2, 5, 10, 20, 50, 100)
_NORMAL_QUANTILE = 1.959963984540054  # of a two-sided 95 % interval
_MOST_BINS = 10
_LEAST_ROWS = 20


@dataclass(frozen=True)
class Bin:
    """Some rows and how many of them were answered right.

    Attributes:
        low, high (`float`): the least and greatest value in it; for frequencies, the group's ends (`high` infinite in
            the last).
        middle (`float`): the mean of its rows' values.
        rows (`int`): rows in it; each counts once, however many runs answered it.
        accuracy (`float`): 0 to 1, each row's share of right runs averaged.
        interval (`tuple[float, float]`): the 95 % Wilson score interval of `accuracy` over `rows`.
    """

    low: float
    high: float
    middle: float
    rows: int
    accuracy: float
    interval: tuple[float, float]


def by_frequency(outcomes: Iterable[RowOutcome], train_answers: Iterable[str]) -> list[Bin]:
    """Return the accuracy by the number of train rows that have the row's answer, groups without rows left out."""
    counts = Counter(sentence_key(answer) for answer in train_answers)
    groups: dict[int, list[tuple[float, RowOutcome]]] = {}
    for outcome in outcomes:
        count = counts[sentence_key(outcome.row["answer"])]
        groups.setdefault(max(low for low in _FREQUENCIES if low <= count), []).append((count, outcome))
    ends = dict(zip(_FREQUENCIES, [*(low - 1 for low in _FREQUENCIES[1:]), math.inf], strict=True))
    return [_bin(low, ends[low], groups[low]) for low in _FREQUENCIES if low in groups]


def frequency_label(group: Bin) -> str:
    """Return how a group of frequencies is written: "0", "2-4", "100+"."""
    if group.high == math.inf:
        return f"{group.low:.0f}+"
    return f"{group.low:.0f}" if group.low == group.high else f"{group.low:.0f}\u2013{group.high:.0f}"


def by_similarity(outcomes: Iterable[RowOutcome], similarities: Mapping[str, float]) -> list[Bin]:
    """Return the accuracy in groups of equal size by the similarity of the clip that was heard.

    At most ten groups, of at least twenty rows each; rows of equal similarity stay together.

    Args:
        outcomes: rows as some system answered them.
        similarities: row id → similarity; rows without one are left out.
    """
    known = [(similarities[outcome.row["id"]], outcome) for outcome in outcomes if outcome.row["id"] in similarities]
    heard = sorted(known, key=lambda pair: pair[0])
    if not heard:
        return []
    count = max(1, min(_MOST_BINS, len(heard) // _LEAST_ROWS))
    bins: list[list[tuple[float, RowOutcome]]] = []
    for place, (similarity, outcome) in enumerate(heard):
        group = place * count // len(heard)
        if not bins or (group >= len(bins) and similarity > bins[-1][-1][0]):
            bins.append([])
        bins[-1].append((similarity, outcome))
    return [_bin(group[0][0], group[-1][0], group) for group in bins]


def _bin(low: float, high: float, rows: Sequence[tuple[float, RowOutcome]]) -> Bin:
    middle = sum(value for value, _ in rows) / len(rows)
    accuracy = sum(outcome.share for _, outcome in rows) / len(rows)
    return Bin(low, high, middle, len(rows), accuracy, _wilson(accuracy, len(rows)))


def _wilson(share: float, rows: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval; `share` may lie between two counts, as the mean over runs does."""
    z = _NORMAL_QUANTILE
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, centre - half), min(1.0, centre + half)
