"""Splitting clips into training and held-out ones without splitting a recording."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .clip_sources import Clip


__all__ = ["ClipSplit", "split_clips"]


@dataclass(frozen=True)
class ClipSplit:
    """Clips to train on, and clips to measure with.

    Args:
        train (`list[Clip]`): no other clip is a cut or copy of one of these.
        recordings (`list[Clip]`): held out recording by recording, of the sources that are trained on.
        sources (`list[Clip]`): all clips of the sources that are held out as a whole.
    """

    train: list[Clip]
    recordings: list[Clip]
    sources: list[Clip]

    @property
    def held_out(self) -> list[Clip]:
        """All clips that are not trained on."""
        return self.recordings + self.sources

    def counts(self) -> dict[str, int]:
        """Return how many clips each part has, as a run's metrics tell it."""
        counts = {"train": len(self.train), "validation": len(self.recordings)}
        return counts | ({"held_out_sources": len(self.sources)} if self.sources else {})


def split_clips(
    clips: Sequence[Clip], validation_share: float, seed: int, held_out_sources: Collection[str] = ()
) -> ClipSplit:
    """Return the clips to train on and those held out.

    All clips of one `group` go the same way, so that no held-out clip has a cut or copy of itself in training. A
    digest of the seed and the group (the id, where a clip has none) decides, so that clips that are added or removed
    do not move others from one side to the other.

    Args:
        validation_share (`float`):
            About that share of the recordings is held out, from 0 to below 1.
        held_out_sources (`Collection[str]`, *optional*):
            Sources of which no clip is trained on; copies of their clips in other sources count as held-out
            recordings.

    Raises:
        AudioBertInputError: no clip is of a source that is to be held out.
    """
    known = {clip.source for clip in clips if clip.source}
    unknown = sorted(set(held_out_sources) - known)
    if unknown:
        raise AudioBertInputError(
            f"held_out_sources names '{unknown[0]}', but no clip is of that source; the manifest's column 'source' "
            f"has {', '.join(sorted(known)) or 'no values'}."
        )
    heard = {clip.group for clip in clips if clip.group and clip.source in held_out_sources}
    split = ClipSplit([], [], [])
    for clip in clips:
        name = f"{seed} {'group ' + clip.group if clip.group else 'id ' + clip.id}"
        draw = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        if clip.source in held_out_sources:
            split.sources.append(clip)
        elif draw < validation_share or clip.group in heard:
            split.recordings.append(clip)
        else:
            split.train.append(clip)
    return split
