"""Ways to make a sound: one function a family, all of NumPy and SciPy, all drawn from a generator that is passed in.

Each returns a float64 waveform of `round(seconds * SAMPLING_RATE)` samples, of any level; `finish` brings it to one.
"""

from collections.abc import Sequence

import numpy as np
from scipy import signal


__all__ = [
    "SAMPLING_RATE",
    "bell",
    "bursts",
    "buzz",
    "finish",
    "formants",
    "harmonic",
    "membrane",
    "noise_band",
    "plucked_string",
    "pulse_train",
    "struck_bar",
    "sweeps",
]

SAMPLING_RATE = 16_000
_NYQUIST = SAMPLING_RATE / 2
_HIGHEST_HZ = 0.45 * SAMPLING_RATE  # partials above would fold back
# Of a bar with free ends, and of a membrane; bells as of a minor-third church bell, to its strike note.
_BAR_MODES = (1.0, 2.756, 5.404, 8.933)
_TUNED_BAR_MODES = (1.0, 4.0, 10.0)  # undercut, as in marimbas and vibraphones
_MEMBRANE_MODES = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918)
_BELL_MODES = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0)
_BELL_LEVELS = (0.35, 1.0, 0.5, 0.3, 0.8, 0.3, 0.25, 0.15)


def harmonic(  # noqa: PLR0913 - the parameters of a timbre
    rng: np.random.Generator,
    seconds: float,
    pitch_hz: float,
    *,
    slope: float = 1.0,
    even: float = 1.0,
    attack: float = 0.05,
    vibrato: float = 0.0,
    breath: float = 0.0,
) -> np.ndarray:
    """Return a held tone of whole-number partials: winds, brass, bowed strings, organs.

    Args:
        slope (`float`): how fast partials fall off (level of partial n is n to the power of -slope).
        even (`float`): level of the even partials; near 0 for a closed pipe such as the clarinet.
        attack (`float`): seconds until the tone is at its height.
        vibrato (`float`): its depth as a share of the pitch.
        breath (`float`): level of noise around the tone.
    """
    time = _time(seconds)
    rate = 5.0 + rng.uniform(-0.5, 0.5)
    phase = 2 * np.pi * pitch_hz * (time - vibrato / (2 * np.pi * rate) * np.cos(2 * np.pi * rate * time))
    tone = np.zeros_like(time)
    for partial in range(1, max(1, int(_HIGHEST_HZ / pitch_hz)) + 1):
        level = partial**-slope * (even if partial % 2 == 0 else 1.0)
        tone += level * np.sin(partial * phase + rng.uniform(0, 2 * np.pi))
    tone /= np.abs(tone).max()
    if breath:
        tone += breath * noise_band(rng, seconds, pitch_hz, min(4 * pitch_hz, 0.9 * _NYQUIST))
    return tone * _envelope(time, attack, 0.08)


def plucked_string(
    rng: np.random.Generator, seconds: float, pitch_hz: float, *, brightness: float = 0.7, decay: float = 0.6
) -> np.ndarray:
    """Return a plucked string (Karplus and Strong 1983): noise that goes round in a delay line and loses its edge.

    Args:
        brightness (`float`): from 0 to 1, how bright the pluck itself is.
        decay (`float`): seconds in which the fundamental falls to a third, at most.
    """
    # Each round mixes neighbouring samples by (1 - mix) and mix. Equal parts, as in the paper, silence high strings
    # at once; from some pitch on, mix is what lets the fundamental last for `decay`.
    loss = 1 / (pitch_hz * decay * (1 - np.cos(2 * np.pi * pitch_hz / SAMPLING_RATE)))
    mix = (1 - np.sqrt(max(0.0, 1 - 4 * loss))) / 2
    # The mixing delays by `mix` samples, the line by a whole number, an allpass by the fraction that is missing.
    period = SAMPLING_RATE / pitch_hz - mix
    whole = int(period - 0.1)
    allpass = (1 - (period - whole)) / (1 + (period - whole))
    pluck = np.zeros(round(seconds * SAMPLING_RATE))
    pluck[:whole] = signal.lfilter([brightness], [1, brightness - 1], rng.uniform(-1, 1, whole))
    # y[n] = x[n] + allpass((1 - mix) y[n - whole] + mix y[n - whole - 1]), as one recursive filter.
    denominator = np.zeros(whole + 3)
    denominator[:2] = 1.0, allpass
    denominator[whole:] -= np.exp(-1 / (pitch_hz * 3)) * np.convolve([1 - mix, mix], [allpass, 1.0])
    return signal.lfilter([1.0, allpass], denominator, pluck)


