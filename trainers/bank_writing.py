"""Writing the files of an audio bank row by row, for banks that do not fit into memory."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from audiobert.modeling_audiobert.audio_bank import CLIP_SCHEMA
from audiobert.modeling_audiobert.bank_storage import FORMAT

from .bank_chunks import CONTENT_FIELD


__all__ = ["BANK_SCHEMA", "BankWriter", "embedding_rows"]

# Beside what AudioBank reads, a digest of each clip's samples, by which copies are found when clips are added.
BANK_SCHEMA = pa.schema([*CLIP_SCHEMA, CONTENT_FIELD])


class BankWriter:
    """Writes `clips.parquet`, `keys.safetensors`, `values.safetensors` and `bank.json`, some clips at a time.

    Keys and values are the very bytes that `AudioBank.save` writes.

    Args:
        folder (`Path`): where; it exists.
        num_clips (`int`): how many clips will be written.
        dims (`tuple[int, int]`): of keys and values.
        fingerprints (`tuple[str, str]`): of keys and values.
        key_source (`str`): see `AudioBank`.
    """

    def __init__(
        self, folder: Path, num_clips: int, dims: tuple[int, int], fingerprints: tuple[str, str], key_source: str
    ):
        self._folder = folder
        self._num_clips = num_clips
        self._fingerprints = fingerprints
        self._key_source = key_source
        self._written = 0
        self._clips = pq.ParquetWriter(folder / "clips.parquet", BANK_SCHEMA)
        self._embeddings = [
            _EmbeddingWriter(folder / f"{name}.safetensors", name, (num_clips, dim))
            for name, dim in zip(("keys", "values"), dims, strict=True)
        ]

    def write(self, clips: pa.Table, keys: np.ndarray, values: np.ndarray) -> None:
        """Append some clips.

        Args:
            clips (`pyarrow.Table`): columns of `BANK_SCHEMA`.
            keys, values (`np.ndarray` of shape `(num_clips, dim)`): float32.
        """
        if len(clips):
            self._clips.write_table(clips.select(BANK_SCHEMA.names).cast(BANK_SCHEMA))
        for writer, rows in zip(self._embeddings, (keys, values), strict=True):
            assert len(rows) == len(clips)
            writer.write(rows)
        self._written += len(clips)

    def close(self) -> None:
        """Finish the files."""
        assert self._written == self._num_clips, "as many clips as were announced"
        self._clips.close()
        for writer in self._embeddings:
            writer.close()
        facts = {
            "format": FORMAT,
            "num_clips": self._num_clips,
            "key_source": self._key_source,
            "key_fingerprint": self._fingerprints[0],
            "value_fingerprint": self._fingerprints[1],
            "index": "exact",
        }
        (self._folder / "bank.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


class _EmbeddingWriter:
    """A safetensors file of one float32 tensor, its digest (see `embedding_digest`) in the header."""

    def __init__(self, file: Path, name: str, shape: tuple[int, int]):
        self._name = name
        self._shape = shape
        self._digest = hashlib.sha256(str(shape).encode())
        self._stream = file.open("wb")
        self._stream.write(self._header("0" * 64))

    def write(self, rows: np.ndarray) -> None:
        content = np.ascontiguousarray(rows, dtype="<f4")
        self._digest.update(content.data)
        self._stream.write(content.data)

    def close(self) -> None:
        with self._stream:
            self._stream.seek(0)
            self._stream.write(self._header(self._digest.hexdigest()))

    def _header(self, digest: str) -> bytes:
        count, dim = self._shape
        tensor = {"dtype": "F32", "shape": [count, dim], "data_offsets": [0, 4 * count * dim]}
        header = json.dumps({"__metadata__": {"digest": digest}, self._name: tensor}, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        return len(header).to_bytes(8, "little") + header


def embedding_rows(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of lists, none null and all of one length, as an array of shape `(num_rows, length)`."""
    whole = column.combine_chunks()
    flat = whole.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(whole), -1)
