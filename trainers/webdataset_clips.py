"""Clips of WebDataset tar sets, in the format of LAION-Audio-630K: audio files, each with a JSON file beside it."""

import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_loading import AUDIO_SUFFIXES
from .clip_sources import Clip
from .clip_streams import ByteRange, ClipShard, ClipStream, StreamedClip, identity_digest


__all__ = ["TAR_SUFFIXES", "TarClips", "TarFile", "describe", "expand_tars", "is_tar"]

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_BLOCK = 512
# A description is a few captions; what is larger is something else under that name.
_LARGEST_JSON = 1 << 20
# Ten minutes of stereo at 192 kHz in 32 bits, and a little.
_LARGEST_AUDIO = 1 << 30
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError)


@dataclass(frozen=True)
class TarFile:
    """One tar of a set.

    Args:
        name (`str`): relative to the folder of the set, with forward slashes; clips' ids and paths begin with it.
        identity (`str`): changes when the content does.
        open (`Callable`): returns a new binary stream of it; seekable where it is not compressed.
        file (`Path`, *optional*): where it lies on this machine.
    """

    name: str
    identity: str
    open: Callable[[], IO[bytes]]
    file: Path | None = None

    @property
    def stem(self) -> str:
        ending = next(ending for ending in sorted(TAR_SUFFIXES, key=len)[::-1] if self.name.lower().endswith(ending))
        return self.name[: -len(ending)]

    @property
    def compressed(self) -> bool:
        return not self.name.lower().endswith(".tar")


class TarClips(ClipStream):
    """The clips of a WebDataset tar set.

    A clip is an audio file; a JSON file of the same name beside it tells `text` (a caption, or a list of which the
    first is taken), `tag` or `label` (its label; several are joined by commas), and `license`, also inside
    `original_data`. Its id is the tar's name and the file's, both without suffix: "train/0/17" for 17.flac in
    train/0.tar.

    Args:
        tars (`list[TarFile]`): in order.
        name (`str`): for messages.
    """

    def __init__(self, tars: list[TarFile], name: str):
        self.tars = tars
        self.name = name

    def shards(self) -> list[ClipShard]:
        return [ClipShard(tar.name, tar.identity, lambda tar=tar: _walk(tar)) for tar in self.tars]


def is_tar(name: str | os.PathLike) -> bool:
    """Return whether a file's name ends as that of a tar."""
    return str(name).lower().endswith(TAR_SUFFIXES)


def expand_tars(pattern: str | os.PathLike) -> TarClips:
    """Return the local tars that a file name, folder, glob or brace pattern stands for.

    Args:
        pattern (`str` or `Path`):
            "clips.tar", a folder (every tar in it and below), "train/*.tar", or "train/{000..511}.tar"; braces may
            also list words: "{train,valid}/{0..9}.tar".

    Raises:
        AudioBertInputError: a tar that is named is missing, or nothing matches.
    """
    text = str(pattern)
    names = _expand_braces(text)
    root = Path(_fixed_part(text)) if re.search(r"[{*?\[]", text) else Path(text)
    root = root if root.is_dir() else root.parent
    found: list[Path] = []
    for name in names:
        found += _matching(name)
    files = [file for file in dict.fromkeys(found) if not any(part.startswith(".") for part in file.parts[-1:])]
    if not files:
        raise AudioBertInputError(f"no tar file matches '{text}': give a tar, a folder of tars, or a pattern.")
    return TarClips([_local_tar(file, root) for file in files], text)


def describe(facts: Any) -> dict[str, str | None]:
    """Return caption, label and licence as a JSON description of LAION-Audio-630K tells them.

    Raises:
        ValueError: it is not an object, or tells neither a text nor a tag; the message says which.
    """
    if not isinstance(facts, dict):
        raise ValueError("its JSON is not an object")
    original = facts.get("original_data") if isinstance(facts.get("original_data"), dict) else {}
    label = _words(facts.get("label")) or _words(facts.get("tag")) or _words(facts.get("tags"))
    captions = _words(facts.get("text")) or _words(facts.get("caption"))
    if not captions and not label:
        raise ValueError("its JSON has neither 'text' nor 'tag'")
    licences = (_words(place.get(key)) for place in (facts, original) for key in ("licence", "license"))
    return {
        "caption": captions[0] if captions else None,
        "label": ", ".join(label) or None,
        "licence": next((licence[0] for licence in licences if licence), None),
    }


def _words(value: Any) -> list[str]:
    """Return the texts of a string or a list of strings, without blanks."""
    entries = value if isinstance(value, list) else [value]
    return [entry.strip() for entry in entries if isinstance(entry, str) and entry.strip()]


def _expand_braces(text: str) -> list[str]:
    found = _BRACES.search(text)
    if not found:
        return [text]
    numbers = _RANGE.fullmatch(found[1])
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        choices = [f"{number:0{width}d}" for number in range(first, last + 1)]
    else:
        choices = found[1].split(",")
    return [
        name for choice in choices for name in _expand_braces(f"{text[: found.start()]}{choice}{text[found.end() :]}")
    ]


def _fixed_part(text: str) -> str:
    """Return the folder in front of the first part of a path that is a pattern."""
    parts = PurePosixPath(text).parts
    fixed = []
    for part in parts[:-1]:
        if re.search(r"[{*?\[]", part):
            break
        fixed.append(part)
    return str(PurePosixPath(*fixed)) if fixed else "."


