"""The average pitch of many clips: in parallel, and each file only once."""

import hashlib
import importlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .pitch import DEFAULT_ESTIMATOR, FMAX_HZ, FMIN_HZ, METHOD_VERSION, check_pitch_settings, measure_pitch


__all__ = ["PitchSettings", "measure_clips"]

logger = logging.getLogger(__name__)

ReadAudio = Callable[[bytes, int, str], np.ndarray]
_KEPT = ("average_pitch_hz", "median_pitch_hz", "voiced_fraction", "estimator", "fmin_hz", "fmax_hz", "file_sha256")


@dataclass(frozen=True)
class PitchSettings:
    """How pitches are measured.

    Attributes:
        estimator (`str`), fmin_hz, fmax_hz (`float`): as `measure_pitch` takes them.
        sampling_rate (`int`): that files are resampled to, in Hz.
    """

    estimator: str = DEFAULT_ESTIMATOR
    fmin_hz: float = FMIN_HZ
    fmax_hz: float = FMAX_HZ
    sampling_rate: int = 16_000

    def __post_init__(self):
        check_pitch_settings(self.estimator, self.fmin_hz, self.fmax_hz, self.sampling_rate)


@dataclass(frozen=True)
class _Meter:
    """Measures one file; travels to the worker processes."""

    read: ReadAudio
    settings: PitchSettings
    cache: Path | None

    def __call__(self, path: str | Path | None) -> dict:
        try:
            content = _content(path)
        except OSError as error:
            return self._without_pitch(f"'{_name(path)}' cannot be read: {error.strerror or error}")
        digest = hashlib.sha256(content).hexdigest()
        entry = None if self.cache is None else self._entry(digest)
        kept = entry and _read_entry(entry)
        if kept:
            return kept
        try:
            samples = self.read(content, self.settings.sampling_rate, _name(path))
        except AudioBertInputError as error:
            return self._without_pitch(str(error)) | {"file_sha256": digest}
        measured = asdict(self.settings)
        sampling_rate = measured.pop("sampling_rate")
        found = measure_pitch(samples, sampling_rate, **measured).to_dict() | {"file_sha256": digest}
        if entry:
            with staged_file(entry) as temporary:
                temporary.write_text(json.dumps(found), encoding="utf-8")
        return found

    def _entry(self, digest: str) -> Path:
        """The cache file: another one for other bytes, settings, or ways of measuring."""
        parts = [digest, asdict(self.settings), METHOD_VERSION, version("librosa")]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return self.cache / key[:2] / f"{key}.json"

    def _without_pitch(self, reason: str) -> dict:
        """A row for a file that could not be measured; never cached, as the file may be put right."""
        unknown = dict.fromkeys(("average_pitch_hz", "median_pitch_hz"))
        settings = {name: value for name, value in asdict(self.settings).items() if name != "sampling_rate"}
        return unknown | {"voiced_fraction": 0.0} | settings | {"file_sha256": None, "reason": reason, "failed": True}


