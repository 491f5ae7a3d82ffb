"""Average pitch: right on sounds whose pitch is known, absent from sounds that have none."""

import numpy as np
import pytest
from tiny_sounds import RATE, noise, tone

from audiobert.dataset_scripts.construction.pitch import ESTIMATORS, measure_pitch
from audiobert.modeling_audiobert.errors import AudioBertInputError


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("hertz", [110.0, 440.0, 1760.0])
def test_a_tone_has_its_own_pitch(estimator, hertz):
    measured = measure_pitch(tone(hertz, seconds=0.6), RATE, estimator)
    cents = 1200 * np.log2(measured.average_pitch_hz / hertz)
    assert abs(cents) < 50
    assert measured.voiced_fraction > 0.8
    assert measured.reason is None


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_noise_has_no_pitch_and_says_why(estimator):
    measured = measure_pitch(noise(0.6), RATE, estimator)
    assert measured.average_pitch_hz is None
    assert measured.median_pitch_hz is None
    assert "of the sounding frames are voiced" in measured.reason


def test_silence_around_a_tone_changes_neither_pitch_nor_voicing():
    sound = tone(440, seconds=0.6)
    padded = np.concatenate([np.zeros(RATE), sound, np.zeros(RATE)]).astype(np.float32)
    alone, surrounded = measure_pitch(sound, RATE, "yin"), measure_pitch(padded, RATE, "yin")
    assert surrounded.average_pitch_hz == pytest.approx(alone.average_pitch_hz, rel=0.02)
    assert surrounded.voiced_fraction > 0.7


def test_the_average_is_over_the_voiced_frames_only():
    half = np.concatenate([tone(500, seconds=0.6), noise(0.6)])
    measured = measure_pitch(half, RATE, "pyin")
    assert measured.average_pitch_hz == pytest.approx(500, rel=0.03)
    assert 0.3 < measured.voiced_fraction < 0.7


def test_pitches_outside_the_range_are_not_found():
    assert measure_pitch(tone(100, seconds=0.6), RATE, "piptrack", fmin_hz=300).average_pitch_hz is None


def test_silence_is_silent():
    assert measure_pitch(np.zeros(RATE, dtype=np.float32), RATE, "yin").reason == "silent"


@pytest.mark.parametrize(
    ("samples", "settings", "message"),
    [
        (np.zeros((2, 100)), {}, r"shape \(2, 100\); give a mono waveform"),
        (np.zeros(0), {}, r"shape \(0,\)"),
        (np.full(100, np.nan), {}, "NaN or infinite"),
        (np.zeros(100), {"estimator": "crepe"}, "no pitch estimator 'crepe'; give one of pyin, yin, piptrack"),
        (np.zeros(100), {"fmin_hz": 500, "fmax_hz": 400}, "from 500 to 400 Hz"),
        (np.zeros(100), {"fmax_hz": 9000}, "fmax up to 8000 Hz"),
    ],
)
def test_what_cannot_be_measured_is_refused(samples, settings, message):
    with pytest.raises(AudioBertInputError, match=message):
        measure_pitch(samples, RATE, **settings)
