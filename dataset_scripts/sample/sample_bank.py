"""The clips of the sample on disk, with the manifests that training and the audio bank read."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import soundfile
from tqdm import tqdm

from audiobert.modeling_audiobert.atomic_files import staged_file, staged_folder

from .sound_sources import SoundSource, synthesise
from .synthesis import SAMPLING_RATE


__all__ = ["BANK_MANIFEST", "ENCODER_MANIFEST", "clip_id", "clips_of", "write_sample_clips"]

BANK_MANIFEST = "manifest.csv"
ENCODER_MANIFEST = "heard.csv"
LICENCE = "CC0-1.0"
_COLUMNS = ("id", "path", "caption", "label", "licence", "group", "average_pitch_hz")


def clip_id(source: SoundSource, variant: int) -> str:
    """Return the id of a clip: a name for it that can be part of a path."""
    return f"{re.sub(r'[^a-z0-9]+', '-', source.name.lower())}-{variant}"


def clips_of(sources: Sequence[SoundSource], variants: int) -> list[dict[str, str]]:
    """Return one row a clip, as the bank's manifest has it; its label is the name that a sentence would ask for."""
    return [
        {
            "id": clip_id(source, variant),
            "path": f"audio/{clip_id(source, variant)}.wav",
            "caption": source.caption,
            "label": source.name,
            "licence": LICENCE,
            "group": "",
            "average_pitch_hz": "",
        }
        for source in sources
        for variant in range(variants)
    ]


def write_sample_clips(
    folder: str | Path,
    sources: Sequence[SoundSource],
    variants: int,
    seed: int,
    practice: Sequence[SoundSource] = (),
) -> Path:
    """Synthesise every source, and write the clips with two manifests beside them, all or nothing.

    `manifest.csv` describes every clip for CLAP and the audio bank. `heard.csv` is for the audio encoder: labelled by
    what is heard (whose call, how high an instrument), with the pitch that an instrument was synthesised for, and
    without the invented sources, which it must not know either; the practice sounds are in it alone.

    Args:
        variants (`int`): clips of each source.
        seed (`int`): decides every sample of every clip.
        practice (`Sequence[SoundSource]`, *optional*): sounds that only the audio encoder hears, one clip each.

    Returns:
        `Path`: the folder.

    Raises:
        AudioBertInputError: the folder cannot be written to.
    """
    with staged_folder(folder) as stage:
        (stage / "audio").mkdir()
        clips, exercises = clips_of(sources, variants), clips_of(practice, 1)
        made = [(source, variant) for source in sources for variant in range(variants)]
        made += [(source, 0) for source in practice]
        for source, variant in tqdm(made, desc="synthesising clips", unit="clip", disable=None):
            path = stage / "audio" / f"{clip_id(source, variant)}.wav"
            soundfile.write(path, synthesise(source, variant, seed), SAMPLING_RATE, subtype="PCM_16")
        heard = [
            clip | {"label": label, "average_pitch_hz": "" if source.pitch_hz is None else round(source.pitch_hz, 2)}
            for clip, (source, _) in zip([*clips, *exercises], made, strict=True)
            if (label := source.sounds_like) is not None
        ]
        for name, rows in ((BANK_MANIFEST, clips), (ENCODER_MANIFEST, heard)):
            _write_csv(stage / name, rows)
    return Path(folder)


def _write_csv(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with staged_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
