"""What can be heard in the sample: animals and instruments of the facts, and invented ones that no text knows."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import synthesis
from .animal_sounds import ANIMAL_SOUNDS
from .fact_tables import PitchSource, midi_to_hertz, read_animals, read_pitch_sources


__all__ = ["CALLS", "PITCHES", "SoundSource", "invented_names", "practice_sources", "sample_sources", "synthesise"]

CALLS, PITCHES = "call", "pitch"
VARIANTS = 6

# As good as nothing between two instruments, for ears and for anything else.
_ALIKE = {"cornet", "flugelhorn", "baritone horn", "bass trombone", "alto voice", "lever harp", "alto saxophone"}
_NOT_INSTRUMENTS = {"male speech", "female speech", "baby's cry"}
# Throats and drums sound right at the pitches of their kind only, invented instruments are of any pitch.
_NARROW = {"voice", "drum"}
_PRACTISED_NOTES = (36, 100)
_CLASS_SEMITONES = 3
_BEGINNINGS = ("bl", "br", "dr", "fl", "gl", "gr", "kl", "kr", "pl", "pr", "qu", "sk", "sn", "sp", "tr", "v", "z", "w")
_MIDDLES = ("a", "e", "i", "o", "u", "oo", "ai")
_ENDINGS = ("mble", "ndle", "rvo", "xon", "bbit", "zzo", "lpha", "mpet", "rgle", "dda", "fflo", "nka", "stro", "vv")


@dataclass(frozen=True)
class SoundSource:
    """Something that sounds, and the name it is asked by.

    Args:
        name (`str`): the span of a sentence: an animal's call, or an instrument.
        task (`str`): `CALLS` or `PITCHES`.
        animal (`str`, *optional*): whose call it is.
        family (`str`): of an instrument, else "call".
        pitch_hz (`float`, *optional*): that an instrument is played at.
        unseen (`bool`): whether the name is invented, and kept out of all training sentences.
    """

    name: str
    task: str
    family: str
    animal: str | None = None
    pitch_hz: float | None = None
    unseen: bool = False

    @property
    def caption(self) -> str:
        """What the bank says of its clips. An invented call's does not say whose it is."""
        article = "an" if self.name[0] in "aeiouAEIOU" else "a"
        if self.animal is None or self.unseen:
            return f"the sound of {article} {self.name}"
        return f"the {self.name} of {'an' if self.animal[0] in 'aeiou' else 'a'} {self.animal}"

    @property
    def sounds_like(self) -> str | None:
        """What the audio encoder is trained to tell: the animal, or how high it sounds. None for what is invented.

        Not the instrument: its name would tell the language model everything by heart.
        """
        if self.unseen or self.pitch_hz is None:
            return None if self.unseen else self.animal
        note = 69 + 12 * np.log2(self.pitch_hz / 440)
        return f"around {midi_to_hertz(round(note / _CLASS_SEMITONES) * _CLASS_SEMITONES):.0f} Hz"


def sample_sources(seed: int = 0, calls: int = 32, pitches: int = 60, unseen: int = 24) -> list[SoundSource]:
    """Return the sources of the sample.

    Args:
        seed (`int`, *optional*, defaults to 0): decides the invented names and what they sound like.
        calls (`int`), pitches (`int`): how many animals and instruments, at most; evenly out of their lists.
        unseen (`int`): how many invented calls, and how many invented instruments.
    """
    rng = np.random.default_rng([seed, 7])
    animals = [animal for animal in read_animals() if animal.animal in ANIMAL_SOUNDS]
    known_calls = [SoundSource(one.call, CALLS, "call", one.animal) for one in _some(animals, calls)]
    left_out = _ALIKE | _NOT_INSTRUMENTS
    instruments = [one for one in read_pitch_sources() if one.family in _FAMILIES and one.name not in left_out]
    known_pitches = [
        SoundSource(one.name, PITCHES, one.family, pitch_hz=_middle_hz(one)) for one in _some(instruments, pitches)
    ]
    names = invented_names(2 * unseen, seed, {source.name for source in [*known_calls, *known_pitches]})
    heard_from = rng.permutation(len(known_calls)).tolist()
    new_calls = [
        SoundSource(name, CALLS, "call", known_calls[heard_from[place % len(heard_from)]].animal, unseen=True)
        for place, name in enumerate(names[:unseen])
    ]
    families = rng.permutation([source.family for source in known_pitches if source.family not in _NARROW])
    notes = np.linspace(46, 94, max(unseen, 1)) + rng.uniform(-0.5, 0.5, max(unseen, 1))
    new_pitches = [
        SoundSource(name, PITCHES, str(families[place % len(families)]), pitch_hz=midi_to_hertz(note), unseen=True)
        for place, (name, note) in enumerate(zip(names[unseen:], rng.permutation(notes), strict=False))
    ]
    return [*known_calls, *known_pitches, *new_calls, *new_pitches]


