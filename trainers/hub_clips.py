"""Clips of datasets in Parquet and the like, in a local folder or on the Hub, streamed by `datasets`."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .clip_sources import Clip
from .clip_streams import (
    UNREACHABLE,
    ClipShard,
    ClipStream,
    RemoteFile,
    StreamedClip,
    UnreachableSourceError,
    identity_digest,
)
from .webdataset_clips import TarClips, TarFile, describe, is_tar


__all__ = ["DatasetClips", "hub_clips"]

# On this machine an OSError is damage too: what Arrow says of a page that it cannot read.
_DAMAGE = (pa.ArrowException, DatasetsError, UnicodeDecodeError)
_ADDRESS = re.compile(r"(?:hf://datasets/)?([\w.-]+/[\w.-]+?)(?:@([^/]+(?:/convert/\w+)?))?(?:/(.+))?")
_IDS = ("id", "clip_id", "fname", "__key__")
_CAPTIONS = ("text", "caption", "captions", "description")
_LABELS = ("label", "labels", "tag", "tags", "category", "class")


class DatasetClips(ClipStream):
    """The clips of a dataset that `datasets` can stream: Parquet, an audio folder with metadata, Arrow and others.

    The sounds are one column: of type `Audio`, or binary, or with `bytes` and `path` inside. Nothing is decoded by
    `datasets` (which would need torchcodec). Captions come from a column text, caption or description, labels from
    label, tag, category or class, licences from license or licence; ids from id, clip_id or fname, or else the split
    and the row's number.

    Args:
        path (`str` or `Path`): a local folder or file, or the id of a dataset on the Hub.
        split (`str`, *optional*): one split; all, one after the other, by default.
        config (`str`, *optional*): which configuration of the dataset.
        revision (`str`, *optional*): of the repository.

    Raises:
        AudioBertInputError: there is no such dataset, split or configuration, it has no column of sounds, or the Hub
            cannot be reached.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        split: str | None = None,
        config: str | None = None,
        revision: str | None = None,
    ):
        self.name = str(path)
        place = Path(path)
        self._is_local = place.exists()
        settings: dict[str, Any] = {"name": config, "revision": revision}
        arguments = (self.name,)
        if place.is_file():
            arguments, settings = ("parquet",), {"data_files": self.name}
        with _dataset_errors(self.name):
            self._builder = datasets.load_dataset_builder(*arguments, **settings)
            found = self._builder.as_streaming_dataset()
        if split is not None and split not in found:
            raise AudioBertInputError(f"the dataset '{self.name}' has no split '{split}': it has {', '.join(found)}.")
        chosen = [split] if split is not None else list(found)
        self._splits = {name: found[name].decode(False) for name in chosen}
        self._columns = {name: _Columns(stream, self.name) for name, stream in self._splits.items()}

    def shards(self) -> list[ClipShard]:
        return [
            ClipShard(
                f"{self.name} ({name} {index})",
                self._identity(name, index, stream.num_shards),
                lambda name=name, index=index: self._walk(name, index),
            )
            for name, stream in self._splits.items()
            for index in range(stream.num_shards)
        ]

    def _identity(self, split: str, index: int, count: int) -> str:
        files = (self._builder.config.data_files or {}).get(split)
        origins = getattr(files, "origin_metadata", None) or []
        if files is not None and len(files) == len(origins) == count:
            return identity_digest(files[index], origins[index])
        return identity_digest(files, origins, split, index)

    def _walk(self, split: str, index: int) -> Iterator[StreamedClip]:
        stream, columns = self._splits[split], self._columns[split]
        place = f"{split}/{index:05d}" if stream.num_shards > 1 else split
        rows = iter(stream.shard(stream.num_shards, index))
        damage = (*_DAMAGE, OSError) if self._is_local else _DAMAGE
        for number in range(1 << 62):
            try:
                row = next(rows, None)
            except damage as error:
                reason = f"shard {index} of split '{split}' of '{self.name}' is damaged after {number} rows ({error})"
                yield StreamedClip(Clip(f"{place}/damaged", place), problem=reason)
                return
            except UNREACHABLE as error:
                raise UnreachableSourceError(self.name, error) from error
            if row is None:
                return
            yield columns.clip(row, f"{place}/{number:08d}")


