"""Where an auditory span lies in its sentence."""

import re
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["MASK_TOKEN", "NOT_FOUND", "gap_start", "locate_span"]

# The published sentences carry BERT's mask token literally, whatever model reads them.
MASK_TOKEN = "[MASK]"
NOT_FOUND = (-1, -1)


def gap_start(row: dict[str, Any]) -> int:
    """Return the position of the one gap in a row's sentence, in characters.

    Raises:
        AudioBertInputError: the sentence has no gap, or several.
    """
    count = row["sentence"].count(MASK_TOKEN)
    if count != 1:
        raise AudioBertInputError(
            f"row '{row['id']}' has {count} {MASK_TOKEN} in its sentence; one is needed. Correct the row, or leave it "
            f"out."
        )
    return row["sentence"].index(MASK_TOKEN)


def locate_span(sentence: str, span: str) -> tuple[int, int]:
    """Return the characters of the sentence that the span names.

    The comparison ignores case. An occurrence as whole words goes before one inside a word, and among equals the
    first one is taken. The letters inside `"[MASK]"` are no text and never match, unless the span holds the token.

    Args:
        sentence (`str`):
            The sentence, with its `"[MASK]"`.
        span (`str`):
            The span's text; white space around it does not count.

    Returns:
        `tuple[int, int]`: first character and the one after the last; `(-1, -1)` where the span is blank or not in
        the sentence.
    """
    span = span.strip()
    if not span:
        return NOT_FOUND
    literal = re.escape(span)
    for pattern in (rf"(?<!\w){literal}(?!\w)", literal):
        for match in re.finditer(pattern, sentence, re.IGNORECASE):
            if MASK_TOKEN in span or not _touches_mask(sentence, *match.span()):
                return match.span()
    return NOT_FOUND


def _touches_mask(sentence: str, start: int, end: int) -> bool:
    """Whether characters `start` to `end` share one with a mask token."""
    masks = re.finditer(re.escape(MASK_TOKEN), sentence)
    return any(mask.start() < end and start < mask.end() for mask in masks)
