"""Sentences that two splits share."""

from collections.abc import Iterable


__all__ = ["sentence_key", "without_shared_sentences"]


def sentence_key(sentence: str) -> str:
    """Return what two sentences have in common that differ in case and white space only."""
    return " ".join(sentence.casefold().split())


def without_shared_sentences(rows: Iterable[dict], held_out: Iterable[dict]) -> list[dict]:
    """Return the rows whose sentence, whatever its case and white space, is none of the held-out rows'."""
    keys = {sentence_key(row["sentence"]) for row in held_out}
    return [row for row in rows if sentence_key(row["sentence"]) not in keys]
