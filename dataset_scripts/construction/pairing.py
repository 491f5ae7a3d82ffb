"""What items are generated from: animal clips, and pairs of clips of one broad category (paper, section II-A)."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .jsonl import read_jsonl
from .structured_output import call_seed


__all__ = ["animal_inputs", "categorized_clips", "measured_ids", "pitch_inputs"]

# Clips among which partners are looked for; bounds the memory, not the number of clips.
_WINDOW = 50_000
_DRAWS = 20
_NEEDED = ("id", "caption", "tags", "description", "category")


def categorized_clips(path: str) -> Iterator[dict[str, Any]]:
    """Yield the clips that `categorize` wrote.

    Raises:
        AudioBertInputError: there is no such file, or a line is no categorized clip.
    """
    try:
        with Path(path).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                clip = _parsed(line)
                missing = [name for name in _NEEDED if clip.get(name) is None]
                if missing:
                    raise AudioBertInputError(
                        f"'{path}', line {number} is no clip with {missing[0]}: give the file that 'audiobert "
                        "construct categorize' wrote."
                    )
                yield clip
    except OSError as error:
        raise AudioBertInputError(
            f"cannot read '{path}': {error.strerror}. Give the file that 'audiobert construct categorize' wrote."
        ) from error


def animal_inputs(clips: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield an input for every clip whose category names an animal."""
    for clip in clips:
        levels = clip["category"].split("/")
        if levels[0] == "animal" and len(levels) > 1:
            yield {"id": f"asr-{clip['id']}", "task": "animal_sound_recognition", "clips": [clip]}


def pitch_inputs(
    clips: Iterable[dict[str, Any]], pairs_per_clip: int, seed: int, measured: set[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield pairs of clips of one broad category, which sound different things.

    For each clip, partners are drawn at random among those of the same broad category that have another category and
    another caption, and are no cut of the same recording. No pair comes twice, in either order.

    Args:
        clips: categorized clips.
        pairs_per_clip (`int`): partners to draw for each.
        seed (`int`): of the draws; a clip's draws depend on its id and window alone.
        measured (`set[str]`, *optional*): ids of the clips that have a pitch; all by default.
    """
    clips = (clip for clip in clips if measured is None or clip["id"] in measured)
    while window := list(islice(clips, _WINDOW)):
        groups = defaultdict(list)
        for clip in window:
            groups[clip["category"].split("/")[0]].append(clip)
        pairs = set()
        for clip in window:
            for number in range(pairs_per_clip):
                partner = _partner(clip, groups[clip["category"].split("/")[0]], (seed, number), pairs)
                if partner is not None:
                    yield {
                        "id": f"spc-{clip['id']}-{partner['id']}",
                        "task": "sound_pitch_comparison",
                        "clips": [clip, partner],
                    }


def measured_ids(path: str) -> set[str]:
    """Return the ids of the clips to which `pitch` gave a pitch.

    Raises:
        AudioBertInputError: the file cannot be read, or is none that `pitch` wrote.
    """
    return {row["id"] for row in read_jsonl(path, ("id", "average_pitch_hz")) if row["average_pitch_hz"] is not None}


def _partner(
    clip: dict[str, Any], group: list[dict[str, Any]], draw: tuple[int, int], pairs: set[frozenset[str]]
) -> dict[str, Any] | None:
    generator = random.Random(call_seed(*draw, "pair", clip["id"]))
    for _ in range(_DRAWS):
        other = group[generator.randrange(len(group))]
        pair = frozenset((clip["id"], other["id"]))
        if _comparable(clip, other) and pair not in pairs:
            pairs.add(pair)
            return other
    return None


def _comparable(clip: dict[str, Any], other: dict[str, Any]) -> bool:
    same_recording = clip.get("group") is not None and clip.get("group") == other.get("group")
    same_words = clip["caption"].casefold() == other["caption"].casefold()
    return clip["category"] != other["category"] and not same_words and not same_recording


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}
