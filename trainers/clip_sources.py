"""Where clips come from: a folder of audio files, or a manifest (CSV or JSON Lines) that describes them."""

import csv
import json
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_loading import AUDIO_SUFFIXES


__all__ = ["MANIFEST_NAMES", "Clip", "ClipSource", "read_clips", "read_folder", "read_manifest"]

logger = logging.getLogger(__name__)

MANIFEST_NAMES = ("manifest.csv", "manifest.jsonl")
_REQUIRED = ("id", "path", "caption")
# Other spellings of our column names.
_SPELLINGS = {"license": "licence", "near_dup_group": "group", "avg_pitch_hz": "average_pitch_hz"}
_NUMBERS = ("average_pitch_hz",)
_ADVICE = "Correct the manifest; nothing was written."


@dataclass(frozen=True)
class Clip:
    """One recording, as its source describes it; None is "not known".

    Args:
        id (`str`): unique in its source.
        path (`str`): relative to the source's folder, with forward slashes.
        caption (`str`, *optional*): what can be heard, in English.
        label (`str`, *optional*): the class word(s) of the caption.
        licence (`str`, *optional*): as the source writes it.
        group (`str`, *optional*): clips with the same one are cuts or copies of one recording, so that they must not
            be split between training and validation.
        source (`str`, *optional*): the collection that the recording comes from.
        average_pitch_hz (`float`, *optional*): above 0; see `audiobert construct pitch`.
    """

    id: str
    path: str
    caption: str | None = None
    label: str | None = None
    licence: str | None = None
    group: str | None = None
    source: str | None = None
    average_pitch_hz: float | None = None


@dataclass(frozen=True)
class ClipSource:
    """Clips and the folder that their paths are relative to.

    Args:
        folder (`Path`): of the audio files.
        clips (`tuple[Clip, ...]`): in the source's order.
        name (`str`): the manifest or folder, for messages.
    """

    folder: Path
    clips: tuple[Clip, ...] = field(repr=False)
    name: str = ""

    def __len__(self) -> int:
        return len(self.clips)

    def file(self, clip: Clip) -> Path:
        """Return where a clip's audio file is."""
        return self.folder / clip.path


def read_clips(source: str | os.PathLike) -> ClipSource:
    """Return the clips of a folder or manifest.

    Args:
        source (`str` or `Path`):
            A manifest (`.csv` or `.jsonl`; see `read_manifest`), or a folder. A folder that holds a `manifest.csv` or
            `manifest.jsonl` is read by it; in any other, every audio file is a clip (see `read_folder`).

    Raises:
        AudioBertInputError: there is no such file or folder, it holds no clip, or the manifest is wrong somewhere.
    """
    path = Path(source)
    if path.is_file():
        return read_manifest(path)
    if not path.is_dir():
        raise AudioBertInputError(
            f"there is no clip source '{path}': give a folder of audio files, or a manifest (.csv or .jsonl)."
        )
    manifests = [path / name for name in MANIFEST_NAMES if (path / name).is_file()]
    if len(manifests) > 1:
        raise AudioBertInputError(
            f"the folder '{path}' holds {' and '.join(MANIFEST_NAMES)}: name the one to read instead of the folder."
        )
    return read_manifest(manifests[0]) if manifests else read_folder(path)


def read_folder(folder: str | os.PathLike) -> ClipSource:
    """Return every audio file in a folder, and in the folders within it, as a clip.

    The clip's id is its path without the suffix (with it, where two files differ in nothing else); captions, labels
    and licences are not known. Hidden files and folders are left out, files sorted by path.

    Raises:
        AudioBertInputError: the folder holds no audio file, or a link in it leads out of it.
    """
    folder = Path(folder)
    found = sorted(
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and not file.is_dir()
    )
    if not found:
        raise AudioBertInputError(
            f"the folder '{folder}' holds no audio file ({', '.join(AUDIO_SUFFIXES)}): give another folder, or a "
            f"manifest."
        )
    stems = [str(PurePosixPath(path).with_suffix("")) for path in found]
    several = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    root = folder.resolve()
    for path in found:
        _check_inside(root, path, f"the folder '{folder}'")
    clips = tuple(
        Clip(id=path if stem in several else stem, path=path) for stem, path in zip(stems, found, strict=True)
    )
    return ClipSource(folder, clips, str(folder))


