"""Clips of a dataset that `datasets` reads, streamed: from the Hub, or a folder of Parquet."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["dataset_clips"]

_IDS = ("id", "key", "__key__", "file_name")
_SOUNDS = ("audio", "flac", "wav", "mp3", "ogg", "opus")


def dataset_clips(source: str, split: str, audio_dir: str | None) -> Iterator[dict[str, Any]]:
    """Yield the clips of a dataset as arguments of `make_clip`.

    The id is the row's `id` (or `key`, `__key__`, `file_name`), else its number.

    Args:
        source (`str`): a folder or Hub id, with its configuration behind a colon.
        split (`str`): a split of it.
        audio_dir (`str`, *optional*): where the sounds are written; without it they are not read.

    Raises:
        AudioBertInputError: there is no such dataset or split, the Hub cannot be reached, or a sound cannot be
            written.
    """
    rows = _stream(source, split, with_sound=audio_dir is not None)
    for number in itertools.count():
        try:
            row = next(rows, None)
        except Exception as error:  # of network, disk or format, as the dataset's place has it
            raise AudioBertInputError(
                f"the dataset '{source}' broke off at row {number}: {' '.join(str(error).split())[:300]}. The same "
                "command begins it again."
            ) from error
        if row is None:
            return
        clip_id = str(next((row[name] for name in _IDS if row.get(name) not in (None, "")), number))
        path = _write_sound(clip_id, row, Path(audio_dir)) if audio_dir else None
        nested = row.get("json")  # WebDataset as `datasets` reads it
        yield {
            "id": clip_id,
            "path": path,
            "texts": {**row, **(nested if isinstance(nested, dict) else {})},
            "source": source,
        }


def _stream(source: str, split: str, with_sound: bool) -> Iterator[dict[str, Any]]:
    import datasets

    name, _, configuration = source.partition(":")
    try:
        stream = datasets.load_dataset(name, configuration or None, split=split, streaming=True)
        columns = list(stream.features or {})
        sounds = [column for column in columns if column in _SOUNDS]
        if not with_sound:
            stream = stream.remove_columns(sounds)
        else:
            for column in sounds:  # bytes as they are stored: decoding wants libraries that may not be there
                stream = stream.cast_column(column, datasets.Audio(decode=False))
        return iter(stream)
    except (OSError, ValueError, datasets.exceptions.DatasetsError, ConnectionError) as error:
        raise AudioBertInputError(
            f"the dataset '{source}' (split '{split}') cannot be read: {' '.join(str(error).split())[:300]}. Give "
            "a Hub id, a folder of Parquet, a manifest or .tar archives."
        ) from error


def _write_sound(clip_id: str, row: dict[str, Any], folder: Path) -> str | None:
    """Write the sound's bytes as they are, and return where; what stands there already is taken as it is."""
    sound = next((row[name] for name in _SOUNDS if isinstance(row.get(name), dict)), None)
    if sound is None or not sound.get("bytes"):
        return sound.get("path") if sound else None
    # An id may hold anything; the digest keeps two of them apart, and names the folder.
    digest = hashlib.sha256(clip_id.encode("utf-8", "replace")).hexdigest()
    suffix = Path(sound.get("path") or "").suffix or ".bin"
    target = folder.resolve() / digest[:2] / f"{digest[:32]}{suffix}"
    if not target.exists():
        with staged_file(target) as temporary:
            temporary.write_bytes(sound["bytes"])
    return str(target)
