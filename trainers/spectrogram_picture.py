"""A picture of a sound, to be shown beside its player."""

import io

import numpy as np
import torch
from PIL import Image
from transformers.audio_utils import mel_filter_bank


__all__ = ["spectrogram_png"]

_NUM_MEL_BINS = 64
_RANGE_DB = 70.0
# From silence to loud: a path through colour that grows steadily brighter, so that it reads in grey too.
_COLOURS = np.array([(13, 8, 35), (69, 20, 110), (160, 44, 110), (226, 98, 68), (251, 178, 60), (252, 250, 190)])


def spectrogram_png(
    waveform: np.ndarray, sampling_rate: int, size: tuple[int, int] = (320, 96), max_hz: float = 8000.0
) -> bytes:
    """Return a mel spectrogram as a PNG file's bytes: time to the right, pitch upwards, 70 dB from dark to bright.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): float32, mono.
        sampling_rate (`int`): in Hz.
        size (`tuple[int, int]`, *optional*, defaults to `(320, 96)`): width and height in pixels.
        max_hz (`float`, *optional*, defaults to 8000.0): the upper edge, or half the sampling rate if that is less.
    """
    window, hop = 2 ** round(np.log2(0.032 * sampling_rate)), max(1, sampling_rate // 100)
    filters = mel_filter_bank(
        window // 2 + 1, _NUM_MEL_BINS, 0.0, min(max_hz, sampling_rate / 2), sampling_rate, norm="slaney"
    )  # (num_frequencies, num_mel_bins)
    samples = torch.from_numpy(np.asarray(waveform, dtype=np.float32))
    transform = torch.stft(
        samples, window, hop, window=torch.hann_window(window), pad_mode="constant", return_complex=True
    )
    mel = filters.T @ transform.abs().square().double().numpy()  # (num_mel_bins, num_frames)
    decibels = 10 * np.log10(np.maximum(mel, 1e-20) / max(mel.max(), 1e-20))
    loudness = np.clip(1 + decibels[::-1] / _RANGE_DB, 0, 1)
    stops = np.linspace(0, 1, len(_COLOURS))
    pixels = np.stack([np.interp(loudness, stops, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    picture = Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()
