"""A folder in which everything that the documentation names is there, tiny."""

from pathlib import Path

import pytest
import soundfile
from hearing_model import save_hearing_model
from tiny_benchmark import write_benchmark
from tiny_sounds import tone, write_clips

from audiobert.trainers.bank_building import build_bank
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders


@pytest.fixture(scope="session")
def workshop(parts, tmp_path_factory) -> Path:
    """The folder; tests may write into it under names of their own."""
    folder = tmp_path_factory.mktemp("workshop")
    runs = folder / "runs"
    runs.mkdir()
    model = save_hearing_model(parts, tmp_path_factory.mktemp("hearing"))
    for name, target in {
        "runs/audiobert": model,
        "runs/detector": parts.span_detector,
        "runs/clap": parts.clap,
        "runs/audio_encoder": parts.audio_encoder,
        "runs/text_only": parts.language_model,
        "lm": parts.language_model,
    }.items():
        (folder / name).symlink_to(target)
    write_benchmark(folder / "auditorybench")
    write_clips(folder / "clips", per_label=2)
    build_bank(
        folder / "clips",
        load_bank_encoders(parts.clap, parts.audio_encoder),
        runs / "bank",
        BankOptions(embed_audio=True),
    )
    soundfile.write(folder / "my_sound.wav", tone(700), 16_000)
    return folder
