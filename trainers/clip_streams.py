"""Clips as they come out of a source, one after the other: their descriptions at once, their sounds when asked for."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
from aiohttp import ClientError
from huggingface_hub.errors import HfHubHTTPError

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_loading import check_audio_file
from .clip_sources import Clip, ClipSource


__all__ = [
    "UNREACHABLE",
    "ByteRange",
    "ClipShard",
    "ClipStream",
    "FileClips",
    "RemoteFile",
    "StreamedClip",
    "UnreachableSourceError",
    "identity_digest",
]


# The Hub client's own base of "could not connect" changed twice (requests, httpx, httpx2): its errors are the first
# base of the Hub's.
UNREACHABLE = (HfHubHTTPError.__bases__[0], ClientError, OSError)


class UnreachableSourceError(AudioBertInputError):
    """A source elsewhere cannot be read now; what it holds may be fine.

    Args:
        name (`str`): what cannot be read.
        error (`Exception`): why.
    """

    def __init__(self, name: str, error: Exception):
        super().__init__(
            f"'{name}' cannot be read any more ({type(error).__name__}: {error}). What is done is kept: repeat the "
            f"same command when it can be reached."
        )


@dataclass(frozen=True)
class ByteRange:
    """A sound that lies inside a larger local file, as in an uncompressed tar; nothing is read before `read`."""

    file: Path
    start: int
    size: int

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            OSError: the file is gone, or may not be read.
        """
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.size)


@dataclass(frozen=True)
class RemoteFile:
    """A sound at an address that `fsspec` opens, such as hf://datasets/USER/NAME/cat.wav."""

    address: str

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            UnreachableSourceError: it cannot be had now.
        """
        try:
            with fsspec.open(self.address, "rb") as stream:
                return stream.read()
        except UNREACHABLE as error:
            raise UnreachableSourceError(self.address, error) from error


@dataclass(frozen=True)
class StreamedClip:
    """One clip of a stream.

    Args:
        clip (`Clip`): its description.
        audio (`Path`, `ByteRange`, `RemoteFile` or `bytes`, *optional*): the sound, or where it is; None where it
            cannot be had, for the reason given as `problem`.
        stamp (`str`): changes when the sound does; empty where the shard's identity tells.
        problem (`str`, *optional*): why the clip cannot be used, as far as that is known without decoding it.
    """

    clip: Clip
    audio: Path | ByteRange | RemoteFile | bytes | None = field(default=None, repr=False)
    stamp: str = ""
    problem: str | None = None

    @property
    def held_bytes(self) -> int:
        """How much of the sound is in memory already."""
        return len(self.audio) if isinstance(self.audio, bytes) else 0

    def read(self) -> bytes:
        """Return the sound's bytes as they are stored.

        Raises:
            OSError: they cannot be read.
        """
        if isinstance(self.audio, bytes):
            return self.audio
        if isinstance(self.audio, Path):
            return self.audio.read_bytes()
        return self.audio.read()


@dataclass(frozen=True)
class ClipShard:
    """A piece of a stream that can be read without the pieces before it: a tar, a Parquet file, a folder.

    Args:
        name (`str`): for messages.
        identity (`str`, *optional*): a digest that changes when the content does, known without reading it; None
            where only walking through the shard tells.
        walk (`Callable`): returns an iterator over its `StreamedClip`s, from the beginning, in the same order always.
    """

    name: str
    identity: str | None
    walk: Callable[[], Iterator[StreamedClip]] = field(repr=False)


class ClipStream(ABC):
    """Clips in shards. Walking holds one clip at a time; only `shards` itself grows with the source.

    Args:
        name (`str`): what the user called the source, for messages.
    """

    name: str = ""

    @abstractmethod
    def shards(self) -> list[ClipShard]:
        """Return the shards, in order.

        Raises:
            AudioBertInputError: the source cannot be reached or read.
        """

    def walk(self) -> Iterator[StreamedClip]:
        """Yield every clip, in order."""
        for shard in self.shards():
            yield from shard.walk()

    @property
    def num_clips(self) -> int | None:
        """How many clips there are, None where only walking tells."""
        return None

    def check(self, max_duration_seconds: float) -> tuple[str, int] | None:
        """Return the first problem that can be seen without decoding, and how many there are; None if there is none.

        Sources whose clips have to be read to be looked at are not looked at.
        """
        return None


class FileClips(ClipStream):
    """The clips of a folder or manifest, as `read_clips` returns them: one shard.

    Args:
        source (`ClipSource`).
    """

    def __init__(self, source: ClipSource):
        self.source = source
        self.name = source.name

    @property
    def num_clips(self) -> int:
        return len(self.source)

    def shards(self) -> list[ClipShard]:
        return [ClipShard(self.name, None, self._walk)]

    def check(self, max_duration_seconds: float) -> tuple[str, int] | None:
        problems = []
        for clip in self.source.clips:
            try:
                check_audio_file(self.source.file(clip), max_duration_seconds=max_duration_seconds)
            except ValueError as error:
                problems.append(str(error))
        return (problems[0], len(problems)) if problems else None

    def _walk(self) -> Iterator[StreamedClip]:
        for clip in self.source.clips:
            file = self.source.file(clip)
            try:
                found = file.stat()
                stamp = f"{found.st_size}-{found.st_mtime_ns}"
            except OSError:
                stamp = "missing"  # decoding says what is wrong with it
            yield StreamedClip(clip, file, stamp)


def identity_digest(*facts: object) -> str:
    """Return a short digest of JSON values: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]
