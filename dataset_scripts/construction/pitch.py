"""The average pitch of a sound (arXiv 2409.08199, section II-A), by one of librosa's estimators."""

from dataclasses import asdict, dataclass

import numpy as np

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = [
    "DEFAULT_ESTIMATOR",
    "ESTIMATORS",
    "FMAX_HZ",
    "FMIN_HZ",
    "METHOD_VERSION",
    "MIN_VOICED_FRACTION",
    "PitchMeasurement",
    "check_pitch_settings",
    "measure_pitch",
]

ESTIMATORS = ("pyin", "yin", "piptrack")
DEFAULT_ESTIMATOR = "pyin"
# From the lowest to the highest key of a piano; what a sampling rate of 16 kHz can carry reaches further up, but
# estimators then take the hiss of a recording for its pitch.
FMIN_HZ, FMAX_HZ = 27.5, 4186.0
MIN_VOICED_FRACTION = 0.1
# To be raised with every change of the numbers: kept measurements of another version are not used.
METHOD_VERSION = 1
# Frames this much below the loudest one are silence.
_SILENCE_DB = 40.0
# The correlation of a frame with itself one period later, from which on it counts as voiced.
_MIN_PERIODICITY = 0.5
# In semitones; the default of librosa, 0.1, costs several times the time.
_PYIN_RESOLUTION = 0.2


@dataclass(frozen=True)
class PitchMeasurement:
    """What was measured of one sound.

    Attributes:
        average_pitch_hz (`float`, *optional*): mean pitch of the voiced frames; None for a sound without pitch.
        median_pitch_hz (`float`, *optional*): their median, which single frames an octave off do not move.
        voiced_fraction (`float`): the share of the sounding frames, 0 to 1, that have a pitch.
        estimator (`str`): one of `ESTIMATORS`.
        fmin_hz, fmax_hz (`float`): the range in which pitches were looked for.
        reason (`str`, *optional*): why there is no pitch.
    """

    average_pitch_hz: float | None
    median_pitch_hz: float | None
    voiced_fraction: float
    estimator: str
    fmin_hz: float
    fmax_hz: float
    reason: str | None = None

    def to_dict(self) -> dict:
        """Return the fields by name; `reason` only where there is one."""
        return {name: value for name, value in asdict(self).items() if name != "reason" or value is not None}


def measure_pitch(
    samples: np.ndarray,
    sampling_rate: int,
    estimator: str = DEFAULT_ESTIMATOR,
    fmin_hz: float = FMIN_HZ,
    fmax_hz: float = FMAX_HZ,
) -> PitchMeasurement:
    """Return the average pitch of a sound over its voiced frames.

    A frame is voiced if it is not silent (within 40 dB of the loudest one), correlates with itself one period later by
    at least 0.5, and, for pYIN, is so by that method's own decision, which alone takes rain for voiced.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`):
            The mono waveform, of any floating dtype.
        sampling_rate (`int`):
            In Hz.
        estimator (`str`, *optional*, defaults to the one with the least error, see `benchmarks/pitch_estimators.py`):
            `"pyin"`, `"yin"`, or `"piptrack"`: the strongest spectral peak, which can be an overtone.
        fmin_hz, fmax_hz (`float`, *optional*, default to 27.5 and 4186.0):
            The range in which pitches are looked for; `fmax_hz` is at most half the sampling rate.

    Returns:
        `PitchMeasurement`. Where fewer than 10 % of the sounding frames are voiced, it has no pitch, and a reason.

    Raises:
        AudioBertInputError: no such estimator or range, or the samples are not a finite mono waveform.
    """
    samples = _checked_samples(samples)
    check_pitch_settings(estimator, fmin_hz, fmax_hz, sampling_rate)
    frame_length = 1 << int(np.ceil(np.log2(3 * sampling_rate / fmin_hz)))  # three periods of the lowest pitch
    pitch_hz, voiced = _TRACKERS[estimator](samples, sampling_rate, (fmin_hz, fmax_hz), frame_length)
    sounding = _sounding_frames(samples, frame_length, len(pitch_hz))
    periodicity = _periodicity(samples, np.where(voiced, pitch_hz, fmax_hz), sampling_rate, frame_length)
    voiced &= sounding & (periodicity >= _MIN_PERIODICITY)
    fraction = float(voiced.sum() / sounding.sum()) if sounding.any() else 0.0
    settings = (round(fraction, 4), estimator, float(fmin_hz), float(fmax_hz))
    if fraction < MIN_VOICED_FRACTION:
        reason = (
            f"{100 * fraction:.1f} % of the sounding frames are voiced, fewer than {100 * MIN_VOICED_FRACTION:g} %"
        )
        return PitchMeasurement(None, None, *settings, reason if sounding.any() else "silent")
    found = pitch_hz[voiced].astype(np.float64)
    return PitchMeasurement(round(float(found.mean()), 3), round(float(np.median(found)), 3), *settings)