def practice_sources(count: int, seed: int = 0) -> list[SoundSource]:
    """Return instruments without a name, of any pitch, that nothing but the audio encoder gets to hear.

    Args:
        count (`int`): how many.
        seed (`int`, *optional*, defaults to 0): decides families and pitches.
    """
    rng = np.random.default_rng([seed, 23])
    families = [family for family in _FAMILIES if family not in _NARROW]
    notes = rng.uniform(*_PRACTISED_NOTES, count)
    return [
        SoundSource(f"practice {place}", PITCHES, str(rng.choice(families)), pitch_hz=midi_to_hertz(note))
        for place, note in enumerate(notes)
    ]


def invented_names(count: int, seed: int, taken: set[str]) -> list[str]:
    """Return words that are nobody's names, drawn by the seed, all different and none of `taken`."""
    rng = np.random.default_rng([seed, 11])
    names: dict[str, None] = {}
    while len(names) < count:
        name = "".join(str(rng.choice(parts)) for parts in (_BEGINNINGS, _MIDDLES, _ENDINGS))
        if name not in taken:
            names[name] = None
    return list(names)


def synthesise(source: SoundSource, variant: int, seed: int = 0) -> np.ndarray:
    """Return one variant of a source: float32 mono at `SAMPLING_RATE`, 1 to 3 seconds; the same for the same seed.

    Variants differ in length, level, and a little in pitch (an instrument's by at most 0.4 semitones) and timbre.
    """
    rng = np.random.default_rng([seed, _number(source.name), variant])
    seconds = rng.uniform(1.0, 2.0)
    if source.task == CALLS:
        sound = ANIMAL_SOUNDS[source.animal](rng, seconds)
    else:
        timbre = np.random.default_rng(_number(source.name))
        sound = _FAMILIES[source.family](rng, timbre, seconds, source.pitch_hz * 2 ** (rng.uniform(-0.4, 0.4) / 12))
    return synthesis.finish(sound, rng)


def _wind(rng, timbre, seconds, pitch_hz):
    even = 0.1 if timbre.uniform() < 0.3 else 1.0
    return synthesis.harmonic(
        rng, seconds, pitch_hz, slope=timbre.uniform(1.2, 2.2), even=even, attack=0.08, breath=timbre.uniform(0, 0.08)
    )


def _brass(rng, timbre, seconds, pitch_hz):
    return synthesis.harmonic(rng, seconds, pitch_hz, slope=timbre.uniform(0.7, 1.1), attack=timbre.uniform(0.03, 0.1))


def _bowed(rng, timbre, seconds, pitch_hz):
    return synthesis.harmonic(
        rng, seconds, pitch_hz, slope=timbre.uniform(0.9, 1.3), attack=0.15, vibrato=timbre.uniform(0.004, 0.01)
    )


def _reed(rng, timbre, seconds, pitch_hz):
    even = timbre.uniform(0.3, 1.0)
    return synthesis.harmonic(rng, seconds, pitch_hz, slope=timbre.uniform(0.5, 0.9), even=even, attack=0.04)


def _organ(rng, timbre, seconds, pitch_hz):
    tone = synthesis.harmonic(rng, seconds, pitch_hz, slope=timbre.uniform(1.5, 2.5), attack=0.02)
    return tone * np.exp(-np.arange(len(tone)) / synthesis.SAMPLING_RATE * timbre.uniform(0, 2.5))


def _plucked(rng, timbre, seconds, pitch_hz):
    return synthesis.plucked_string(
        rng, seconds, pitch_hz, brightness=timbre.uniform(0.4, 0.9), decay=timbre.uniform(0.4, 1.0)
    )


def _bar(rng, timbre, seconds, pitch_hz):
    return synthesis.struck_bar(
        rng, seconds, pitch_hz, tuned=bool(timbre.uniform() < 0.6), decay=timbre.uniform(0.25, 0.9)
    )


def _drum(rng, timbre, seconds, pitch_hz):
    return synthesis.membrane(rng, seconds, pitch_hz, decay=timbre.uniform(0.3, 0.6))


def _voice(rng, timbre, seconds, pitch_hz):
    vowel = [timbre.uniform(300, 800), timbre.uniform(900, 2000), 2700]
    wave = 1 + 0.004 * np.sin(np.linspace(0, 2 * np.pi * 5 * seconds, 40))
    return synthesis.formants(rng, seconds, (pitch_hz * wave).tolist(), vowel, breath=0.01)


_FAMILIES: dict[str, Callable[..., np.ndarray]] = {
    "woodwind": _wind,
    "brass": _brass,
    "bowed string": _bowed,
    "plucked string": _plucked,
    "keyboard": _organ,
    "free reed": _reed,
    "struck bar": _bar,
    "drum": _drum,
    "voice": _voice,
}


def _middle_hz(source: PitchSource) -> float:
    return (source.lowest_hz * source.highest_hz) ** 0.5


def _some(entries: list, count: int) -> list:
    """Return `count` entries from the whole length of a list, in their order."""
    places = np.unique(np.linspace(0, len(entries) - 1, min(count, len(entries))).round().astype(int))
    return [entries[place] for place in places]


def _number(name: str) -> int:
    """A seed of a name that, unlike `hash`, is the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