def read_manifest(manifest: str | os.PathLike) -> ClipSource:
    """Return the clips that a manifest describes.

    Args:
        manifest (`str` or `Path`):
            UTF-8 text: a CSV file with a header (`.csv`), or one JSON object a line (`.jsonl`). Needed: `id`
            (unique), `path` (relative to the manifest's folder, inside it, with forward slashes), `caption`.
            Optional: `label`, `licence` or `license`, `group` or `near_dup_group`, `source`, `average_pitch_hz` or
            `avg_pitch_hz`. Other columns are ignored, an empty value is "not known".

    Raises:
        AudioBertInputError: the manifest cannot be read, lacks a column, or a row is wrong: named by its number.
    """
    manifest = Path(manifest)
    readers = {".csv": _csv_rows, ".jsonl": _json_rows}
    reader = readers.get(manifest.suffix.lower())
    if reader is None:
        raise AudioBertInputError(f"'{manifest}' is not a manifest: its name must end in .csv or .jsonl.")
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as lines:
            clips = _clips(reader(lines, manifest), manifest)
    except UnicodeDecodeError as error:
        raise AudioBertInputError(
            f"the manifest '{manifest}' is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error
    except OSError as error:
        raise AudioBertInputError(f"the manifest '{manifest}' cannot be read: {error.strerror}.") from error
    if not clips:
        raise AudioBertInputError(f"the manifest '{manifest}' has no rows: add a row for each clip.")
    logger.info("%d clips in %s", len(clips), manifest)
    return ClipSource(manifest.parent, tuple(clips), str(manifest))


def _clips(rows: Iterator[tuple[int, dict]], manifest: Path) -> list[Clip]:
    clips, first_rows = [], {}
    root = manifest.parent.resolve()
    for number, row in rows:
        where = f"'{manifest}', row {number}"
        values = {_SPELLINGS.get(name, name): _value(value, name, where) for name, value in row.items()}
        fields = {name: values.get(name) for name in Clip.__dataclass_fields__}
        for name in ("id", "path"):
            if not fields[name]:
                raise AudioBertInputError(f"{where}: the {name} is empty. {_ADVICE}")
        if fields["id"] in first_rows:
            raise AudioBertInputError(
                f"{where}: the id '{fields['id']}' stands in row {first_rows[fields['id']]} already; ids must be "
                f"unique. {_ADVICE}"
            )
        first_rows[fields["id"]] = number
        _check_inside(root, fields["path"], f"{where} (id '{fields['id']}')")
        clips.append(Clip(**fields))
    return clips


def _csv_rows(lines, manifest: Path) -> Iterator[tuple[int, dict]]:
    """Yield (row number, row); row 1 is the first under the header."""
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, [])
        names = [name.strip() for name in header]
        _check_columns(names, f"the manifest '{manifest}'")
        rows = (cells for cells in reader if cells)
        for number, cells in enumerate(rows, start=1):
            if len(cells) != len(names):
                raise AudioBertInputError(
                    f"'{manifest}', row {number}: {len(cells)} values for {len(names)} columns; a value with a comma "
                    f"in it needs quotes. {_ADVICE}"
                )
            yield number, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise AudioBertInputError(
            f"the manifest '{manifest}' is not valid CSV at line {reader.line_num}: {error}. {_ADVICE}"
        ) from error


def _json_rows(lines, manifest: Path) -> Iterator[tuple[int, dict]]:
    """Yield (row number, row); the number is that of the line."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"'{manifest}', row {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise AudioBertInputError(f"{where}: not valid JSON ({error}). {_ADVICE}") from error
        if not isinstance(row, dict):
            raise AudioBertInputError(f"{where}: a row must be a JSON object. {_ADVICE}")
        _check_columns(list(row), where)
        yield number, row


def _check_columns(names: list[str], where: str) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        hint = "; its values seem to be separated by another sign than a comma" if _other_separator(names) else ""
        raise AudioBertInputError(
            f"{where} lacks {', '.join(missing)} (it has {', '.join(names) or 'nothing'}{hint}). Needed: "
            f"{', '.join(_REQUIRED)}. {_ADVICE}"
        )
    known = [_SPELLINGS.get(name, name) for name in names]
    twice = sorted({name for name in known if known.count(name) > 1 and name in Clip.__dataclass_fields__})
    if twice:
        raise AudioBertInputError(f"{where} has '{twice[0]}' more than once. {_ADVICE}")


def _other_separator(names: list[str]) -> bool:
    return len(names) == 1 and any(sign in names[0] for sign in ";\t|")


def _value(value: object, name: str, where: str) -> str | float | None:
    return _hertz(value, name, where) if _SPELLINGS.get(name, name) in _NUMBERS else _text(value, name, where)


def _hertz(value: object, name: str, where: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        hertz = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        hertz = math.nan
    if not 0 < hertz < math.inf:
        raise AudioBertInputError(
            f"{where}: '{name}' must be a frequency in Hz above 0, or empty, not {json.dumps(value)}. {_ADVICE}"
        )
    return hertz


def _text(value: object, name: str, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    if name in ("id", "label") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if name in _SPELLINGS or name in Clip.__dataclass_fields__:
        raise AudioBertInputError(f"{where}: '{name}' must be text, not {json.dumps(value)}. {_ADVICE}")
    return None


def _check_inside(root: Path, path: str, where: str) -> None:
    """Refuse a path that leaves the folder `root` (resolved), by itself or by a symbolic link on its way."""
    pure = PurePosixPath(path)
    windows = "\\" in path or (len(path) > 1 and path[1] == ":")
    if pure.is_absolute() or windows or ".." in pure.parts:
        raise AudioBertInputError(
            f"{where}: the path '{path}' must be relative, with forward slashes, and stay inside the folder '{root}'. "
            f"{_ADVICE}"
        )
    if "\0" in path:
        raise AudioBertInputError(f"{where}: the path {path!r} holds a null character. {_ADVICE}")
    try:
        inside = (root / pure).resolve().is_relative_to(root)
    except (OSError, RuntimeError) as error:  # a loop of links
        raise AudioBertInputError(f"{where}: the path '{path}' cannot be followed ({error}). {_ADVICE}") from error
    if not inside:
        raise AudioBertInputError(
            f"{where}: the path '{path}' is a link out of the folder '{root}'. Copy the file there instead. {_ADVICE}"
        )
