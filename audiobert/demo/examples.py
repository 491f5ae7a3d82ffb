"""Sentences to start with."""

import os

import yaml
from huggingface_hub import ModelCard


__all__ = ["example_sentences"]

_SENTENCES = (
    "Meow is the sound a [MASK] makes.",
    "A [MASK] makes the sound of a loud moo.",
    "The sound of a piccolo has a [MASK] pitch than the sound of a tuba.",
    "The capital of France is [MASK].",
)
_MOST = 6


def example_sentences(model: str | os.PathLike) -> list[str]:
    """Return the widget examples of a model's card, or, where it has none, some of our own.

    Args:
        model (`str` or `Path`): a folder or Hub id.
    """
    try:
        card = ModelCard.load(os.path.join(model, "README.md") if os.path.isdir(model) else str(model))
    except (OSError, ValueError, yaml.YAMLError):  # no card, no network, or a card whose header cannot be read
        return list(_SENTENCES)
    entries = card.data.get("widget") or []
    texts = [entry.get("text") for entry in entries if isinstance(entry, dict)]
    return [text for text in texts if text and "[MASK]" in text][:_MOST] or list(_SENTENCES)
