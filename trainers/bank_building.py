"""Building an audio bank, and adding clips to one: resumable, and the same every time."""

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import PartialState
from filelock import FileLock, Timeout

from audiobert.modeling_audiobert.atomic_files import is_stage, output_errors, staged_folder, undo_interrupted
from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.bank_index import INDEX_FOLDER
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .bank_assembly import SKIPPED_FILE, ExistingBank, LeftOut, chunk_pieces, select_clips, write_bank
from .bank_chunks import ChunkFolder, Worker
from .bank_encoding import BankEncoders, BankOptions
from .bank_speed import SpeedMeter, combined_speed
from .caption_keys import with_caption_keys
from .clip_opening import open_clips
from .clip_sources import ClipSource
from .clip_streams import ClipStream


__all__ = ["SKIPPED_FILE", "BuildReport", "add_clips", "build_bank", "remove_clips"]

logger = logging.getLogger(__name__)

# A process that is done with its share waits for the others; the default of half an hour may be too little.
_PATIENCE = timedelta(days=7)
_LOCK = ".lock"


@dataclass(frozen=True)
class BuildReport:
    """What became of a source.

    Args:
        num_clips (`int`): that were put into the bank.
        skipped (`tuple[dict[str, str], ...]`): `id`, `path` and `reason` of each clip that cannot be used.
        duplicates (`tuple[dict[str, str], ...]`): the same of each clip that was left out because another one has the
            same samples; that one's id is `duplicate_of`.
        speed (`dict`): see `combined_speed`; of what this run computed, not of what an interrupted one had.
        is_main (`bool`): False in the other processes of `accelerate launch`, whose report holds the number only.
    """

    num_clips: int
    skipped: tuple[dict[str, str], ...]
    duplicates: tuple[dict[str, str], ...] = ()
    speed: dict[str, Any] = field(default_factory=dict)
    is_main: bool = True


def build_bank(
    source: str | os.PathLike | ClipSource | ClipStream,
    encoders: BankEncoders,
    output: str | os.PathLike,
    options: BankOptions | None = None,
) -> tuple[AudioBank, BuildReport]:
    """Build an audio bank and save it.

    Nothing is written into `output` before the last clip is encoded. Clips that are done are kept in a folder beside
    it, `.<name>.building`: after an interruption, at any moment, the same call goes on from there, and the bank is
    the same bit for bit. Under `accelerate launch`, the processes share the work, and the bank is the same too.

    Args:
        source (`str`, `Path`, `ClipSource` or `ClipStream`):
            See `open_clips`. It is read as it is needed, never as a whole.
        encoders (`BankEncoders`):
            See `load_bank_encoders`.
        output (`str` or `Path`):
            The folder of the bank; a bank that stands there is replaced at the end.
        options (`BankOptions`, *optional*).

    Returns:
        The `AudioBank`, its clips in the source's order, and a `BuildReport`. What was left out also stands in the
        bank's folder, in `skipped_clips.json`.

    Raises:
        AudioBertInputError: the source is wrong or cannot be reached; none of its clips can be used, or, with
            `options.strict`, one cannot; the output holds something else, or cannot be written.
    """
    output = Path(output)
    _check_output(output)
    stream = open_clips(source)
    with _locked(output) as work:
        return _build(stream, encoders, output, options or BankOptions(), work)


def add_clips(
    bank_folder: str | os.PathLike,
    source: str | os.PathLike | ClipSource | ClipStream,
    encoders: BankEncoders,
    options: BankOptions | None = None,
) -> tuple[AudioBank, BuildReport]:
    """Add the clips of a source to a bank, behind those that it has; only the new ones are encoded.

    A bank that is keyed by captions gets such keys for them too, and leaves out what has no caption.

    Interrupted at any moment, the same call goes on; the bank is as it was until the end.

    Args:
        bank_folder (`str` or `Path`): of the bank.
        source (`str`, `Path`, `ClipSource` or `ClipStream`): see `open_clips`.
        encoders (`BankEncoders`): those that the bank was built with.
        options (`BankOptions`, *optional*).

    Returns:
        The whole bank, and a report on the source.

    Raises:
        AudioBertInputError: there is no such bank, other encoders made it, it has a clip with the same id, or as in
            `build_bank`.
    """
    output = _local_bank(bank_folder)
    stream = open_clips(source)
    with _locked(output) as work:
        existing = ExistingBank(output)
        _check_fingerprints(existing, encoders, output)
        return _build(stream, encoders, output, options or BankOptions(), work, existing)


