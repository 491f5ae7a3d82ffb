"""WebDataset archives in the format of LAION-Audio-630K: tar files with a sound and a JSON file for each clip."""

import glob
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["archive_clips", "archives_of"]

_AUDIO = (".flac", ".wav", ".ogg", ".mp3", ".opus")
# A JSON file that describes one sound; anything longer is something else.
_LONGEST_JSON_BYTES = 4 * 1024 * 1024


def archives_of(source: str) -> list[Path]:
    """Return the archives that a source names, sorted: one, those of a folder, or those that fit a pattern."""
    path = Path(source)
    if path.is_file():
        return [path] if path.suffix.lower() == ".tar" else []
    if path.is_dir():
        return sorted(path.glob("*.tar"))
    return sorted(Path(name) for name in glob.glob(source, recursive=True) if name.lower().endswith(".tar"))


def archive_clips(archives: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield the clips of archives as arguments of `make_clip`; no sound is read.

    The id is the archive's name without its suffix, a slash, and the name that sound and JSON file share. A sound
    without a JSON file has no texts; a JSON file without a sound is no clip.

    Raises:
        AudioBertInputError: an archive is damaged, or one of its JSON files is.
    """
    for archive in archives:
        try:
            with tarfile.open(archive, "r:") as tar:
                yield from _clips(tar, archive)
        except (tarfile.TarError, EOFError) as error:
            raise AudioBertInputError(
                f"the archive '{archive}' is damaged ({error}). Fetch it again, or take it away."
            ) from error
        except OSError as error:
            raise AudioBertInputError(f"cannot read the archive '{archive}': {error.strerror or error}.") from error


def _clips(tar: tarfile.TarFile, archive: Path) -> Iterator[dict[str, Any]]:
    """WebDataset keeps the files of one clip together, so no more than one is in memory."""
    key, sound, texts = None, None, {}
    for member in tar:
        if not member.isfile():
            continue
        folder, _, name = member.name.rpartition("/")
        stem, _, suffix = name.partition(".")  # the key ends at the first dot, as WebDataset has it
        member_key = f"{folder}/{stem}" if folder else stem
        if member_key != key:
            if sound:
                yield _clip(key, sound, texts, archive)
            key, sound, texts = member_key, None, {}
        if f".{suffix.lower()}" in _AUDIO:
            sound = member.name
        elif suffix.lower() == "json":
            texts = _texts(tar, member, archive)
    if sound:
        yield _clip(key, sound, texts, archive)


def _clip(key: str, sound: str, texts: dict[str, Any], archive: Path) -> dict[str, Any]:
    return {
        "id": f"{archive.stem}/{key.removeprefix('./')}",
        "path": f"tar://{sound}::{archive.resolve()}",
        "texts": texts,
        "source": archive.name,
    }


def _texts(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> dict[str, Any]:
    """Return `text` and `tag`, and what the original page said, if it is kept beside them."""
    where = f"'{member.name}' in the archive '{archive}'"
    if member.size > _LONGEST_JSON_BYTES:
        raise AudioBertInputError(f"{where} is too long for the description of one sound ({member.size} bytes).")
    try:
        facts = json.loads(tar.extractfile(member).read())
    except ValueError as error:
        raise AudioBertInputError(f"{where} is not JSON in UTF-8 ({error}). Take it out, or make it anew.") from error
    if not isinstance(facts, dict):
        raise AudioBertInputError(f"{where} is not a JSON object. Take it out, or make it anew.")
    original = facts.get("original_data")
    return {**(original if isinstance(original, dict) else {}), **facts}
