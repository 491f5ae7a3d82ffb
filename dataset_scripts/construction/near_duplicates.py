"""Sentences that say the same in nearly the same words."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from audiobert.dataset_scripts.auditorybench.sources import PITCH


__all__ = ["NEAR_DUPLICATE_SIMILARITY", "near_duplicate_rows", "similar_pairs", "words_of"]

NEAR_DUPLICATE_SIMILARITY = 0.8
_ARTICLES = {"a", "an", "the"}


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, whatever their case and order, without punctuation and articles."""
    return frozenset(re.findall(r"\w+", text.casefold())) - _ARTICLES


def near_duplicate_rows(
    rows: Sequence[dict], similarity: float = NEAR_DUPLICATE_SIMILARITY
) -> Iterator[tuple[int, int]]:
    """Yield the positions of every two rows that are near duplicates, the earlier row first.

    They are of one task, have the same answer, and their sentences share at least `similarity` of their words (Jaccard
    similarity of the sets that `words_of` returns). Rows that compare pitches must name the same two sounds besides:
    with many sounds in one template, other sounds are another question.

    Args:
        rows (`Sequence[dict]`):
            Candidate rows: `task`, `sentence`, `answer`, and `spans` as texts.
        similarity (`float`, *optional*, defaults to 0.8):
            From above 0 to 1.
    """
    alike = defaultdict(list)
    for index, row in enumerate(rows):
        spans = tuple(words_of(span) for span in row["spans"]) if row["task"] == PITCH else ()
        alike[row["task"], row["answer"].casefold(), spans].append(index)
    for indices in alike.values():
        for first, second in similar_pairs([words_of(rows[index]["sentence"]) for index in indices], similarity):
            yield indices[first], indices[second]


def similar_pairs(sets: Sequence[frozenset[str]], similarity: float) -> Iterator[tuple[int, int]]:
    """Yield the positions of every two sets whose Jaccard similarity is at least `similarity`; empty sets have none.

    Exact, without comparing all pairs: of two similar sets, the few rarest words of each have one in common (prefix
    filtering, Chaudhuri, Ganti and Kaushik 2006).
    """
    frequency = Counter(word for words in sets for word in words)
    holders: dict[str, list[int]] = defaultdict(list)
    for index, words in enumerate(sets):
        rarest_first = sorted(words, key=lambda word: (frequency[word], word))
        # Less a trifle, so that rounding up never makes the prefix too short.
        prefix = rarest_first[: len(words) - math.ceil(similarity * len(words) - 1e-9) + 1]
        for other in sorted({other for word in prefix for other in holders[word]}):
            shared = len(words & sets[other])
            if shared >= similarity * (len(words) + len(sets[other]) - shared):
                yield other, index
        for word in prefix:
            holders[word].append(index)
