"""Sounds made in the test: tones, clicks and noise, written as audio files with a manifest."""

import csv
from pathlib import Path

import numpy as np
import soundfile


RATE = 16_000
COLUMNS = ["id", "path", "caption", "label", "license", "near_dup_group", "source", "average_pitch_hz"]


def tone(hertz: float = 440.0, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A sine of amplitude 0.3, float32."""
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    """White noise, float32."""
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


def write_manifest(folder: Path, rows: list[dict], name: str = "manifest.csv") -> Path:
    """Write a CSV manifest; columns that a row lacks stay empty."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_clips(folder: Path, per_label: int = 4) -> Path:
    """Write sounds of three kinds, each in `per_label` variants of different length, and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(per_label):
        seconds = 0.3 + 0.25 * index  # the longer ones do not fit into the tiny encoders' windows
        sounds = {
            "whistle": tone(2000 + 60 * index, seconds),
            "hum": tone(120 + 5 * index, seconds),
            "rain": noise(seconds, seed=index),
        }
        pitches = {"whistle": 2000 + 60 * index, "hum": 120 + 5 * index}
        for label, sound in sounds.items():
            path = f"{label}/{index}.wav"
            (folder / label).mkdir(exist_ok=True)
            soundfile.write(folder / path, sound, RATE)
            caption = {"whistle": "a loud sound", "hum": "a quiet sound", "rain": "the sound of rain"}[label]
            row = {"id": f"{label}-{index}", "path": path, "caption": caption, "label": label, "license": "CC0"}
            rows.append(row | {"average_pitch_hz": pitches.get(label, "")})
    return write_manifest(folder, rows)