class _Columns:
    """Which columns of a dataset tell what."""

    def __init__(self, stream: datasets.IterableDataset, name: str):
        features = stream.features
        if features is None:
            first = next(iter(stream), {})
            features = dict.fromkeys(first)
            kinds = {key: isinstance(value, bytes) or _is_sound(value) for key, value in first.items()}
        else:
            kinds = {key: _holds_sound(feature) for key, feature in features.items()}
        self.audio = next((key for key, is_sound in kinds.items() if is_sound), None)
        if self.audio is None:
            raise AudioBertInputError(
                f"the dataset '{name}' has no column of sounds (of type Audio, or binary); it has "
                f"{', '.join(features) or 'none'}."
            )
        self._classes = {key: feature for key, feature in features.items() if isinstance(feature, datasets.ClassLabel)}
        self._id = next((key for key in _IDS if key in features), None)
        self._json = "json" if "json" in features else None

    def clip(self, row: dict[str, Any], place: str) -> StreamedClip:
        """Return the clip of one row; `place` stands for an id where the row has none."""
        sound = row[self.audio]
        path = sound.get("path") if isinstance(sound, dict) else None
        content = sound.get("bytes") if isinstance(sound, dict) else sound
        name = row.get(self._id) if self._id else None
        name = place if name in (None, "") else str(name)
        facts = self._facts(row)
        clip = Clip(name, PurePosixPath(path).name if path else name, **facts)
        if content is None and path is None:
            return StreamedClip(clip, problem=f"row '{place}' holds no sound in its column '{self.audio}'")
        if content is None:
            content = RemoteFile(path) if "://" in path else Path(path)
        return StreamedClip(clip, content)

    def _facts(self, row: dict[str, Any]) -> dict[str, str | None]:
        told = dict(row[self._json]) if self._json and isinstance(row[self._json], dict) else dict(row)
        for key, feature in self._classes.items():
            value = row.get(key)
            told[key] = feature.int2str(value) if isinstance(value, int) and value >= 0 else None
        text = next((told[key] for key in _CAPTIONS if told.get(key)), None)
        label = next((told[key] for key in _LABELS if told.get(key)), None)
        try:
            return describe({**told, "text": text, "label": label})
        except ValueError:  # neither: a dataset of mere sounds, as a folder is
            return {}


def hub_clips(source: str, split: str | None = None, config: str | None = None) -> ClipStream:
    """Return the clips of a dataset on the Hub: its tars where it holds some, else what `datasets` makes of it.

    Args:
        source (`str`):
            "USER/NAME", or "hf://datasets/USER/NAME[@REVISION][/PATTERN]"; the pattern chooses among its tars.
        split (`str`, *optional*), config (`str`, *optional*): see `DatasetClips`; not for tars.

    Raises:
        AudioBertInputError: there is no such dataset, it holds nothing that matches, or the Hub cannot be reached.
    """
    parts = _ADDRESS.fullmatch(source)
    if parts is None:
        raise AudioBertInputError(f"'{source}' is not a dataset of the Hub: write hf://datasets/USER/NAME.")
    repository, revision, pattern = parts.groups()
    with _dataset_errors(repository):
        info = HfApi().dataset_info(repository, revision=revision)
        names = [entry.rfilename for entry in info.siblings or []]
    pattern = (pattern or "**").rstrip("/")
    wanted = [name for name in names if pattern == "**" or fnmatch(name, pattern) or name.startswith(f"{pattern}/")]
    tars = sorted(name for name in wanted if is_tar(name))
    if tars:
        return TarClips([_hub_tar(repository, info.sha, name) for name in tars], source)
    if pattern != "**":
        raise AudioBertInputError(f"no tar of the dataset '{repository}' matches '{pattern}' ({len(names)} files).")
    return DatasetClips(repository, split, config, info.sha)


def _hub_tar(repository: str, commit: str, name: str) -> TarFile:
    address = f"datasets/{repository}@{commit}/{name}"
    return TarFile(name, identity_digest(address), lambda: HfFileSystem().open(address, "rb"))


@contextmanager
def _dataset_errors(name: str) -> Iterator[None]:
    """Say what is wrong with a dataset, and no more than is known."""
    try:
        yield
    except GatedRepoError as error:
        raise AudioBertInputError(
            f"the dataset '{name}' is gated: ask for access on its Hub page and log in with 'hf auth login'."
        ) from error
    except (RepositoryNotFoundError, DatasetNotFoundError, RevisionNotFoundError) as error:
        raise AudioBertInputError(
            f"'{name}' is neither a file or folder here, nor does the Hub know such a public dataset or revision. "
            f"Check the spelling; log in with 'hf auth login' if it is private."
        ) from error
    except HFValidationError as error:
        raise AudioBertInputError(f"'{name}' is neither a file or folder here nor a valid Hub id.") from error
    except (DatasetsError, ValueError, pa.ArrowException) as error:
        raise AudioBertInputError(f"the dataset '{name}' cannot be read: {str(error).splitlines()[0]}") from error
    except UNREACHABLE as error:
        raise AudioBertInputError(
            f"'{name}' is neither a file nor a folder here, and the Hub could not be reached to look for it "
            f"({type(error).__name__}). Give a folder, manifest or tar, or try again with a network."
        ) from error


def _holds_sound(feature: Any) -> bool:
    if isinstance(feature, datasets.Audio):
        return True
    if isinstance(feature, datasets.Value):
        return feature.dtype in ("binary", "large_binary")
    return isinstance(feature, dict) and {"bytes", "path"} <= set(feature)


def _is_sound(value: Any) -> bool:
    return isinstance(value, dict) and {"bytes", "path"} <= set(value)