def measure_clips(
    clips: Sequence[Mapping],
    folder: str | Path,
    read_audio: ReadAudio,
    settings: PitchSettings | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
) -> list[dict]:
    """Return one row a clip, in their order: its average pitch, or why it has none.

    Args:
        clips (`Sequence[Mapping]`):
            Each with `id` and `path`: absolute, relative to `folder`, or what fsspec opens, such as
            `tar://clip.flac::shard.tar`.
        folder (`str` or `Path`):
            Of the audio files.
        read_audio (`Callable`):
            (a file's bytes, sampling rate in Hz, name for errors) → mono waveform;
            `audiobert.trainers.audio_loading.load_audio`. What it raises as `AudioBertInputError` becomes the row's
            `reason`.
        settings (`PitchSettings`, *optional*):
            The estimator and its range.
        cache (`str` or `Path`, *optional*):
            A folder that keeps each measurement under the digest of the file's bytes and the settings, so that a run
            that was stopped goes on, and files that did not change are not measured again.
        workers (`int`, *optional*, defaults to the number of cores):
            Processes.

    Returns:
        `list[dict]`: `id`, `path`, `average_pitch_hz`, `median_pitch_hz` (None for a clip without pitch),
        `voiced_fraction`, `estimator`, `fmin_hz`, `fmax_hz`, `file_sha256`; `reason` for a clip without pitch; and
        `failed`, true for one whose file is missing or cannot be decoded.

    Raises:
        AudioBertInputError: an id stands twice, none of the files can be read, the cache cannot be written, or a
            worker was killed.
    """
    _check_ids(clips)
    workers = os.cpu_count() or 1 if workers is None else workers
    if workers < 1:
        raise AudioBertInputError(f"{workers} workers cannot measure anything; give 1 or more.")
    paths = [_located(folder, clip["path"]) for clip in clips]
    meter = _Meter(read_audio, settings or PitchSettings(), None if cache is None else Path(cache))
    found = dict(tqdm(_measured(meter, paths, workers), total=len(paths), unit="clip", disable=None))
    rows = [{"id": clip["id"], "path": clip["path"], **found[index]} for index, clip in enumerate(clips)]
    failed = [row for row in rows if row.get("failed")]
    if len(failed) == len(rows):
        raise AudioBertInputError(
            f"none of the {len(rows)} clips can be read in '{folder}'; the first: {failed[0]['reason']}. Correct the "
            f"paths, or give the folder that they are relative to."
        )
    pitched = sum(row["average_pitch_hz"] is not None for row in rows)
    logger.info("%d clips: %d with a pitch, %d files that cannot be read", len(rows), pitched, len(failed))
    return rows


def _located(folder: str | Path, path: str | None) -> str | Path | None:
    return path if path is None or "://" in path else Path(folder) / path


def _name(path: str | Path | None) -> str:
    """What messages call a file: without folders, which are the user's own affair in a file that travels."""
    return re.split(r"[/\\]", str(path).partition("::")[0])[-1]


def _content(path: str | Path | None) -> bytes:
    if path is None:
        raise FileNotFoundError("the clip names no file")
    if isinstance(path, Path):
        return path.read_bytes()
    import fsspec

    try:
        with fsspec.open(path) as file:
            return file.read()
    except KeyError as error:  # how fsspec, up to 2026.6, says that a tar file has no such member
        raise FileNotFoundError(f"there is no {error} in it") from error


def _check_ids(clips: Sequence[Mapping]) -> None:
    if not clips:
        raise AudioBertInputError("there are no clips to measure. Give a file or folder with some.")
    seen = set()
    for clip in clips:
        if clip["id"] in seen:
            raise AudioBertInputError(f"the clip id '{clip['id']}' stands twice. Give every clip an id of its own.")
        seen.add(clip["id"])


def _measured(meter: _Meter, paths: Sequence[str | Path | None], workers: int) -> Iterator[tuple[int, dict]]:
    if workers == 1 or len(paths) == 1:
        for index, path in enumerate(paths):
            yield index, meter(path)
        return
    # Here and now: processes that import it for the first time at once mix up what numba compiles and keeps for it,
    # and crash from then on (librosa 0.11, numba 0.68).
    importlib.import_module("librosa.core.pitch")
    importlib.import_module("librosa.sequence")
    with ProcessPoolExecutor(min(workers, len(paths))) as pool:
        waiting = {pool.submit(meter, path): index for index, path in enumerate(paths)}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise AudioBertInputError(
                "a process that measured pitches was killed, perhaps for want of memory. Run again with fewer "
                "workers; what is in the cache is not measured again."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _read_entry(path: Path) -> dict | None:
    """Return what the cache holds; None where it holds nothing, or not what was written there."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        logger.warning("%s is not a kept measurement; measuring again", path)
        return None
    return entry if isinstance(entry, dict) and set(_KEPT) <= set(entry) else None