def struck_bar(
    rng: np.random.Generator, seconds: float, pitch_hz: float, *, tuned: bool = True, decay: float = 0.4
) -> np.ndarray:
    """Return a struck bar: a few inharmonic modes, the higher the sooner gone.

    Args:
        tuned (`bool`): whether it is undercut so that its modes lie two octaves apart, as a marimba's.
        decay (`float`): seconds in which the lowest mode falls to a third.
    """
    modes = _TUNED_BAR_MODES if tuned else _BAR_MODES
    levels = [1.0, *(0.4 / place for place in range(1, len(modes)))]
    return _modes(rng, seconds, pitch_hz * np.array(modes), levels, decay)


def bell(rng: np.random.Generator, seconds: float, pitch_hz: float, *, decay: float = 1.0) -> np.ndarray:
    """Return a bell, with hum, prime, minor third, fifth and nominal."""
    return _modes(rng, seconds, pitch_hz * np.array(_BELL_MODES), _BELL_LEVELS, decay)


def membrane(rng: np.random.Generator, seconds: float, pitch_hz: float, *, decay: float = 0.3) -> np.ndarray:
    """Return a drum: modes of a round membrane, and the stick's noise at its beginning."""
    levels = [1.0, *(0.3 / (1 + place) for place in range(1, len(_MEMBRANE_MODES)))]
    tone = _modes(rng, seconds, pitch_hz * np.array(_MEMBRANE_MODES), levels, decay)
    stick = 0.3 * noise_band(rng, seconds, 300, 3000) * np.exp(-_time(seconds) / 0.02)
    return tone + stick


def formants(  # noqa: PLR0913 - the parameters of a voice
    rng: np.random.Generator,
    seconds: float,
    pitch_hz: Sequence[float],
    resonances_hz: Sequence[float],
    *,
    rough: float = 0.0,
    tremolo_hz: float = 0.0,
    breath: float = 0.02,
) -> np.ndarray:
    """Return a voice: pulses of the vocal folds through the resonances of a throat.

    Args:
        pitch_hz (`Sequence[float]`): the melody, evenly spread over the sound and joined smoothly.
        resonances_hz (`Sequence[float]`): of the throat.
        rough (`float`): irregularity of the pulses, from 0.
        tremolo_hz (`float`): beats of loudness a second, as of a bleat.
        breath (`float`): level of noise among the pulses.
    """
    time = _time(seconds)
    pitch = np.interp(time, np.linspace(0, seconds, len(pitch_hz)), pitch_hz)
    if rough:
        wander = signal.lfilter([0.02], [1, -0.98], rng.normal(size=len(time)))
        pitch = pitch * (1 + rough * wander)
    phase = np.cumsum(pitch) / SAMPLING_RATE
    pulses = np.diff(np.floor(phase), prepend=0.0) + breath * rng.normal(size=len(time))
    voice = sum(_resonate(pulses, center, center / 8 + 40) / (1 + place) for place, center in enumerate(resonances_hz))
    if tremolo_hz:
        voice = voice * (0.6 + 0.4 * np.sin(2 * np.pi * tremolo_hz * time))
    return voice * _envelope(time, 0.04, 0.1)


def sweeps(
    rng: np.random.Generator,
    seconds: float,
    start_hz: float,
    end_hz: float,
    *,
    rate_hz: float = 4.0,
    duty: float = 0.6,
) -> np.ndarray:
    """Return chirps: pure tones that glide from one pitch to another, several a second."""
    time = _time(seconds)
    place = (time * rate_hz + rng.uniform(0, 0.2)) % 1.0
    within = np.clip(place / duty, 0, 1)
    pitch = start_hz * (end_hz / start_hz) ** within
    tone = np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLING_RATE)
    return tone * np.where(place < duty, np.sin(np.pi * within) ** 0.7, 0.0)


