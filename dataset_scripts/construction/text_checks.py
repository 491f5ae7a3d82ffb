"""What a generated sentence must hold to, beside its form; each check returns what is wrong, or None."""

import re
from collections.abc import Iterable


__all__ = ["MASK", "content_words", "find_words", "sentence_fault", "span_fault"]

MASK = "[MASK]"
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
# Common in English, and no common word of another language that is written with the same letters.
_ENGLISH = frozenset(
    _WORD.findall(
        "the of and is it that this its with when than has have from which makes make made sound sounds heard hear to "
        "goes said says by you we they through at over while before after called known"
    )
)
_FUNCTION_WORDS = _ENGLISH | frozenset(_WORD.findall("a an in on or as for are was be not very into out up down"))
_MARKUP = re.compile(r"https?:|www\.|[<>{}\\`|]|\n")


def sentence_fault(sentence: str) -> str | None:
    """Return why a sentence is not plain English with one mask."""
    if sentence.count(MASK) != 1:
        return f"the sentence holds {MASK} {sentence.count(MASK)} times, not once"
    rest = sentence.replace(MASK, "")
    if _MARKUP.search(rest) or "[" in rest or "]" in rest:
        return "the sentence holds markup, an address or a line break"
    letters = [letter for letter in rest if letter.isalpha()]
    foreign = sum(not letter.isascii() for letter in letters)
    if not letters or foreign > 0.1 * len(letters) or not _ENGLISH & set(_WORD.findall(rest.lower())):
        return "the sentence is not English"
    return None


def span_fault(sentence: str, span: str, name: str = "span") -> str | None:
    """Return why a span is not words of its sentence."""
    if MASK in span:
        return f"the {name} holds {MASK}"
    if not _WORD.search(span.lower()):
        return f"the {name} holds no word"
    if find_words(sentence, span) < 0:
        return f"the {name} '{span[:60]}' does not stand in the sentence as whole words"
    return None


def find_words(sentence: str, words: str) -> int:
    """Return where words stand in a sentence, whole words in any case; -1 if nowhere."""
    found = re.search(rf"(?<!\w){re.escape(words.strip())}(?!\w)", sentence, re.IGNORECASE)
    return found.start() if found else -1


def content_words(texts: Iterable[str]) -> set[str]:
    """Return the words that say something, each cut to its first four letters, so that dog and dogs are one."""
    words = _WORD.findall(" ".join(texts).lower())
    parts = {part for word in words for part in re.split("['-]", word)} | set(words)
    return {part[:4] for part in parts if len(part) > 1 and part not in _FUNCTION_WORDS}
