"""Rows that have to stay together, because they share a sentence, a clip, or nearly the words."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from audiobert.dataset_scripts.auditorybench.overlap import sentence_key

from .near_duplicates import near_duplicate_rows


__all__ = ["connected_groups", "cut_group", "row_links"]

# Places at which a group may be cut; every pair of them is tried.
_MOST_CUTS = 64


def row_links(rows: Sequence[dict], similarity: float) -> list[list[int]]:
    """Return for each row the numbers of what ties it to others.

    These are its sentence, its clips (`clip_ids`), the recordings that they are cuts or copies of (`clip_groups`, None
    where there is none), and its near duplicates.
    """
    numbers: dict[tuple, int] = {}
    links: list[list[int]] = []
    for row in rows:
        keys = [("sentence", sentence_key(row["sentence"])), *(("clip", clip) for clip in row.get("clip_ids") or [])]
        keys += [("recording", group) for group in row.get("clip_groups") or [] if group]
        keys = list(dict.fromkeys(keys))
        links.append([numbers.setdefault(key, len(numbers)) for key in keys])
    for pair in near_duplicate_rows(rows, similarity):
        number = numbers.setdefault(("near duplicates", *pair), len(numbers))
        for index in pair:
            links[index].append(number)
    return links


def connected_groups(links: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the rows, as positions in `links`, that are tied to each other directly or by others."""
    if not links:
        return []
    _, labels = connected_components(_graph(links), directed=False)
    groups = defaultdict(list)
    for index, label in enumerate(labels[: len(links)].tolist()):
        groups[label].append(index)
    return list(groups.values())


def cut_group(
    group: Sequence[int], links: Sequence[Sequence[int]], shares: Mapping[str, float]
) -> dict[str, list[int]] | None:
    """Cut a group that is too large for any side into one piece a side; rows between two pieces are in none.

    What ties the rows is put in an order, and the order is cut where the pieces come nearest to `shares` and are
    largest: in one that keeps neighbours together (reverse Cuthill-McKee), or in a random one where that loses fewer
    rows, as with clips that were paired at random.

    Args:
        group (`Sequence[int]`):
            Positions in `links`.
        links (`Sequence`):
            As `row_links` returns them.
        shares (`Mapping[str, float]`):
            Side → its share of the pieces; three sides.

    Returns:
        `dict` of side → positions, or None if every cut leaves a side without rows.
    """
    holders = Counter(number for index in group for number in links[index])
    local = [[number for number in links[index] if holders[number] > 1] for index in group]
    numbers = {number: place for place, number in enumerate(dict.fromkeys(number for row in local for number in row))}
    order = reverse_cuthill_mckee(_graph(local), symmetric_mode=True)
    near = np.argsort(order)[len(local) :]  # where each tie stands in the order
    drawn = np.random.default_rng(0).permutation(len(numbers))
    found = [_best_cut(local, numbers, places, shares) for places in (near, drawn)]
    score, pieces = max(found, key=lambda cut: cut[0])
    if not score:
        return None
    return {
        side: [group[index] for index in np.flatnonzero(inside)] for side, inside in zip(shares, pieces, strict=True)
    }


def _best_cut(
    links: Sequence[Sequence[int]], numbers: Mapping[int, int], places: np.ndarray, shares: Mapping[str, float]
) -> tuple[float, tuple[np.ndarray, ...]]:
    """Return the cut of one order whose smallest piece, measured by its share, is largest: that size, and the pieces.

    `numbers` gives each tie's index into `places`, its place in the order.
    """
    spans = [[int(places[numbers[number]]) for number in row] for row in links]
    first, last = np.array([min(span) for span in spans]), np.array([max(span) for span in spans])
    cuts = np.unique(np.linspace(0, places.max() + 1, _MOST_CUTS, dtype=np.int64))
    best: tuple[float, tuple[np.ndarray, ...]] = (0.0, ())
    for start, left in enumerate(cuts):
        for right in cuts[start:]:
            pieces = (last < left, (first >= left) & (last < right), first >= right)
            score = min(float(piece.sum()) / share for piece, share in zip(pieces, shares.values(), strict=True))
            if score > best[0]:
                best = (score, pieces)
    return best


def _graph(links: Sequence[Sequence[int]]) -> csr_matrix:
    """Return the graph of rows (the first nodes) and what ties them (the others), symmetric."""
    numbers = dict.fromkeys(number for row in links for number in row)
    nodes = {number: len(links) + place for place, number in enumerate(numbers)}
    ends = [(index, nodes[number]) for index, row in enumerate(links) for number in row]
    rows, columns = np.array(ends).T
    size = len(links) + len(numbers)
    ones = np.ones(2 * len(ends), dtype=np.int8)
    return csr_matrix((ones, (np.r_[rows, columns], np.r_[columns, rows])), shape=(size, size))