def remove_clips(bank_folder: str | os.PathLike, ids: list[str]) -> AudioBank:
    """Remove clips from a bank; the others keep their order, keys and values, and nothing is encoded.

    Args:
        bank_folder (`str` or `Path`): of the bank.
        ids (`list[str]`): of the clips, as `bank search` prints them with `--json`.

    Returns:
        `AudioBank`: the bank without them.

    Raises:
        AudioBertInputError: there is no such bank, it has no clip with one of the ids, or it cannot be written to.
    """
    output = _local_bank(bank_folder)
    with _locked(output):
        existing = ExistingBank(output)
        present, removed = set(existing.ids()), set(ids)
        unknown = sorted(removed - present)
        if unknown:
            others = f" (nor {len(unknown) - 1} more of those given)" if len(unknown) > 1 else ""
            raise AudioBertInputError(
                f"the audio bank '{output}' has no clip '{unknown[0]}'{others}; nothing was removed. \"audiobert bank "
                f'search" with --json tells ids.'
            )
        fingerprints = existing.bank.key_fingerprint, existing.bank.value_fingerprint
        count = len(present) - len(removed)
        with _replacing(output) as stage:
            pieces = existing.pieces(without=removed)
            write_bank(stage, pieces, count, fingerprints, existing.left_out(), existing.bank.key_source)
    logger.info("%d clips removed from %s, %d left", len(removed), output, count)
    return AudioBank.load(output)


def _build(
    stream: ClipStream,
    encoders: BankEncoders,
    output: Path,
    options: BankOptions,
    work: Path,
    existing: ExistingBank | None = None,
) -> tuple[AudioBank, BuildReport]:
    """Encode a source in `work` and write it into `output`, behind the clips that are there if `existing` is given."""
    if options.strict:
        _refuse_broken(stream, options)
    state = _processes()
    worker = Worker(state.process_index, state.num_processes)
    meter = SpeedMeter()
    ids = frozenset(existing.ids()) if existing else frozenset()
    chunks = ChunkFolder(work, stream, encoders.to(state.device), options, ids)
    chunks.fill(meter, worker)
    meter.save(work / f"speed-{worker.index}.json")
    state.wait_for_everyone()
    report = None
    if state.is_main_process:
        speeds = [json.loads((work / f"speed-{index}.json").read_text("utf-8")) for index in range(worker.count)]
        report = _write(chunks, output, existing, combined_speed(speeds))
        shutil.rmtree(work, ignore_errors=True)
        logger.info("%d clips in %s, %d skipped", report.num_clips, output, len(report.skipped))
    state.wait_for_everyone()
    bank = AudioBank.load(output)
    return bank, report or BuildReport(len(bank) - len(ids), (), is_main=False)


def _write(chunks: ChunkFolder, output: Path, existing: ExistingBank | None, speed: dict[str, Any]) -> BuildReport:
    files = chunks.files()
    ids, contents = (existing.ids(), existing.contents()) if existing else ([], {})
    key_source = existing.bank.key_source if existing else "audio"
    masks, left_out = select_clips(files, chunks.options.keep_duplicates, ids, contents, key_source)
    count = sum(int(mask.sum()) for mask in masks)
    _check_selected(chunks, count, left_out)

    def pieces() -> Iterator:
        if existing:
            yield from existing.pieces()
        added = chunk_pieces(files, masks)
        if key_source == "captions":
            added = with_caption_keys(added, chunks.encoders.clap, chunks.encoders.clap_tokenizer)
        yield from added

    entries = [*(existing.left_out() if existing else []), *left_out.entries]
    with _replacing(output) as stage:
        write_bank(stage, pieces(), len(ids) + count, chunks.fingerprints, entries, key_source)
    return BuildReport(count, tuple(left_out.skipped), tuple(left_out.duplicates), speed)


