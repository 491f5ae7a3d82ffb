"""Captioned clips to construct a benchmark from: of a manifest, of WebDataset archives, or of a Hub dataset."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench.csv_table import parse_csv
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .clip_archives import archive_clips, archives_of
from .hub_clips import dataset_clips


__all__ = ["MANIFEST_NAMES", "clip_fault", "clip_records", "make_clip", "source_digest"]

MANIFEST_NAMES = ("manifest.csv", "manifest.jsonl")
_DATA_SUFFIXES = (".parquet", ".arrow")
# Other spellings of our field names, the first found being taken.
_SPELLINGS = {
    "caption": ("caption", "text", "captions"),
    "tags": ("tags", "tag", "keywords"),
    "description": ("description",),
    "source": ("source",),
    "licence": ("licence", "license"),
    "group": ("group", "near_dup_group"),
}


def clip_records(source: str, split: str = "train", audio_dir: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the clips of a source, in its order; memory does not grow with it, but for a manifest in CSV.

    Args:
        source (`str`):
            A manifest (`.csv`, `.jsonl`) with `id`, `path` (relative to it) and `caption`, perhaps `tags`, `label`,
            `description`, `source`, `licence`, `group`; a folder that holds one, named `manifest.csv` or
            `manifest.jsonl`; WebDataset archives in the format of LAION-Audio-630K (a `.tar`, a folder of them, or a
            pattern such as `"shards/*.tar"`: for each sound a JSON file with `text` and `tag`); or a dataset that
            `datasets.load_dataset` reads: a Hub id, with its configuration behind a colon, or a folder of Parquet.
        split (`str`, *optional*, defaults to `"train"`): of a dataset.
        audio_dir (`str`, *optional*):
            Where the sounds of a dataset are written, to measure their pitch. Without it they are not read.

    Yields:
        `dict`: `id`, `path` (absolute; `tar://MEMBER::ARCHIVE` in an archive, which fsspec opens; None where the sound
        is in no file), `caption`, `tags`, `description`, `source`, `licence`, `group`. Clips of one `group` are cuts
        or copies of one recording. Without a text, `caption` and `description` are empty; all else not known is None.

    Raises:
        AudioBertInputError: there is no such source, it cannot be read, or a manifest's row is wrong.
    """
    path = _manifest_in(Path(source))
    if path.suffix.lower() in (".csv", ".jsonl"):
        return _manifest_clips(path)
    archives = archives_of(source)
    if archives:
        return (make_clip(**fields) for fields in archive_clips(archives))
    if path.exists() and not any(entry.suffix in _DATA_SUFFIXES for entry in path.rglob("*")):
        raise AudioBertInputError(
            f"'{source}' holds no clips that can be read: give a manifest (.csv, .jsonl) or a folder with one, .tar "
            "archives with JSON files, or a folder of Parquet files."
        )
    return (make_clip(**fields) for fields in dataset_clips(source, split, audio_dir))


def make_clip(id: str, path: str | None, texts: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a clip from the fields of whatever describes it.

    Args:
        id (`str`): unique in its source.
        path (`str`, *optional*): see `clip_records`.
        texts (`dict`): its descriptions, under our names or other usual ones.
        source (`str`): where the clip comes from, where `texts` does not say.
    """
    found = {name: _first(texts, spellings) for name, spellings in _SPELLINGS.items()}
    captions = _texts(found["caption"])
    tags = [*_split_tags(found["tags"]), *_texts(texts.get("label"))]
    return {
        "id": id,
        "path": path,
        "caption": captions[0] if captions else "",
        "tags": list(dict.fromkeys(tags)),
        "description": " ".join([*captions[1:], *_texts(found["description"])]),
        "source": " ".join(_texts(found["source"])) or source,
        "licence": " ".join(_texts(found["licence"])) or None,
        "group": " ".join(_texts(found["group"])) or None,
    }


def source_digest(source: str) -> str | None:
    """Return what tells whether a source is the one it was: of a file its SHA-256 (hex), of archives and data folders
    that of their files' names and sizes; None for what is not on this machine.

    Raises:
        AudioBertInputError: the file cannot be read.
    """
    path = _manifest_in(Path(source))
    digest = hashlib.sha256()
    if path.is_file() and path.suffix.lower() != ".tar":
        try:
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise AudioBertInputError(f"cannot read '{path}': {error.strerror}.") from error
        return digest.hexdigest()
    files = archives_of(source) or (sorted(path.rglob("*")) if path.is_dir() else [])
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size if file.is_file() else ''}\0".encode("utf-8", "replace"))
    return digest.hexdigest() if files else None


def clip_fault(clip: dict[str, Any]) -> str | None:
    """Return why nothing can be made of a clip: it has no text, or its file is not there."""
    if not any(letter.isalnum() for text in (clip["caption"], *clip["tags"], clip["description"]) for letter in text):
        return "no caption, tag or description says what it is"
    path = clip["path"]
    if path is not None and "::" not in path and not os.path.isfile(path):
        return f"there is no file '{path}'"
    return None


def _manifest_in(path: Path) -> Path:
    """Return the manifest that a folder holds, or the path itself."""
    if not path.is_dir():
        return path
    manifests = [path / name for name in MANIFEST_NAMES if (path / name).is_file()]
    if len(manifests) > 1:
        raise AudioBertInputError(f"'{path}' holds {' and '.join(MANIFEST_NAMES)}: name the one to read.")
    return manifests[0] if manifests else path


def _manifest_clips(path: Path) -> Iterator[dict[str, Any]]:
    try:
        rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
        for where, row in rows:
            for name in ("id", "path"):
                if not isinstance(row.get(name), str | int) or not str(row[name]).strip():
                    raise AudioBertInputError(f"{where} has no {name}. Add it, or leave the row out.")
            audio = path.parent.resolve() / str(row["path"])
            yield make_clip(id=str(row["id"]).strip(), path=str(audio), texts=row, source=path.parent.resolve().name)
    except OSError as error:
        raise AudioBertInputError(f"cannot read the manifest '{path}': {error.strerror}.") from error


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    table = parse_csv(path.read_bytes(), str(path), ("id", "path", "caption"))
    return ((table.place(index), row) for index, row in enumerate(table.rows))


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"'{path}', line {number}"
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError as error:  # not JSON, or not UTF-8
                raise AudioBertInputError(f"{where} is not JSON in UTF-8 ({error}). Correct the line.") from error
            if row is None:
                continue
            if not isinstance(row, dict):
                raise AudioBertInputError(f"{where} is not a JSON object. Correct the line.")
            yield where, row


def _first(texts: dict[str, Any], spellings: tuple[str, ...]) -> Any:
    return next((texts[name] for name in spellings if texts.get(name)), None)


def _texts(value: Any) -> list[str]:
    """Return the texts that a field holds: of a list each, of anything but text none."""
    if isinstance(value, list | tuple):
        return [text for entry in value for text in _texts(entry)]
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return [text] if text else []


def _split_tags(value: Any) -> list[str]:
    """Return tags; one text may hold several between commas or semicolons, as in CSV."""
    return [tag.strip() for text in _texts(value) for tag in text.replace(";", ",").split(",") if tag.strip()]
