"""Tiny audio banks: random embeddings for the model's own behaviour, and sounds on disk for training."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
import torch

from audiobert import AudioBank, AudioBertForMaskedLM


SAMPLING_RATE = 16000


def clip_table(count: int) -> pa.Table:
    """Descriptions of clips `clip-0.wav` …"""
    names = [f"clip-{index}" for index in range(count)]
    return pa.table(
        {
            "id": names,
            "caption": [f"a sound, number {index}" for index in range(count)],
            "label": ["sound"] * count,
            "path": [f"{name}.wav" for name in names],
            "audio": pa.array([None] * count, pa.binary()),
            "licence": ["CC0"] * count,
            "duration_seconds": [0.5] * count,
        }
    )


def random_bank(model: AudioBertForMaskedLM, count: int = 5, seed: int = 4) -> AudioBank:
    """A bank whose keys and values are random, with the fingerprints of the model's encoders."""
    generator = torch.Generator().manual_seed(seed)
    config = model.config
    return AudioBank(
        clip_table(count),
        torch.randn(count, config.clap_config.projection_dim, generator=generator),
        torch.randn(count, config.audio_config.hidden_size, generator=generator),
        config.clap_fingerprint,
        config.audio_encoder_fingerprint,
    )


def write_sounds(folder: Path, count: int = 5) -> Path:
    """Write tones of different pitch, half a second each, named as in `clip_table`."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = np.arange(SAMPLING_RATE // 2) / SAMPLING_RATE
    for index in range(count):
        tone = 0.3 * np.sin(2 * np.pi * 200 * (index + 1) * seconds)
        soundfile.write(folder / f"clip-{index}.wav", tone.astype(np.float32), SAMPLING_RATE)
    return folder
