"""What an audio bank holds, without reading its sounds, keys and values."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.bank_index import INDEX_FOLDER
from audiobert.modeling_audiobert.bank_storage import bank_file

from .bank_assembly import SKIPPED_FILE


__all__ = ["bank_facts"]

_SHOWN_LABELS = 20
_FILES = ("clips.parquet", "keys.safetensors", "values.safetensors", "bank.json")


def bank_facts(bank: AudioBank | str | os.PathLike) -> dict[str, Any]:
    """Return what a bank holds.

    Args:
        bank (`AudioBank`, `str` or `Path`): in memory, a folder, or the id of a repository on the Hub.

    Returns:
        `dict`: `clips`, `hours`, `captions` and `labels` (how many different ones), `most_frequent_labels` and
        `licences` (with counts), `key_dim`, `value_dim`, `key_source` ("audio" or "captions"), `key_fingerprint`,
        `value_fingerprint`, `index` (its kind; "exact" for none), `with_audio` (clips whose bytes the bank holds), and
        of a saved bank `left_out` (clips of its sources that are not in it, None if that was not recorded) and `bytes`
        (on disk, by file, and `total`).

    Raises:
        AudioBertInputError: there is no such bank, or it is damaged.
    """
    if isinstance(bank, AudioBank):
        sounds = len(bank) - bank.clips["audio"].null_count
        return _content_facts(bank) | {"index": bank.index_kind, "with_audio": sounds}
    loaded = AudioBank.load(bank, index="exact")  # whatever index it has: nothing is searched
    files = {name: Path(bank_file(str(bank), name, "", {})) for name in _FILES}
    return _content_facts(loaded) | {
        "index": json.loads(files["bank.json"].read_text(encoding="utf-8")).get("index", "exact"),
        "with_audio": _count_sounds(files["clips.parquet"]),
        "left_out": _count_left_out(Path(bank)),
        "bytes": _sizes(files, Path(bank)),
    }


def _content_facts(bank: AudioBank) -> dict[str, Any]:
    columns = bank.descriptions.select(["caption", "label", "licence", "duration_seconds"]).to_pydict()
    labels = Counter(label for label in columns["label"] if label is not None)
    licences = Counter(licence or "not known" for licence in columns["licence"])
    return {
        "clips": len(bank),
        "hours": round(sum(seconds or 0.0 for seconds in columns["duration_seconds"]) / 3600, 4),
        "captions": len({caption for caption in columns["caption"] if caption is not None}),
        "labels": len(labels),
        "most_frequent_labels": dict(labels.most_common(_SHOWN_LABELS)),
        "licences": dict(licences.most_common()),
        "key_dim": bank.keys.shape[1],
        "value_dim": bank.values.shape[1],
        "key_source": bank.key_source,
        "key_fingerprint": bank.key_fingerprint,
        "value_fingerprint": bank.value_fingerprint,
    }


def _count_sounds(clips: Path) -> int:
    """Return how many clips have their sound beside them, from the file's statistics where it has them."""
    metadata = pq.read_metadata(clips)
    audio = metadata.schema.names.index("audio")
    columns = [metadata.row_group(index).column(audio) for index in range(metadata.num_row_groups)]
    if all(column.is_stats_set and column.statistics.has_null_count for column in columns):
        return metadata.num_rows - sum(column.statistics.null_count for column in columns)
    batches = pq.ParquetFile(clips).iter_batches(256, columns=["audio"])
    return sum(len(batch) - batch.column(0).null_count for batch in batches)


def _count_left_out(folder: Path) -> int | None:
    file = folder / SKIPPED_FILE
    return len(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def _sizes(files: dict[str, Path], folder: Path) -> dict[str, int]:
    sizes = {name: file.stat().st_size for name, file in files.items()}
    index = [file.stat().st_size for file in (folder / INDEX_FOLDER).rglob("*") if file.is_file()]
    if index:
        sizes[INDEX_FOLDER] = sum(index)
    return {**sizes, "total": sum(sizes.values())}
