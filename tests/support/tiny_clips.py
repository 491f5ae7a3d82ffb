"""A manifest of clips with captions, whose files are empty."""

import csv
from pathlib import Path


CAPTIONS = [
    "a dog barking", "a small dog growls", "a cat meowing", "the cat purrs on a sofa", "a cow in the stable",
    "two sheep on a hill", "an owl at night", "a wolf far away", "a horse neighs", "a donkey calling",
    "the sound of a violin", "the sound of a tuba", "the sound of a piccolo", "a drum played slowly",
    "a kettle boiling", "a door slams", "a fridge", "a frying pan",
]  # fmt: skip


def write_manifest(folder: Path, captions: list[str]) -> Path:
    """Write `manifest.csv` and its files; the ids are clip-00, clip-01, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "path", "caption", "license", "near_dup_group"])
        for number, caption in enumerate(captions):
            (folder / f"{number}.wav").touch()
            writer.writerow([f"clip-{number:02d}", f"{number}.wav", caption, "CC0", ""])
    return path
