"""The words of a span's text that name its sound, in a form that can be compared."""

import re
from functools import lru_cache


__all__ = ["head_words", "word_stem", "word_stems"]

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_CONJUNCTION = re.compile(r"[,;/&]|\b(?:and|or|then|followed by)\b", re.IGNORECASE)
_GENERIC = frozenset({"sound", "sounds", "noise", "noises", "audio", "recording"})
_ARTICLES = frozenset({"a", "an", "the", "its", "their", "some", "two", "three", "several", "many"})
_PREPOSITIONS = frozenset(
    _WORD.findall(
        "of from in on at with without by for to into onto over under near through against during inside outside "
        "behind between across around as like while when that which being"
    )
)
_VOWELS = frozenset("aeiouy")


def head_words(text: str) -> list[str]:
    """Return the head word of each noun phrase of a span: what it says is heard, without how or where.

    The text is cut at "and", "or" and commas. Of each phrase, a leading "sound of", articles, everything from the
    first preposition on and words such as "sound" at the end are dropped; the last word left is the head, as English
    puts it. A word with digits ("32inch") is a head only if no other is left. No grammar is applied beyond that: of
    "water boiling" the head is "boiling".

    Returns:
        `list[str]`: as written, in lower case; empty where the text holds no word.
    """
    heads = [_head(_WORD.findall(phrase.lower())) for phrase in _CONJUNCTION.split(text)]
    return [head for head in heads if head]


def word_stems(text: str) -> set[str]:
    """Return the stems of all words of a text; words joined by hyphens count as one and singly."""
    words = _WORD.findall(text.lower())
    return {word_stem(part) for word in words for part in (word, *word.split("-"))}


@lru_cache(maxsize=100_000)
def word_stem(word: str) -> str:
    """Return what the forms of an English word have in common: "chirp" for chirps, chirped, chirping, chirpy.

    Endings are cut by their letters alone, so that now and then two words become one.
    """
    stem = re.sub(r"['\u2019]s?$", "", word.lower())
    stem = re.sub(r"ies$", "y", stem)
    stem = re.sub(r"(?<=ss|sh|ch)es$|(?<=[xz])es$|(?<![sui])s$", "", stem)
    for ending in ("ing", "ed", "y", "e"):
        left = stem.removesuffix(ending)
        if left != stem and len(left) >= 3 and _VOWELS & set(left):
            stem = left
    return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in _VOWELS else stem


def _head(words: list[str]) -> str | None:
    named = words
    for place, word in enumerate(words[:-1]):
        if word in _GENERIC and words[place + 1] in ("of", "from"):
            named = words[place + 2 :]
            break
    named = [word for word in named if word not in _ARTICLES]
    cut = next((place for place, word in enumerate(named) if place and word in _PREPOSITIONS), len(named))
    phrase = [word for word in named[:cut] if word not in _PREPOSITIONS]
    telling = [word for word in phrase if word not in _GENERIC and not any(letter.isdigit() for letter in word)]
    for candidates in (telling, phrase, words):
        if candidates:
            return candidates[-1]
    return None
