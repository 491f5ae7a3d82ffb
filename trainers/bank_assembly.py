"""Encoded chunks, and the clips that a bank had before, into the files of a bank."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .bank_chunks import CONTENT_FIELD
from .bank_writing import BANK_SCHEMA, BankWriter, embedding_rows


__all__ = ["SKIPPED_FILE", "ExistingBank", "LeftOut", "has_caption", "select_clips", "write_bank"]

SKIPPED_FILE = "skipped_clips.json"
_ROWS = 4096


@dataclass
class LeftOut:
    """The clips of a source that are not in the bank, in the source's order.

    Args:
        skipped (`list[dict[str, str]]`): `id`, `path` and `reason` of each that cannot be used.
        duplicates (`list[dict[str, str]]`): the same of each whose sound another clip has, whose id is `duplicate_of`.
        entries (`list[dict[str, str]]`): both, as they stand in the bank's `skipped_clips.json`.
    """

    skipped: list[dict[str, str]] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    entries: list[dict[str, str]] = field(default_factory=list)

    def skip(self, row: dict[str, Any], reason: str) -> None:
        """Note a clip that cannot be used."""
        self.skipped.append({"id": row["id"], "path": row["path"], "reason": reason})
        self.entries.append(self.skipped[-1])

    def copy_of(self, row: dict[str, Any], kept: str) -> None:
        """Note a clip whose samples are those of the clip with the id `kept`."""
        entry = {"id": row["id"], "path": row["path"], "reason": f"the same samples as '{kept}'", "duplicate_of": kept}
        self.duplicates.append(entry)
        self.entries.append(entry)


class ExistingBank:
    """A bank on disk whose clips go into another, read piece by piece.

    Args:
        folder (`Path`).

    Raises:
        AudioBertInputError: there is no bank, or it is damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.bank = AudioBank.load(folder, index="exact")
        self._file = folder / "clips.parquet"
        self._has_content = CONTENT_FIELD.name in pq.read_schema(self._file).names

    def ids(self) -> list[str]:
        """Return the clips' ids, in order."""
        return self.bank.descriptions["id"].to_pylist()

    def contents(self) -> dict[str, str]:
        """Return the id of each clip by the digest of its samples, of those clips whose digest was kept."""
        if not self._has_content:
            return {}
        table = pq.read_table(self._file, columns=["id", CONTENT_FIELD.name]).to_pydict()
        return {content: name for name, content in zip(table["id"], table[CONTENT_FIELD.name], strict=True) if content}

    def left_out(self) -> list[dict[str, str]]:
        """Return what `skipped_clips.json` says."""
        file = self.folder / SKIPPED_FILE
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []

    def pieces(self, without: Collection[str] = ()) -> Iterator[tuple[pa.Table, np.ndarray, np.ndarray]]:
        """Yield clips, keys and values, some thousand at a time, those with the ids `without` left out."""
        start, removed = 0, pa.array(sorted(without), pa.string())
        for batch in pq.ParquetFile(self._file).iter_batches(_ROWS):
            table = pa.Table.from_batches([batch])
            if not self._has_content:
                table = table.append_column(CONTENT_FIELD, pa.nulls(len(table), CONTENT_FIELD.type))
            keep = pc.invert(pc.is_in(table["id"], removed)).to_numpy()
            rows = slice(start, start + len(table))
            keys, values = self.bank.keys[rows].numpy(), self.bank.values[rows].numpy()
            yield table.filter(pa.array(keep)), keys[keep], values[keep]
            start += len(table)


def select_clips(
    chunks: Iterable[Path],
    keep_duplicates: bool,
    ids: Collection[str] = (),
    contents: dict[str, str] | None = None,
    key_source: str = "audio",
) -> tuple[list[np.ndarray], LeftOut]:
    """Decide which clips of some chunks a bank gets: all that can be used, copies and repeated ids left out.

    Args:
        ids (`Collection[str]`), contents (`dict[str, str]`): of the clips that the bank has already.
        key_source (`str`, *optional*, defaults to `"audio"`): see `AudioBank`; for "captions" clips need one.

    Returns:
        A boolean array for each chunk, and what is left out.
    """
    seen, kept = set(ids), dict(contents or {})
    masks, left_out = [], LeftOut()
    for file in chunks:
        rows = pq.read_table(file, columns=["id", "path", "caption", "problem", CONTENT_FIELD.name]).to_pylist()
        mask = np.zeros(len(rows), dtype=bool)
        for place, row in enumerate(rows):
            if row["problem"]:
                left_out.skip(row, row["problem"])
            elif key_source == "captions" and not has_caption(row["caption"]):
                left_out.skip(row, f"the clip '{row['id']}' has no caption, which this bank's keys are made from")
            elif row["content"] in kept and not keep_duplicates:
                left_out.copy_of(row, kept[row["content"]])
            elif row["id"] in seen:
                left_out.skip(row, f"another clip has the id '{row['id']}' already")
            else:
                mask[place] = True
                seen.add(row["id"])
                kept.setdefault(row["content"], row["id"])
        masks.append(mask)
    return masks, left_out


def has_caption(caption: str | None) -> bool:
    """Return whether a key can be made from a caption."""
    return bool(caption and caption.strip())


def write_bank(
    folder: Path,
    pieces: Iterable[tuple[pa.Table, np.ndarray, np.ndarray]],
    num_clips: int,
    fingerprints: tuple[str, str],
    left_out: Sequence[dict[str, str]],
    key_source: str = "audio",
) -> None:
    """Write the files of a bank; what is in memory at a time is one piece.

    Args:
        folder (`Path`): where; it exists.
        pieces (`Iterable`): clips (columns of `BANK_SCHEMA`), keys and values.
        num_clips (`int`): of all pieces together.
        fingerprints (`tuple[str, str]`): of keys and values.
        left_out (`Sequence[dict]`): for `skipped_clips.json`.
        key_source (`str`, *optional*, defaults to `"audio"`): see `AudioBank`.

    Raises:
        AudioBertInputError: a key or value is not finite, or a key is zero.
    """
    writer = None
    for clips, keys, values in pieces:
        _check_embeddings(clips, keys, values)
        dims = keys.shape[1], values.shape[1]
        writer = writer or BankWriter(folder, num_clips, dims, fingerprints, key_source)
        writer.write(clips, keys, values)
    assert writer is not None
    writer.close()
    text = json.dumps(list(left_out), indent=2, ensure_ascii=False)
    (folder / SKIPPED_FILE).write_text(text + "\n", encoding="utf-8")


def chunk_pieces(
    chunks: Sequence[Path], masks: Sequence[np.ndarray]
) -> Iterator[tuple[pa.Table, np.ndarray, np.ndarray]]:
    """Yield the selected clips of each chunk, with keys and values."""
    for file, mask in zip(chunks, masks, strict=True):
        if mask.any():
            table = pq.read_table(file).filter(pa.array(mask))
            yield table.select(BANK_SCHEMA.names), embedding_rows(table["key"]), embedding_rows(table["value"])


def _check_embeddings(clips: pa.Table, keys: np.ndarray, values: np.ndarray) -> None:
    for name, rows in (("key", keys), ("value", values)):
        fine = np.isfinite(rows).all(axis=1)
        if name == "key":
            fine &= (rows != 0).any(axis=1)
        if not fine.all():
            clip = clips["id"][int(np.flatnonzero(~fine)[0])].as_py()
            raise AudioBertInputError(
                f"the {name} of clip '{clip}' is not finite, or zero. Remove the clip, or check the encoder, and "
                f"build the bank again."
            )