def pulse_train(
    rng: np.random.Generator, seconds: float, rate_hz: float, resonance_hz: float, *, ring: float = 0.004
) -> np.ndarray:
    """Return clicks in even time, each ringing for a moment: knocks, rattles, stridulation."""
    samples = round(seconds * SAMPLING_RATE)
    clicks = np.zeros(samples)
    times = np.arange(0, seconds, 1 / rate_hz) + rng.normal(0, 0.03 / rate_hz, size=int(np.ceil(seconds * rate_hz)))
    places = np.clip((times * SAMPLING_RATE).astype(int), 0, samples - 1)
    clicks[places] = rng.uniform(0.7, 1.0, size=len(places))
    kernel_time = np.arange(int(6 * ring * SAMPLING_RATE)) / SAMPLING_RATE
    kernel = np.exp(-kernel_time / ring) * np.sin(2 * np.pi * resonance_hz * kernel_time + 0.5)
    return signal.fftconvolve(clicks, kernel)[:samples]


def noise_band(rng: np.random.Generator, seconds: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Return noise between two frequencies: hisses, wind."""
    band = signal.butter(2, [low_hz, min(high_hz, 0.95 * _NYQUIST)], "bandpass", fs=SAMPLING_RATE, output="sos")
    noise = signal.sosfilt(band, rng.normal(size=round(seconds * SAMPLING_RATE)))
    return noise / np.abs(noise).max()


def buzz(
    rng: np.random.Generator, seconds: float, pitch_hz: float, *, slope: float = 0.7, flutter_hz: float = 12.0
) -> np.ndarray:
    """Return a wing-beat buzz: many partials, of a pitch and loudness that flutter."""
    time = _time(seconds)
    wander = signal.lfilter([0.002], [1, -0.998], rng.normal(size=len(time)))
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.3 * wander)) / SAMPLING_RATE
    partials = range(1, max(1, int(0.8 * _HIGHEST_HZ / pitch_hz)) + 1)
    tone = sum(partial**-slope * np.sin(partial * phase + rng.uniform(0, 2 * np.pi)) for partial in partials)
    return tone * (0.75 + 0.25 * np.sin(2 * np.pi * flutter_hz * time)) * _envelope(time, 0.1, 0.1)


def bursts(sound: np.ndarray, rate_hz: float, duty: float) -> np.ndarray:
    """Return a sound that is let through several times a second only: barks, clucks, quacks."""
    place = (np.arange(len(sound)) / SAMPLING_RATE * rate_hz) % 1.0
    gate = np.where(place < duty, np.sin(np.pi * np.clip(place / duty, 0, 1)) ** 0.5, 0.0)
    return sound * gate


def finish(sound: np.ndarray, rng: np.random.Generator, noise_db: float = -60.0) -> np.ndarray:
    """Return a sound as float32 with a peak between 0.3 and 0.9, faded at both ends, over faint room noise."""
    sound = sound / max(np.abs(sound).max(), 1e-9)
    sound = sound + 10 ** (noise_db / 20) * rng.normal(size=len(sound))
    fade = np.linspace(0, 1, int(0.005 * SAMPLING_RATE))
    sound[: len(fade)] *= fade
    sound[-len(fade) :] *= fade[::-1]
    return (rng.uniform(0.3, 0.9) * sound / np.abs(sound).max()).astype(np.float32)


def _modes(
    rng: np.random.Generator, seconds: float, frequencies_hz: np.ndarray, levels: Sequence[float], decay: float
) -> np.ndarray:
    time = _time(seconds)
    sound = np.zeros_like(time)
    for frequency, level in zip(frequencies_hz, levels, strict=True):
        if frequency < _HIGHEST_HZ:
            lasts = decay * (frequencies_hz[0] / frequency) ** 0.7
            phase = rng.uniform(0, 2 * np.pi)
            sound += level * np.exp(-time / lasts) * np.sin(2 * np.pi * frequency * time + phase)
    return sound * _envelope(time, 0.003, 0.01)


def _resonate(sound: np.ndarray, center_hz: float, bandwidth_hz: float) -> np.ndarray:
    radius = np.exp(-np.pi * bandwidth_hz / SAMPLING_RATE)
    angle = 2 * np.pi * min(center_hz, _HIGHEST_HZ) / SAMPLING_RATE
    return signal.lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)


def _envelope(time: np.ndarray, attack: float, release: float) -> np.ndarray:
    return np.minimum(1.0, np.minimum(time / attack, (time[-1] - time) / release))


def _time(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
