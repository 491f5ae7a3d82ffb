"""Our own sentences for the sample: candidates in the row format that the construction pipeline filters."""

import itertools
from collections.abc import Sequence

import numpy as np

from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, PITCH

from .sound_sources import SoundSource


__all__ = ["call_rows", "pitch_rows"]

# {call} is what is heard; an article that it needs is put before it.
_CALL_TEMPLATES = (
    "{call} is the sound a [MASK] makes.",
    "The {call} came from a [MASK].",
    "Hearing {a call}, she knew that a [MASK] was near.",
    "That {call} can only be a [MASK].",
    "With a loud {call}, the [MASK] ran away.",
    "When it is hungry, the [MASK] lets out {a call}.",
    "In the distance we heard the {call} of a [MASK].",
    "He can imitate a [MASK]: {a call}, as real as can be.",
    "Nobody but a [MASK] would answer with {a call}.",
    "The {call} behind the door turned out to be a [MASK].",
)

# {first} compared with {second}; both orders of mentioning them occur.
_PITCH_TEMPLATES = (
    "{A first} has a [MASK] pitch than {a second}.",
    "The {first} sounds [MASK] than the {second}.",
    "Next to {a second}, {a first} plays at a [MASK] pitch.",
    "Compared with the {second}, the {first} is [MASK] in pitch.",
    "The sound of {a first} is [MASK] than that of {a second}.",
)


def call_rows(sources: Sequence[SoundSource]) -> list[dict]:
    """Return the candidates that ask whose call it is.

    Args:
        sources (`Sequence[SoundSource]`): calls.
    """
    return [
        {
            "id": f"call-{source.name}-{place}",
            "task": ANIMAL,
            "sentence": _capitalised(template.format_map({"call": source.name, "a call": with_article(source.name)})),
            "answer": source.animal,
            "spans": [source.name],
        }
        for source in sources
        for place, template in enumerate(_CALL_TEMPLATES)
    ]


def pitch_rows(sources: Sequence[SoundSource], pairs: int, seed: int) -> list[dict]:
    """Return the candidates that compare two pitches.

    Each pair is asked for both ways round, in the same words, so that both answers are equally frequent; its rows are
    one of the `clip_groups` that the construction pipeline keeps in one split.

    Args:
        sources (`Sequence[SoundSource]`): instruments. What is known of their pitch is the expected answer; the
            construction pipeline keeps the row only if what it measures agrees.
        pairs (`int`): pairs in all, at most.
        seed (`int`): decides pairs and their words.
    """
    rng = np.random.default_rng([seed, 13])
    possible = list(itertools.combinations(sources, 2))
    drawn = [possible[place] for place in rng.permutation(len(possible))[:pairs]]
    return [
        _pitch_row(ordered, _PITCH_TEMPLATES[place])
        for pair, place in zip(drawn, rng.integers(len(_PITCH_TEMPLATES), size=len(drawn)), strict=True)
        for ordered in (pair, pair[::-1])
    ]


def with_article(name: str) -> str:
    """Return "an oboe", "a harp"."""
    return f"{'an' if name[0] in 'aeiouAEIOU' and not name.startswith('eu') else 'a'} {name}"


def _pitch_row(pair: Sequence[SoundSource], template: str) -> dict:
    first, second = pair
    words = {
        "first": first.name,
        "second": second.name,
        "a first": with_article(first.name),
        "A first": _capitalised(with_article(first.name)),
        "a second": with_article(second.name),
    }
    return {
        "id": f"pitch-{first.name}-{second.name}",
        "task": PITCH,
        "sentence": template.format_map(words),
        "answer": "higher" if first.pitch_hz > second.pitch_hz else "lower",
        "spans": [first.name, second.name],
        "clip_ids": [first.name, second.name],
        "clip_groups": [" and ".join(sorted((first.name, second.name)))],
    }


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