@contextmanager
def _replacing(output: Path) -> Iterator[Path]:
    """Yield a folder whose files take the place of the bank's; its index goes, being that of other keys."""
    with staged_folder(output) as stage:
        yield stage
    index = output / INDEX_FOLDER
    if index.is_dir():
        shutil.rmtree(index)
        logger.warning(
            "the audio bank '%s' had an index, made from the keys that it had before; it was removed, and the bank is "
            'searched exactly. Make it again with "audiobert bank index %s".',
            output,
            output,
        )


def _check_selected(chunks: ChunkFolder, count: int, left_out: LeftOut) -> None:
    name, skipped = chunks.stream.name, left_out.skipped
    if skipped and chunks.options.strict:
        raise _refusal(skipped[0]["reason"], len(skipped))
    if not count and skipped:
        total = len(left_out.entries)
        raise AudioBertInputError(
            f"none of the {total} clips of '{name}' can be used; the first: {skipped[0]['reason']}"
        )
    if not count and left_out.duplicates:
        raise AudioBertInputError(f"all sounds of '{name}' are in the audio bank already; nothing was changed.")
    if not count:
        raise AudioBertInputError(f"'{name}' holds no clip: give a source with audio files in it.")


def _refuse_broken(stream: ClipStream, options: BankOptions) -> None:
    """Look at every file's header: it takes little time and spares finding the broken file after a long run."""
    found = stream.check(options.max_duration_seconds)
    if found:
        raise _refusal(*found)


def _refusal(reason: str, count: int) -> AudioBertInputError:
    others = f" ({count - 1} more clips cannot be used.)" if count > 1 else ""
    return AudioBertInputError(f"{reason}{others} Nothing was written.")


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise AudioBertInputError(f"'{output}' is a file; give a folder for the audio bank.")
    with output_errors(output):
        if output.is_dir() and not os.access(output, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(output))
        others = output.is_dir() and any(not is_stage(entry) for entry in output.iterdir())
    if others and not any(output.glob("bank.json")) and not any(output.glob("*/old/bank.json")):
        raise AudioBertInputError(
            f"the folder '{output}' holds files that are not an audio bank; give a new or empty folder."
        )


def _local_bank(folder: str | os.PathLike) -> Path:
    if not Path(folder).is_dir():
        raise AudioBertInputError(
            f"there is no audio bank in a local folder '{folder}': only those can be changed. Build one with "
            f'"audiobert bank build".'
        )
    return Path(folder)


def _check_fingerprints(existing: ExistingBank, encoders: BankEncoders, output: Path) -> None:
    of_bank = existing.bank.key_fingerprint, existing.bank.value_fingerprint
    kinds = (("keys", "CLAP"), ("values", "audio encoder"))
    for (what, encoder), made_by, given in zip(kinds, of_bank, encoders.fingerprints(), strict=True):
        if made_by != given:
            raise AudioBertInputError(
                f"the {what} of the audio bank '{output}' were made by {encoder} {made_by}, but the one given is "
                f"{given}; they do not belong into one bank. Give the {encoder} that it was built with, or build it "
                f'again with "audiobert bank build".'
            )


def _processes() -> PartialState:
    return PartialState(timeout=_PATIENCE)


@contextmanager
def _locked(output: Path) -> Iterator[Path]:
    """Yield the folder for what is done so far, with other builds kept out and an interrupted change undone."""
    work = output.with_name(f".{output.absolute().name}.building")
    state = _processes()
    with output_errors(work):
        work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work / _LOCK)
    try:
        if state.is_main_process:
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise AudioBertInputError(
                    f"another process is changing the audio bank '{output}': wait for it, or stop it."
                ) from error
            undo_interrupted(output)
        state.wait_for_everyone()
        yield work
    finally:
        if lock.is_locked and [entry.name for entry in work.glob("*")] == [_LOCK]:
            shutil.rmtree(work, ignore_errors=True)
        lock.release()