def _matching(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if is_tar(file) and file.is_file())
    if re.search(r"[*?\[]", name) and not path.exists():
        root = Path(_fixed_part(name))
        return sorted(file for file in root.glob(str(path.relative_to(root))) if is_tar(file) and file.is_file())
    if not path.is_file():
        raise AudioBertInputError(f"there is no tar '{name}': check the name, or leave it out of the pattern.")
    return [path]


def _local_tar(file: Path, root: Path) -> TarFile:
    found = file.stat()
    name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
    return TarFile(name, identity_digest(name, found.st_size, found.st_mtime_ns), lambda: file.open("rb"), file)


@dataclass(frozen=True)
class _Member:
    """A file in a tar that concerns us: its name without the suffix, whether it is a description, and its content."""

    name: str
    stem: str
    is_json: bool
    content: bytes | ByteRange | None
    problem: str | None = None


def _walk(tar: TarFile) -> Iterator[StreamedClip]:
    """Yield a tar's clips; damage becomes a clip with a problem, under the tar's own name, and ends the walk."""
    stem, group = None, []
    try:
        for member in _members(tar):
            if group and member.stem != stem:
                yield from _clips(tar, group)
                group = []
            stem = member.stem
            group.append(member)
    except _DAMAGE as error:
        yield from _clips(tar, group)
        yield StreamedClip(
            Clip(tar.stem, tar.name),
            problem=f"the tar '{tar.name}' is damaged or truncated ({error or type(error).__name__}). The clips "
            f"before the damage are kept; copy or download it again.",
        )
        return
    yield from _clips(tar, group)


def _members(tar: TarFile) -> Iterator[_Member]:
    """Yield the audio and JSON files of a tar; sounds in an uncompressed local one are not read."""
    in_place = tar.file is not None and not tar.compressed
    with tar.open() as stream, tarfile.open(fileobj=stream, mode="r:" if in_place else "r|*") as archive:
        while (found := archive.next()) is not None:
            archive.members.clear()  # would keep every header
            path = PurePosixPath(found.name)
            suffix = path.suffix.lower()
            if path.name.startswith((".", "__")) or suffix not in (*AUDIO_SUFFIXES, ".json"):
                continue
            yield _member(tar, archive, found, suffix == ".json")
        if in_place:
            _check_end(stream, archive.offset)


def _member(tar: TarFile, archive: tarfile.TarFile, found: tarfile.TarInfo, is_json: bool) -> _Member:
    path = PurePosixPath(found.name)
    stem = str(path.with_suffix(""))
    problem = None
    if path.is_absolute() or ".." in path.parts or "\\" in found.name:
        problem = f"the path '{found.name}' leads out of the tar '{tar.name}'"
    elif not found.isreg() or found.issparse():
        problem = f"'{found.name}' in the tar '{tar.name}' is a link or a special file, not a sound"
    elif found.size > (_LARGEST_JSON if is_json else _LARGEST_AUDIO):
        problem = f"'{found.name}' in the tar '{tar.name}' has {found.size} bytes, too many for a clip"
    if problem:
        return _Member(found.name, stem, is_json, None, problem)
    if tar.file is not None and not tar.compressed and not is_json:
        if found.offset_data + found.size > tar.file.stat().st_size:
            problem = f"'{found.name}' in the tar '{tar.name}' is truncated"
        return _Member(found.name, stem, is_json, ByteRange(tar.file, found.offset_data, found.size), problem)
    return _Member(found.name, stem, is_json, archive.extractfile(found).read())


def _check_end(stream: IO[bytes], offset: int) -> None:
    """Raise where a tar ends without the empty block that marks its end: tarfile takes that for the end too."""
    stream.seek(offset)
    if stream.read(_BLOCK) != b"\0" * _BLOCK:
        raise tarfile.ReadError("no end mark")


def _clips(tar: TarFile, group: list[_Member]) -> Iterator[StreamedClip]:
    """Yield the clip of the members with one name; what is wrong with it, or left over, as clips with a problem."""
    sounds = [member for member in group if not member.is_json]
    descriptions = [member for member in group if member.is_json]
    if not sounds:
        for member in descriptions:
            reason = member.problem or f"there is no audio file beside '{member.name}' in the tar '{tar.name}'"
            yield StreamedClip(_clip(tar, member), problem=reason)
        return
    first, *others = sounds
    facts, problem = {}, first.problem
    if descriptions and not problem:
        facts, problem = _described(tar, descriptions[0])
    stamp = f"{first.content.start}-{first.content.size}" if isinstance(first.content, ByteRange) else ""
    yield StreamedClip(_clip(tar, first, **facts), None if problem else first.content, stamp, problem)
    for member in others:
        reason = f"'{member.name}' is a second audio file beside '{first.name}' in the tar '{tar.name}'"
        yield StreamedClip(Clip(f"{tar.stem}/{member.name}", f"{tar.name}/{member.name}"), problem=reason)


def _clip(tar: TarFile, member: _Member, **facts: str | None) -> Clip:
    return Clip(f"{tar.stem}/{member.stem}", f"{tar.name}/{member.name}", **facts)


def _described(tar: TarFile, member: _Member) -> tuple[dict[str, str | None], str | None]:
    """Return what a JSON member tells, and what is wrong with it."""
    try:
        if member.problem:
            raise ValueError(member.problem)
        return describe(json.loads(member.content)), None
    except ValueError as error:
        return {}, f"'{member.name}' in the tar '{tar.name}' is no description of a clip: {error}"
