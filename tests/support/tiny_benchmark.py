"""A benchmark folder in AuditoryBench's published layout, with sentences made of the tiny tokenizer's words."""

import csv
import itertools
from pathlib import Path


CALLS = {"cat": "meow", "dog": "woof", "cow": "moo", "snake": "hiss", "bee": "buzz", "bird": "chirp"}
# A word that no other split has, so that none is the copy of another.
WORDS_OF_SPLITS = {"train": "loud", "dev": "quiet", "test": "soft", "wiki": "ordinary"}
HIGH, LOW = ("piccolo", "violin", "bird"), ("tuba", "drum", "thunder")
ANIMAL_FILE = "animal_sound_recognition_{}.csv"
PITCH_FILE = "sound_pitch_comparsion_{}.csv"  # the publishers' spelling


def write_benchmark(folder: Path, splits: tuple[str, ...] = ("train", "dev", "test", "wiki")) -> Path:
    """Write both tasks: 24 animal rows and 18 pitch rows a split."""
    for split in splits:
        word, published = WORDS_OF_SPLITS[split], folder / "published"
        _write(published / ANIMAL_FILE.format(split), ("animal", "description", "sentence"), _animal_rows(word))
        _write(published / PITCH_FILE.format(split), ("sentence", "answer", "span1", "span2"), _pitch_rows(word))
    # The animal train split has a folder of its own, with choices.
    train = folder / "animal_train" / ANIMAL_FILE.format("train")
    rows = [(*row, "cat", "dog", "cow", "bee", "A") for row in _animal_rows(WORDS_OF_SPLITS["train"])]
    _write(train, ("animal", "description", "sentence", "A", "B", "C", "D", "Answer"), rows)
    return folder


def _animal_rows(word: str):
    for animal, call in CALLS.items():
        yield animal, call, f"A {word} [MASK] makes a {call} sound."
        yield animal, f"{call} sound", f"when you hear a {call} sound, it is a {word} [MASK]."
        yield animal, call, f"{call} is the sound a {word} [MASK] makes."
        # A span that is not in its sentence, as the published files have some.
        yield animal, "thunder", f"the {word} [MASK] makes a {call}."


def _pitch_rows(word: str):
    for high, low in itertools.product(HIGH, LOW):
        first, second = f"The {word} sound of a {high} typically has", f"The {word} sound of a {low} has"
        yield f"{first} a [MASK] pitch than the sound of a {low}.", "higher", high, low
        yield f"{second} a [MASK] pitch than the sound of a {high}.", "lower", low, high


def _write(path: Path, columns, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
