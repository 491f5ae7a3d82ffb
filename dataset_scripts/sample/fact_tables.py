"""The facts that the sample is made from, as they stand in `facts/*.csv`."""

import csv
from dataclasses import dataclass
from importlib import resources


__all__ = ["Animal", "PitchSource", "midi_to_hertz", "read_animals", "read_pitch_sources"]

_FOLDER = "audiobert.dataset_scripts.sample"


@dataclass(frozen=True)
class Animal:
    """An animal and its best-known call.

    Args:
        animal (`str`): its English name, in the singular.
        call (`str`): the noun, as in "a loud moo".
        verb (`str`): in the third person, as in "a cow moos".
        kind (`str`): mammal, bird, amphibian, reptile, insect, fish or crustacean.
        reference (`str`): where it can be looked up.
    """

    animal: str
    call: str
    verb: str
    kind: str
    reference: str


@dataclass(frozen=True)
class PitchSource:
    """An instrument or another source of sound, and how high it sounds.

    Args:
        name (`str`): in English, in the singular.
        family (`str`): woodwind, brass, bowed string, plucked string, keyboard, free reed, struck bar, drum, voice,
            device or animal.
        lowest_hz (`float`), highest_hz (`float`): of the fundamental frequency, as it sounds.
        reference (`str`): where it can be looked up.
    """

    name: str
    family: str
    lowest_hz: float
    highest_hz: float
    reference: str


def read_animals() -> list[Animal]:
    """Return the animals, in the table's order."""
    return [Animal(**row) for row in _read("animals.csv")]


def read_pitch_sources() -> list[PitchSource]:
    """Return the sources of pitch, in the table's order."""
    sources = []
    for row in _read("pitch_sources.csv"):
        low, high = float(row["lowest"]), float(row["highest"])
        if row["unit"] == "midi":
            low, high = midi_to_hertz(low), midi_to_hertz(high)
        sources.append(PitchSource(row["name"], row["family"], low, high, row["reference"]))
    return sources


def midi_to_hertz(note: float) -> float:
    """Return the frequency of a MIDI note in Hz: 69 is 440 Hz, 12 notes are an octave."""
    return 440.0 * 2 ** ((note - 69) / 12)


def _read(name: str) -> list[dict[str, str]]:
    text = (resources.files(_FOLDER) / "facts" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