def check_pitch_settings(estimator: str, fmin_hz: float, fmax_hz: float, sampling_rate: int) -> None:
    """Check what `measure_pitch` takes beside the samples.

    Raises:
        AudioBertInputError: no such estimator, or the range is empty or beyond half the sampling rate.
    """
    if estimator not in ESTIMATORS:
        raise AudioBertInputError(f"there is no pitch estimator '{estimator}'; give one of {', '.join(ESTIMATORS)}.")
    if not 1 <= fmin_hz < fmax_hz <= sampling_rate / 2:
        raise AudioBertInputError(
            f"pitches from {fmin_hz:g} to {fmax_hz:g} Hz cannot be looked for at a sampling rate of {sampling_rate} "
            f"Hz: give fmin from 1 Hz, below fmax, and fmax up to {sampling_rate / 2:g} Hz."
        )


def _checked_samples(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or not len(samples):
        raise AudioBertInputError(f"samples have the shape {samples.shape}; give a mono waveform (num_samples,).")
    if not np.isfinite(samples).all():
        raise AudioBertInputError("samples hold NaN or infinite values; decode the sound again.")
    return samples


def _pyin(samples, sampling_rate, pitch_range, frame_length) -> tuple[np.ndarray, np.ndarray]:
    import librosa

    pitch_hz, voiced, _ = librosa.pyin(
        samples,
        fmin=pitch_range[0],
        fmax=pitch_range[1],
        sr=sampling_rate,
        frame_length=frame_length,
        resolution=_PYIN_RESOLUTION,
    )
    return pitch_hz, voiced & np.isfinite(pitch_hz)


def _yin(samples, sampling_rate, pitch_range, frame_length) -> tuple[np.ndarray, np.ndarray]:
    import librosa

    pitch_hz = librosa.yin(
        samples, fmin=pitch_range[0], fmax=pitch_range[1], sr=sampling_rate, frame_length=frame_length
    )
    return pitch_hz, np.full(len(pitch_hz), True)


def _piptrack(samples, sampling_rate, pitch_range, frame_length) -> tuple[np.ndarray, np.ndarray]:
    import librosa

    pitches, magnitudes = librosa.piptrack(
        y=samples,
        sr=sampling_rate,
        n_fft=frame_length,
        hop_length=frame_length // 4,
        fmin=pitch_range[0],
        fmax=pitch_range[1],
    )  # both (num_bins, num_frames)
    pitch_hz = np.take_along_axis(pitches, magnitudes.argmax(axis=0)[None], axis=0)[0]
    return pitch_hz, pitch_hz > 0  # 0 where a frame has no peak in the range


def _periodicity(samples, pitch_hz, sampling_rate, frame_length) -> np.ndarray:
    """Return each frame's correlation with itself one period later, -1 to 1."""
    import librosa

    frames = _frames(samples, frame_length)[:, : len(pitch_hz)]  # (frame_length, num_frames)
    frames = frames - frames.mean(axis=0)
    correlation = librosa.autocorrelate(frames, axis=0)
    lags = np.clip(sampling_rate / pitch_hz, 1, frame_length // 2)
    # The true maximum lies between two samples: take the higher one, corrected for the shorter overlap.
    near = [np.floor(lags).astype(int), np.ceil(lags).astype(int)]
    columns = np.arange(len(pitch_hz))
    values = [correlation[lag, columns] * frame_length / (frame_length - lag) for lag in near]
    energy = np.maximum(correlation[0], np.finfo(np.float32).tiny)
    return np.maximum(*values) / energy


def _sounding_frames(samples: np.ndarray, frame_length: int, num_frames: int) -> np.ndarray:
    energy = np.square(_frames(samples, frame_length)[:, :num_frames], dtype=np.float64).mean(axis=0)
    return (energy > 0) & (energy >= energy.max() * 10 ** (-_SILENCE_DB / 10))


def _frames(samples: np.ndarray, frame_length: int) -> np.ndarray:
    """Return the frames, centred as librosa's estimators have them: `(frame_length, num_frames)`."""
    import librosa

    padded = np.pad(samples, frame_length // 2)
    return librosa.util.frame(padded, frame_length=frame_length, hop_length=frame_length // 4)


_TRACKERS = {"pyin": _pyin, "yin": _yin, "piptrack": _piptrack}
