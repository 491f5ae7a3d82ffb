"""What training rows hear beside the best clip for their words, so that an adapter learns to listen."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from .collation import IGNORED, EncodedRow


__all__ = ["draw_clips", "with_counterfactuals", "with_hidden_names"]


def with_counterfactuals(rows: Sequence[EncodedRow], count: int, seed: int, share: float = 1.0) -> list[EncodedRow]:
    """Return the rows, each followed by up to `count` others of the same words that hear something else.

    - A row that compares two sounds hears them the other way round, and is asked for the opposite (once: there is no
      other way round).
    - A row about one sound hears that of `count` other such rows, with answers of as many word pieces, and is asked
      for theirs.

    A row of any other kind, or of which not every span is heard, stays alone. Words and answer no longer go together,
    so that an adapter cannot learn the answers by heart. Nothing is heard that the rows do not hear anyway, and no
    sentence is added that they do not have.

    Args:
        rows (`Sequence[EncodedRow]`): of the train split, from `retrieve_clips`.
        count (`int`): 0 for the rows as they are.
        seed (`int`): draws what is heard instead.
        share (`float`, *optional*, defaults to 1.0):
            Of the rows that have counterfactuals, drawn by the seed. The rows that have none go on telling what their
            words alone make likely, where the bank's clips are other recordings than the answers are about.

    Source:
        ours; not part of arXiv 2409.08199.
    """
    generator = random.Random(seed)
    alike = defaultdict(list)
    for row in rows:
        if _hears(row, spans=1):
            alike[len(_answer(row))].append(row)
    result = []
    for row in rows:
        result.append(row)
        if share < 1 and generator.random() >= share:
            continue
        if count and _hears(row, spans=2) and row.opposite is not None:
            result.append(_answered(row, row.clip_ids[::-1], row.similarities[::-1], [row.opposite]))
        elif _hears(row, spans=1):
            others = [other for other in alike[len(_answer(row))] if _answer(other) != _answer(row)]
            for other in generator.sample(others, min(count, len(others))):
                result.append(_answered(row, other.clip_ids, other.similarities, _answer(other)))
    return result


def with_hidden_names(rows: Sequence[EncodedRow], share: float, seed: int, mask_token_id: int) -> list[EncodedRow]:
    """Return the rows, of some of which every span that hears something reads as mask tokens.

    The name is not contradicted, as in a counterfactual, but missing, so that an adapter learns to listen and goes on
    trusting names where there are any.

    Args:
        rows (`Sequence[EncodedRow]`): of the train split, from `retrieve_clips`.
        share (`float`): of the rows, drawn by the seed; from 0 to 1.
        seed (`int`).
        mask_token_id (`int`): of the language model's tokenizer.

    Source:
        ours; not part of arXiv 2409.08199. Leaving out one of several senses in training is known as modality dropout
        (Neverova, Wolf, Taylor and Nebout: ModDrop, arXiv 1501.00102).
    """
    generator = random.Random(seed)
    hidden = []
    for row in rows:
        if generator.random() >= share:
            hidden.append(row)
            continue
        input_ids = list(row.input_ids)
        for (start, end), clips in zip(row.span_positions, row.clip_ids, strict=True):
            if clips[0] >= 0:
                input_ids[start:end] = [mask_token_id] * (end - start)
        hidden.append(replace(row, input_ids=input_ids))
    return hidden


def draw_clips(rows: Sequence[EncodedRow], num_clips: int, seed: int) -> list[EncodedRow]:
    """Return the rows with `num_clips` of each span's clips, drawn by the seed, the best first.

    With the best clip alone, every row about a name hears the very same recording.

    Args:
        rows (`Sequence[EncodedRow]`): from `retrieve_clips`, with more clips than the model hears.
    """
    generator = random.Random(seed)
    drawn = []
    for row in rows:
        places = []
        for clips in row.clip_ids:
            found = sum(clip >= 0 for clip in clips)
            chosen = sorted(generator.sample(range(found), min(num_clips, found)))
            places.append([*chosen, *range(found, found + num_clips - len(chosen))])  # those behind are "none"
        drawn.append(replace(row, clip_ids=_at(row.clip_ids, places), similarities=_at(row.similarities, places)))
    return drawn


def _at(spans: list[list], places: list[list[int]]) -> list[list]:
    return [[entries[place] for place in chosen] for entries, chosen in zip(spans, places, strict=True)]


def _hears(row: EncodedRow, spans: int) -> bool:
    return len(row.clip_ids) == spans and all(clips[0] >= 0 for clips in row.clip_ids)


def _answer(row: EncodedRow) -> list[int]:
    return [label for label in row.labels if label != IGNORED]


def _answered(
    row: EncodedRow, clip_ids: list[list[int]], similarities: list[list[float]], answer: Sequence[int]
) -> EncodedRow:
    pieces = iter(answer)
    labels = [IGNORED if label == IGNORED else next(pieces) for label in row.labels]
    return replace(row, clip_ids=clip_ids, similarities=similarities, labels=labels)
