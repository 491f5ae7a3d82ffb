"""Splitting clips into training and validation without splitting a recording."""

import hashlib
from collections.abc import Sequence

from .clip_sources import Clip


__all__ = ["split_clips"]


def split_clips(clips: Sequence[Clip], validation_share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Return the clips to train on and those held out.

    All clips of one `group` go the same way, so that no validation clip has a cut or copy of itself in training. A
    digest of the seed and the group (the id, where a clip has none) decides, so that clips that are added or removed
    do not move others from one side to the other.

    Args:
        validation_share (`float`): about that share of the recordings is held out, from 0 to below 1.
    """
    sides: tuple[list[Clip], list[Clip]] = ([], [])
    for clip in clips:
        name = f"{seed} {'group ' + clip.group if clip.group else 'id ' + clip.id}"
        draw = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        sides[draw < validation_share].append(clip)
    return sides
