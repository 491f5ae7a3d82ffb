"""What a generated item must hold to beside its form: neither a slip nor a caption that gives orders may pass."""

import re
from typing import Any

from .answers import AnimalItem, PitchItem
from .text_checks import content_words, find_words, sentence_fault, span_fault


__all__ = ["animal_fault", "pitch_fault"]

_NAME = re.compile(r"[a-z]+(?:[' -][a-z]+){0,3}")
_TOO_BROAD = frozenset({"animal", "creature", "beast", "pet", "mammal", "wildlife"})


def animal_fault(item: AnimalItem, clips: list[dict[str, Any]]) -> str | None:
    """Return why an animal item cannot be used; None if it can."""
    answer = item.answer.strip().lower()
    if not _NAME.fullmatch(answer) or answer in _TOO_BROAD:
        return f"the answer '{item.answer[:60]}' is not an animal's everyday name"
    # Not in its caption: whoever wrote that could give any answer.
    if not content_words([answer]) <= content_words(clips[0]["category"].split("/")[1:]):
        return f"the answer '{answer}' is not in the recording's category"
    fault = sentence_fault(item.sentence) or span_fault(item.sentence, item.span)
    if fault is None and find_words(item.sentence, answer) >= 0:
        fault = f"the answer '{answer}' stands in the sentence"
    return fault


def pitch_fault(item: PitchItem, clips: list[dict[str, Any]]) -> str | None:
    """Return why a pitch item cannot be used; None if it can."""
    fault = sentence_fault(item.sentence)
    spans = {"span_1": item.span_1, "span_2": item.span_2}
    for name, span in spans.items():
        fault = fault or span_fault(item.sentence, span, name)
    if fault:
        return fault
    starts = [find_words(item.sentence, span) for span in spans.values()]
    if starts[0] + len(item.span_1.strip()) > starts[1]:
        return "span_1 does not come before span_2, or they overlap"
    if re.search(r"\b(higher|lower)\b", item.sentence, re.IGNORECASE):
        return "'higher' or 'lower' stands in the sentence"
    for (name, span), clip in zip(spans.items(), clips, strict=True):
        if not content_words([span]) & _known_words(clip):
            return f"{name} '{span[:60]}' has no word of its recording's category, caption or tags"
    return None


def _known_words(clip: dict[str, Any]) -> set[str]:
    """Return the words that a clip's own texts hold; the broadest category says nothing."""
    return content_words([*clip["category"].split("/")[1:], clip["caption"], *clip["tags"]])
