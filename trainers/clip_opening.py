"""One way in for every kind of clip source."""

import os
import re
from pathlib import Path

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_loading import AUDIO_SUFFIXES
from .clip_sources import MANIFEST_NAMES, ClipSource, read_clips
from .clip_streams import ClipStream, FileClips
from .hub_clips import DatasetClips, hub_clips
from .webdataset_clips import expand_tars, is_tar


__all__ = ["open_clips"]


def open_clips(
    source: str | os.PathLike | ClipSource | ClipStream, split: str | None = None, config: str | None = None
) -> ClipStream:
    """Return the clips of a source, of whatever kind.

    Args:
        source (`str`, `Path`, `ClipSource` or `ClipStream`):
            - a manifest (`.csv` or `.jsonl`), or a folder of audio files: see `read_clips`;
            - a WebDataset tar, a folder of tars, a glob ("train/*.tar") or brace pattern ("{000..511}.tar");
            - a `.parquet` file, or a folder of them, as datasets are exported and downloaded;
            - "USER/NAME" or "hf://datasets/USER/NAME": a dataset on the Hub, streamed; see `hub_clips`.
        split (`str`, *optional*): one split of a dataset; all by default.
        config (`str`, *optional*): one configuration of a dataset.

    Raises:
        AudioBertInputError: there is no such source, it holds no clip, or the Hub cannot be reached.
    """
    stream = _open(source, split, config)
    if (split or config) and not isinstance(stream, DatasetClips):
        raise AudioBertInputError(
            f"'{stream.name}' has no splits or configurations, only datasets in Parquet and the like have: name the "
            f"files that are meant instead of a split."
        )
    return stream


def _open(source: str | os.PathLike | ClipSource | ClipStream, split: str | None, config: str | None) -> ClipStream:
    if isinstance(source, ClipStream):
        return source
    if isinstance(source, ClipSource):
        return FileClips(source)
    text, path = str(source), Path(source)
    if path.is_dir():
        return _open_folder(path, split, config)
    if path.suffix.lower() == ".parquet" and path.is_file():
        return DatasetClips(path, split)
    if is_tar(path) and not text.startswith("hf://"):
        return expand_tars(text)
    if path.is_file():
        return FileClips(read_clips(path))
    if text.startswith("hf://") or re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w.-]+)?", text):
        return hub_clips(text, split, config)
    raise AudioBertInputError(
        f"there is no clip source '{source}': give a folder of audio files, tars or Parquet files, a manifest (.csv "
        f"or .jsonl), a tar, or a dataset on the Hub (USER/NAME)."
    )


def _open_folder(folder: Path, split: str | None, config: str | None) -> ClipStream:
    if any((folder / name).is_file() for name in MANIFEST_NAMES):
        return FileClips(read_clips(folder))
    kinds = _kinds(folder)
    if len(kinds) > 1:
        raise AudioBertInputError(
            f"the folder '{folder}' holds {' and '.join(sorted(kinds))}: name those that are meant, by a pattern or a "
            f"folder of their own."
        )
    if kinds == {"tar files"}:
        return expand_tars(folder)
    return DatasetClips(folder, split, config) if kinds == {"Parquet files"} else FileClips(read_clips(folder))


def _kinds(folder: Path) -> set[str]:
    kinds = set()
    for file in folder.rglob("*"):
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        suffix = file.suffix.lower()
        if is_tar(file):
            kinds.add("tar files")
        elif suffix == ".parquet":
            kinds.add("Parquet files")
        elif suffix in AUDIO_SUFFIXES:
            kinds.add("audio files")
    return kinds
