"""Building an audio bank: resumable, and the same every time."""

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch
from tqdm import tqdm

from audiobert.modeling_audiobert.atomic_files import output_errors, staged_file
from audiobert.modeling_audiobert.audio_bank import CLIP_SCHEMA, AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_loading import check_audio_file
from .bank_encoding import BankEncoders, BankOptions, EncodedBatch, encode_clips
from .clip_sources import Clip, ClipSource, read_clips


__all__ = ["SKIPPED_FILE", "BuildReport", "build_bank"]

logger = logging.getLogger(__name__)

SKIPPED_FILE = "skipped_clips.json"


@dataclass(frozen=True)
class BuildReport:
    """What became of a source.

    Args:
        num_clips (`int`): in the bank.
        skipped (`tuple[dict[str, str], ...]`): `id`, `path` and `reason` of each clip that was left out.
    """

    num_clips: int
    skipped: tuple[dict[str, str], ...]


def build_bank(
    source: str | os.PathLike | ClipSource,
    encoders: BankEncoders,
    output: str | os.PathLike,
    options: BankOptions | None = None,
) -> tuple[AudioBank, BuildReport]:
    """Build an audio bank and save it.

    Every file's header is looked at before the first clip is encoded, and nothing is written into `output` before the
    last is. Batches that are done are kept in a folder beside it, `.<name>.building`: after an interruption, at any
    moment, the same call goes on from there, and the bank is the same bit for bit.

    Args:
        source (`str`, `Path` or `ClipSource`):
            A folder of audio files or a manifest; see `read_clips`.
        encoders (`BankEncoders`):
            See `load_bank_encoders`.
        output (`str` or `Path`):
            The folder of the bank; a bank that stands there is replaced at the end.
        options (`BankOptions`, *optional*).

    Returns:
        The `AudioBank`, its clips in the source's order, and a `BuildReport`, which also stands in the bank's folder
        as `skipped_clips.json`.

    Raises:
        AudioBertInputError: the source is wrong; a clip's file cannot be used (see `load_audio`) and `skip_broken` is
            False, or none can; the output holds something else, or cannot be written.
    """
    options = options or BankOptions()
    source = source if isinstance(source, ClipSource) else read_clips(source)
    output = Path(output)
    _check_output(output)
    broken = _check_headers(source, options)
    usable = [clip for clip in source.clips if clip.id not in broken]
    work = output.with_name(f".{output.name}.building")
    with output_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    batches = encode_clips(usable, source, encoders, work, options)
    for batch in batches:
        broken.update(batch.broken)
    kept = [clip for clip in source.clips if clip.id not in broken]
    if not kept:
        raise AudioBertInputError(
            f"none of the {len(source)} clips of '{source.name}' can be used; the first: {next(iter(broken.values()))}"
        )
    bank = _assemble(kept, source, batches, encoders, options)
    skipped = [clip for clip in source.clips if clip.id in broken]
    report = BuildReport(
        len(bank), tuple({"id": clip.id, "path": clip.path, "reason": broken[clip.id]} for clip in skipped)
    )
    bank.save(output)
    with staged_file(output / SKIPPED_FILE) as temporary:
        temporary.write_text(json.dumps(report.skipped, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(work, ignore_errors=True)
    logger.info("%d clips in %s, %d skipped", report.num_clips, output, len(report.skipped))
    return bank, report


def _assemble(
    clips: Sequence[Clip],
    source: ClipSource,
    batches: Sequence[EncodedBatch],
    encoders: BankEncoders,
    options: BankOptions,
) -> AudioBank:
    seconds = {clip_id: duration for batch in batches for clip_id, duration in batch.seconds.items()}
    rows = [
        {
            "id": clip.id,
            "caption": clip.caption,
            "label": clip.label,
            "path": clip.path,
            "audio": source.file(clip).read_bytes() if options.embed_audio else None,
            "licence": clip.licence,
            "duration_seconds": seconds[clip.id],
        }
        for clip in clips
    ]
    encoded = [batch for batch in batches if batch.seconds]
    return AudioBank(
        pa.Table.from_pylist(rows, schema=CLIP_SCHEMA),
        torch.cat([batch.keys for batch in encoded]),
        torch.cat([batch.values for batch in encoded]),
        *encoders.fingerprints(),
    )


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise AudioBertInputError(f"'{output}' is a file; give a folder for the audio bank.")
    if output.is_dir() and any(output.iterdir()) and not (output / "bank.json").is_file():
        raise AudioBertInputError(
            f"the folder '{output}' holds files that are not an audio bank; give a new or empty folder."
        )


def _check_headers(source: ClipSource, options: BankOptions) -> dict[str, str]:
    """Return, by id, why clips cannot be used, as far as headers tell; where nothing may be skipped, raise the first.

    It takes little time and spares finding the broken file at the end of a long run.
    """
    broken = {}
    for clip in tqdm(source.clips, desc="checking files", unit="clip", disable=None):
        try:
            check_audio_file(source.file(clip), max_duration_seconds=options.max_duration_seconds)
        except AudioBertInputError as error:
            broken[clip.id] = str(error)
    if broken and not options.skip_broken:
        others = f" ({len(broken) - 1} more files cannot be used.)" if len(broken) > 1 else ""
        raise AudioBertInputError(f"{next(iter(broken.values()))}{others} Nothing was written.")
    return broken
