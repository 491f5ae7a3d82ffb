"""Reading audio files, and what is said of those that hold no clip."""

import os

import numpy as np
import pytest
import soundfile
from tiny_sounds import RATE, tone

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audio_loading import check_audio_file, load_audio, read_sound


FORMATS = {
    "wav": {},
    "flac": {},
    "ogg": {},
    "mp3": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


def loudest_hertz(waveform: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.fft.rfftfreq(len(waveform), 1 / rate)[spectrum.argmax()])


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_mono_waveform_from_a_file_and_from_its_bytes(tmp_path, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(440, seconds=1.0), RATE, **FORMATS[suffix])
    waveform = load_audio(path, RATE)
    assert waveform.dtype == np.float32
    assert waveform.shape == (RATE,)
    assert abs(loudest_hertz(waveform, RATE) - 440) < 2
    assert np.array_equal(load_audio(path.read_bytes(), RATE), waveform)
    assert check_audio_file(path) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_a_file_of_another_rate_is_resampled_with_its_pitch_and_length_kept(tmp_path, rate):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(1000, seconds=1.0, rate=rate), rate)
    waveform = load_audio(path, RATE)
    assert abs(len(waveform) - RATE) <= 1
    assert abs(loudest_hertz(waveform, RATE) - 1000) < 2
    assert read_sound(path).sampling_rate == rate


def test_channels_are_mixed_and_a_pair_that_cancels_out_is_still_heard(tmp_path):
    left, right = tone(440), tone(880)
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    assert np.allclose(load_audio(tmp_path / "two.wav", RATE), (left + right) / 2, atol=1e-6)
    soundfile.write(tmp_path / "opposite.wav", np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    assert np.array_equal(load_audio(tmp_path / "opposite.wav", RATE), left)


def write_wav(path, samples, rate=RATE):
    soundfile.write(path, samples, rate, subtype="FLOAT")


def write_hour(path):
    with soundfile.SoundFile(path, "w", 8000, 1, subtype="PCM_U8") as file:
        for _ in range(60):
            file.write(np.tile(tone(200, 1.0, 8000), 60))


def spoilt(value):
    samples = tone()
    samples[7] = value
    return samples


BROKEN = {
    "missing": (lambda path: None, "missing"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "a folder": (lambda path: path.mkdir(), "not a file"),
    "text": (lambda path: path.write_text("no sound at all " * 50), "cannot be decoded"),
    "all zeros": (lambda path: write_wav(path, np.zeros(RATE, np.float32)), r"silent \(all zeros\)"),
    "rounding noise": (lambda path: write_wav(path, tone() * 1e-4), "silent .* below full scale"),
    "NaN": (lambda path: write_wav(path, spoilt(np.nan)), "1 samples that are not finite"),
    "infinite": (lambda path: write_wav(path, spoilt(np.inf)), "1 samples that are not finite"),
    "integer scale": (lambda path: write_wav(path, tone() * 32768), "full scale is 1.0"),
    "0.05 s": (lambda path: write_wav(path, tone(seconds=0.05)), "lasts 0.05 s; .* at least 0.1 s"),
    "an hour": (write_hour, "lasts 3600 s; a clip may last 600 s"),
    "a rate of 50 Hz": (lambda path: write_wav(path, tone(), 50), "sampling rate of 50 Hz"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_without_a_clip_is_named_with_what_is_wrong_and_what_to_do(tmp_path, kind):
    write, reason = BROKEN[kind]
    path = tmp_path / "clip.wav"
    write(path)
    with pytest.raises(AudioBertInputError, match=f"clip.wav' .*{reason}.*"):
        load_audio(path, RATE)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_of_any_format_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, tone(seconds=3.0), RATE, **FORMATS[suffix])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioBertInputError, match=f"clip.{suffix}' .*truncated"):
        load_audio(path, RATE)


def test_an_hour_long_file_is_refused_without_reading_it(tmp_path):
    write_hour(tmp_path / "hour.wav")
    with pytest.raises(AudioBertInputError, match="lasts 3600 s"):
        check_audio_file(tmp_path / "hour.wav")
    assert load_audio(tmp_path / "hour.wav", 8000, max_duration_seconds=4000).shape == (8000 * 3600,)


def test_a_length_that_the_header_does_not_tell_is_watched_while_reading(tmp_path):
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(seconds=2.0), RATE)
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[4:8] = content[data + 4 : data + 8] = b"\xff\xff\xff\xff"  # as ffmpeg writes into a pipe
    path.write_bytes(content)
    assert load_audio(path, RATE).shape == (2 * RATE,)
    with pytest.raises(AudioBertInputError, match="a clip may last 1 s"):
        load_audio(path, RATE, max_duration_seconds=1.0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file: run the tests as another user")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    soundfile.write(tmp_path / "clip.wav", tone(), RATE)
    (tmp_path / "clip.wav").chmod(0)
    with pytest.raises(AudioBertInputError, match=r"clip\.wav' cannot be read"):
        load_audio(tmp_path / "clip.wav", RATE)
