"""What the page shows after each touch, as HTML and plain values: all of the demo but its layout."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audio_loading import read_sound
from audiobert.trainers.listener import Choice, Listener

from .markup import bars, clip_card, no_player, notice, own_sound_card, player, sentence_with_spans


__all__ = ["Asked", "Shown", "Visit"]

_NUM_CLIPS = 4


@dataclass(frozen=True)
class Asked:
    """A sentence that was answered, and what the visitor chose to be heard in it."""

    text: str = ""
    choices: tuple[Choice, ...] = ()

    def choosing(self, choice: Choice) -> "Asked":
        """Return the same with one more choice, which replaces an earlier one for the same words."""
        others = [other for other in self.choices if (other.start, other.end) != (choice.start, choice.end)]
        return replace(self, choices=(*others, choice))

    def without_own_sound(self) -> "Asked":
        return replace(self, choices=tuple(choice for choice in self.choices if choice.sound is None))


@dataclass(frozen=True)
class Shown:
    """What the page shows: the answer (`Listener.listen`), or why there is none."""

    asked: Asked
    answer: dict[str, Any] | None
    notice: str = ""
    sentence: str = ""
    bars: str = ""


class Visit:
    """Answers a page's visitors with one loaded model; what each of them chose is handed in and out.

    Args:
        listener (`Listener`): the model.
    """

    def __init__(self, listener: Listener):
        self.listener = listener
        self._clip_player: Callable[[str], str] = lru_cache(maxsize=256)(self._draw_clip_player)

    def show(self, asked: Asked, hearing: bool) -> Shown:
        """Answer a sentence with what was chosen for it; what cannot be answered becomes a notice."""
        try:
            answer = self.listener.listen(asked.text, asked.choices, hearing, num_candidates=_NUM_CLIPS)
        except AudioBertInputError as error:
            return Shown(asked, None, notice(_sentence(error)))
        mask_token = self.listener.mask_token
        return Shown(asked, answer, "", sentence_with_spans(answer, mask_token), bars(answer, hearing))

    def choose_clip(self, asked: Asked, span: dict[str, Any], clip: str, hearing: bool) -> Shown:
        """Answer again with another clip of the bank at a span."""
        return self.show(asked.choosing(Choice(span["start"], span["end"], clip=clip)), hearing)

    def choose_sound(self, asked: Asked, sound: str | None, place: tuple[int, int] | None, hearing: bool) -> Shown:
        """Answer again with the visitor's own sound at some words; without one, as before it."""
        asked = asked.without_own_sound()
        if sound is None or place is None:
            return self.show(asked, hearing)
        shown = self.show(asked.choosing(Choice(*place, sound=sound, name=Path(sound).name)), hearing)
        # A sound that cannot be used is told, and not kept: the next touch would fail with it again.
        return shown if shown.answer is not None else replace(self.show(asked, hearing), notice=shown.notice)

    def places(self, answer: dict[str, Any] | None) -> list[tuple[str, tuple[int, int]]]:
        """Return the words that a sound can be heard at, with their character ranges: the spans first."""
        if answer is None:
            return []
        text = answer["text"]
        spans = [(span["start"], span["end"]) for span in answer["spans"]]
        words = [word for word in self.listener.words(text) if word not in spans]
        return [(text[start:end], (start, end)) for start, end in spans + words]

    def cards(self, asked: Asked, span: dict[str, Any]) -> list[tuple[str, str | None]]:
        """Return, for the sounds of a span, their card and the clip's id (None for the visitor's own sound)."""
        clips = [(clip_card(clip, self._clip_player(clip["id"])), clip["id"]) for clip in span["clips"]]
        if not span["sound"]:
            return clips
        sound = next(choice.sound for choice in asked.choices if choice.sound is not None)
        return [(own_sound_card(span["sound"], player(read_sound(sound), span["sound"])), None), *clips]

    def _draw_clip_player(self, clip: str) -> str:
        try:
            return player(self.listener.clip_sound(clip), f"clip {clip}")
        except AudioBertInputError as error:
            return no_player(_sentence(error))


def _sentence(error: AudioBertInputError) -> str:
    text = " ".join(str(error).split())
    return text[:1].upper() + text[1:]
