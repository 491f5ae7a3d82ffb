"""The calls of animals, each made by the method that suits it."""

from collections.abc import Callable

import numpy as np

from . import synthesis


__all__ = ["ANIMAL_SOUNDS"]

Voice = Callable[[np.random.Generator, float], np.ndarray]


def _near(rng: np.random.Generator, value: float, share: float = 0.06) -> float:
    """No two animals of a kind sound alike."""
    return value * (1 + rng.uniform(-share, share))


def _throat(melody: tuple[float, ...], resonances: tuple[float, ...], **settings) -> Voice:
    def voice(rng, seconds):
        size = _near(rng, 1.0)
        pitch = [_near(rng, 1.0, 0.03) * size * value for value in melody]
        return synthesis.formants(rng, seconds, pitch, [_near(rng, value, 0.04) for value in resonances], **settings)

    return voice


def _repeated(voice: Voice, rate_hz: float, duty: float) -> Voice:
    return lambda rng, seconds: synthesis.bursts(voice(rng, seconds), _near(rng, rate_hz), duty)


def _chirps(start_hz: float, end_hz: float, rate_hz: float, duty: float) -> Voice:
    return lambda rng, seconds: synthesis.sweeps(
        rng, seconds, _near(rng, start_hz), _near(rng, end_hz), rate_hz=_near(rng, rate_hz), duty=duty
    )


def _clicks(rate_hz: float, resonance_hz: float, ring: float) -> Voice:
    return lambda rng, seconds: synthesis.pulse_train(
        rng, seconds, _near(rng, rate_hz), _near(rng, resonance_hz), ring=ring
    )


def _wings(pitch_hz: float, slope: float, flutter_hz: float) -> Voice:
    return lambda rng, seconds: synthesis.buzz(rng, seconds, _near(rng, pitch_hz), slope=slope, flutter_hz=flutter_hz)


def _noise(low_hz: float, high_hz: float) -> Voice:
    return lambda rng, seconds: synthesis.noise_band(rng, seconds, _near(rng, low_hz), _near(rng, high_hz))


def _laid_over(*voices: Voice) -> Voice:
    return lambda rng, seconds: sum(voice(rng, seconds) for voice in voices)


# By animal, as in facts/animals.csv. No elephant: it would share its name, trumpet, with an instrument.
ANIMAL_SOUNDS: dict[str, Voice] = {
    "cow": _throat((130, 150, 140, 105), (320, 750, 2300)),
    "sheep": _throat((330, 340, 320), (650, 1700, 2600), tremolo_hz=9, rough=0.05),
    "pig": _repeated(_throat((170, 150), (450, 1100, 2400), rough=0.4, breath=0.4), 2.6, 0.35),
    "horse": _throat((900, 1300, 800, 1000, 500, 600, 300), (900, 1900, 3000), tremolo_hz=12),
    "donkey": _repeated(_throat((700, 250, 700, 250, 700, 250), (800, 1500, 2800), rough=0.3, breath=0.15), 3, 0.7),
    "cat": _throat((550, 780, 720, 480), (900, 2000, 3200)),
    "dog": _repeated(_throat((520, 420, 520, 420), (700, 1300, 2500), rough=0.25, breath=0.15), 2.2, 0.28),
    "wolf": _throat((280, 520, 560, 560, 540, 330), (560, 1100, 2500), breath=0.01),
    "lion": _throat((75, 110, 100, 60), (420, 850, 1500), rough=0.6, breath=0.5),
    "bear": _throat((55, 60, 52), (260, 620, 1200), rough=0.5, breath=0.25, tremolo_hz=25),
    "mouse": _chirps(4300, 5600, 6.0, 0.25),
    "seal": _repeated(_throat((300, 340, 300, 340), (520, 900, 1900), rough=0.3, breath=0.1), 1.3, 0.55),
    "duck": _repeated(_throat((240, 220), (1200, 2300, 3300), rough=0.1, breath=0.1), 3.4, 0.5),
    "goose": _repeated(_throat((430, 520, 430, 520), (950, 1500, 2700), rough=0.06), 1.7, 0.45),
    "rooster": _repeated(_throat((620, 700, 620, 900, 980, 930, 600), (1500, 2600, 3500), breath=0.05), 2.3, 0.85),
    "hen": _repeated(_throat((380, 340), (800, 1400, 2600), breath=0.06), 4.3, 0.22),
    "turkey": _repeated(_throat((700, 640, 560), (1000, 1900, 3100), tremolo_hz=17, rough=0.1), 8.5, 0.6),
    "pigeon": _throat((270, 330, 300, 330, 280), (330, 650, 1200), tremolo_hz=5, breath=0.005),
    "owl": _repeated(lambda rng, seconds: synthesis.harmonic(rng, seconds, _near(rng, 380), slope=2.6), 1.5, 0.5),
    "crow": _repeated(_throat((560, 520), (1300, 1750, 3100), rough=0.7, breath=0.5), 1.9, 0.5),
    "canary": _chirps(3600, 4100, 17.0, 0.7),
    "lark": _chirps(2200, 3900, 7.0, 0.8),
    "robin": _chirps(3100, 2000, 3.0, 0.6),
    "snake": _noise(3000, 7000),
    "frog": _repeated(_clicks(55, 750, 0.006), 2.1, 0.5),
    "bee": _wings(235, 0.6, 11),
    "mosquito": _wings(560, 1.6, 3),
    "cricket": _repeated(_chirps(4700, 4700, 33.0, 0.6), 2.6, 0.5),
    "dolphin": _laid_over(_clicks(24, 5500, 0.001), _chirps(5200, 6800, 1.2, 0.3)),
    "woodpecker": _repeated(_clicks(19, 1300, 0.007), 1.0, 0.6),
    "rattlesnake": _laid_over(_clicks(60, 4200, 0.002), _noise(3500, 6500)),
    "monkey": _repeated(_throat((900, 1250, 950, 1300), (1300, 2400, 3500), rough=0.15), 6.5, 0.5),
}
