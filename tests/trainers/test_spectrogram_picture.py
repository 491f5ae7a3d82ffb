"""Pictures of sounds."""

import io

import numpy as np
import pytest
from PIL import Image
from tiny_sounds import tone

from audiobert.trainers.spectrogram_picture import spectrogram_png


def brightness(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"), dtype=float)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_higher_tone_is_drawn_higher_at_any_sampling_rate(rate):
    rows = [brightness(spectrogram_png(tone(hertz, rate=rate), rate)).mean(axis=1).argmax() for hertz in (300, 2500)]
    assert rows[1] < rows[0] - 10


def test_time_runs_to_the_right_and_the_size_is_as_asked():
    sound = np.concatenate([np.zeros(8_000, np.float32), tone(1000)])
    picture = brightness(spectrogram_png(sound, 16_000, size=(200, 50)))
    assert picture.shape == (50, 200)
    assert picture[:, 120:190].max() > 2 * picture[:, :80].max()


def test_the_shortest_and_the_silent_sound_have_a_picture():
    assert brightness(spectrogram_png(tone(seconds=0.01), 16_000)).shape == (96, 320)
    assert brightness(spectrogram_png(np.zeros(1600, np.float32), 16_000)).max() < 250
