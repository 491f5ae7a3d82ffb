"""Which clips a span hears when it does not hear the retrieved ones: any of the bank, or one of the right label."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from audiobert.dataset_scripts.auditorybench.sound_words import head_words, word_stem, word_stems
from audiobert.dataset_scripts.auditorybench.sources import PITCH
from audiobert.modeling_audiobert import AudioBank


__all__ = ["ClipChoice"]


class ClipChoice:
    """Draws clips of a bank; what a span gets depends on the seed, its row's id and its place there alone.

    **The right label.** A sound of the animal task is right if it comes from the animal that the row asks for; a
    sound of the pitch task, if it comes from what its span names. So the sought text is the row's answer, or the
    span's text. A clip is right if the head word of the sought text (see [`head_words`]; any of them, if there are
    several) is a word of the clip's label, or of its caption where the bank states no label, both compared by their
    stems. Among those, only the clips whose label shares most words with the sought text count: for "alto saxophone"
    those of alto saxophones, if there are any.

    Args:
        bank (`AudioBank`).
        seed (`int`).
    """

    def __init__(self, bank: AudioBank, seed: int):
        self.seed = seed
        self._count = len(bank)
        named = bank.descriptions.select(["label", "caption"]).to_pylist()
        self._stems = [word_stems(clip["label"] or clip["caption"] or "") for clip in named]
        self._by_stem: dict[str, list[int]] = defaultdict(list)
        for position, stems in enumerate(self._stems):
            for stem in stems:
                self._by_stem[stem].append(position)
        self._right: dict[str, list[int]] = {}

    def random_clips(self, row_id: str, span: int, count: int) -> list[int]:
        """Return the positions of up to `count` different clips, each as likely as any other."""
        return self._generator("random", row_id, span).sample(range(self._count), min(count, self._count))

    def oracle_clips(self, row: dict[str, Any], span: int, span_text: str, count: int) -> list[int]:
        """Return the positions of up to `count` different clips of the right label; empty if the bank has none."""
        right = self.right_clips(row, span_text)
        return self._generator("oracle", row["id"], span).sample(right, min(count, len(right)))

    def right_clips(self, row: dict[str, Any], span_text: str) -> list[int]:
        """Return the positions of all clips of the right label for a span of a row."""
        sought = span_text if row["task"] == PITCH else row["answer"]
        if sought not in self._right:
            self._right[sought] = self._clips_named(sought)
        return self._right[sought]

    def are_right(self, row: dict[str, Any], span_texts: Sequence[str], clips: Sequence[Sequence[int]]) -> bool:
        """Whether every span of a row hears clips of the right label only."""
        return all(
            set(heard) <= set(self.right_clips(row, text)) for text, heard in zip(span_texts, clips, strict=True)
        )

    def _clips_named(self, sought: str) -> list[int]:
        heads = {word_stem(head) for head in head_words(sought)}
        found = sorted({position for head in heads for position in self._by_stem.get(head, [])})
        shared = [len(self._stems[position] & word_stems(sought)) for position in found]
        return [position for position, count in zip(found, shared, strict=True) if count == max(shared)]

    def _generator(self, kind: str, row_id: str, span: int) -> random.Random:
        digest = hashlib.sha256(f"{self.seed} {kind} {row_id} {span}".encode()).digest()
        return random.Random(int.from_bytes(digest[:8], "big"))
