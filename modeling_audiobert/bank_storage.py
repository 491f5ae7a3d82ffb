"""The files of an audio bank: keys and values mapped into memory, sounds left in their file until asked for."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers.utils import cached_file

from .errors import AudioBertInputError


__all__ = [
    "CLIP_SCHEMA",
    "FORMAT",
    "ClipTable",
    "StoredBank",
    "bank_file",
    "checked_clips",
    "checked_source",
    "embedding_digest",
    "finite_rows",
    "read_bank",
    "unit_keys",
    "write_embeddings",
]

CLIP_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("caption", pa.string()),
        ("label", pa.string()),
        ("path", pa.string()),
        ("audio", pa.binary()),
        ("licence", pa.string()),
        ("duration_seconds", pa.float64()),
    ]
)
FORMAT = 1  # of the folder, as bank.json tells it
_KEY_SOURCES = ("audio", "captions")
_DESCRIBING = [name for name in CLIP_SCHEMA.names if name != "audio"]
# Rows that are digested at once: a tensor on a GPU is copied, one that is mapped from a file read, piece by piece.
_DIGESTED_ROWS = 16384


class ClipTable:
    """The clips of a bank; sounds that lie in a file are read when they are asked for.

    Args:
        clips (`pyarrow.Table`): columns of `CLIP_SCHEMA`, or those but `audio` where it lies in `file`.
        file (`Path`, *optional*): a Parquet file with these clips.
    """

    def __init__(self, clips: pa.Table, file: Path | None = None):
        self.descriptions = clips.select(_DESCRIBING)
        self._whole = None if file else clips
        self._file = file

    @classmethod
    def read(cls, file: str | Path) -> "ClipTable":
        """Read all but the sounds.

        Raises:
            AudioBertInputError: a column is missing, or an id occurs twice.
            pyarrow.ArrowException: the file is damaged.
        """
        names = set(pq.read_schema(file).names)
        descriptions = pq.read_table(file, columns=[name for name in _DESCRIBING if name in names])
        return cls(checked_clips(descriptions, CLIP_SCHEMA.names if "audio" not in names else _DESCRIBING), Path(file))

    @property
    def whole(self) -> pa.Table:
        """All columns of `CLIP_SCHEMA`.

        Raises:
            AudioBertInputError: the file was replaced or removed since the bank was loaded.
        """
        if self._whole is None:
            audio = self._stored(["id", "audio"])["audio"].cast(pa.binary())
            position = CLIP_SCHEMA.names.index("audio")
            self._whole = self.descriptions.add_column(position, CLIP_SCHEMA.field("audio"), audio)
        return self._whole

    def write(self, file: Path) -> None:
        """Write the clips as Parquet; a saved bank's file is copied, with whatever other columns it has.

        Raises:
            AudioBertInputError: the file was replaced or removed since the bank was loaded.
        """
        if self._file is None:
            pq.write_table(self._whole, file)
        else:
            self._stored(["id"])
            shutil.copyfile(self._file, file)

    def _stored(self, columns: list[str]) -> pa.Table:
        try:
            stored = pq.read_table(self._file, columns=columns)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise AudioBertInputError(f"the clips in '{self._file}' cannot be read any more ({error}).") from error
        if not stored["id"].cast(pa.string()).equals(self.descriptions["id"]):
            raise AudioBertInputError(
                f"'{self._file}' was replaced since the audio bank was loaded from it: load the bank again."
            )
        return stored


@dataclass
class StoredBank:
    """What the files of a bank hold; `digests` are None where a file tells none, `facts` those of `bank.json`."""

    clips: ClipTable
    embeddings: dict[str, torch.Tensor]
    digests: dict[str, str | None]
    fingerprints: tuple[str, str]
    facts: dict[str, Any]

    @property
    def key_source(self) -> str:
        """What the keys were made from; banks from before `bank.json` told it have keys of their sounds."""
        return self.facts.get("key_source", "audio")


def checked_clips(clips: pa.Table, names: Sequence[str] = tuple(CLIP_SCHEMA.names)) -> pa.Table:
    """Return the columns `names`, with the types of `CLIP_SCHEMA`.

    Raises:
        AudioBertInputError: one is missing, or an id occurs twice.
    """
    missing = [name for name in names if name not in clips.column_names]
    if missing:
        raise AudioBertInputError(
            f"the clips of an audio bank need the columns {', '.join(CLIP_SCHEMA.names)}; missing: "
            f"{', '.join(missing)}."
        )
    clips = clips.select(names).cast(pa.schema([CLIP_SCHEMA.field(name) for name in names]))
    counts = clips["id"].value_counts().to_pylist() if len(clips["id"].unique()) < len(clips) else []
    twice: Sequence[str] = [entry["values"] for entry in counts if entry["counts"] > 1]
    if twice:
        raise AudioBertInputError(
            f"the clip id '{twice[0]}' occurs more than once in the audio bank ({len(twice)} such ids). Give every "
            f"clip an id of its own."
        )
    return clips


def checked_source(key_source: str) -> str:
    """Return what keys were made from.

    Raises:
        AudioBertInputError: it is neither sounds nor captions.
    """
    if key_source not in _KEY_SOURCES:
        raise AudioBertInputError(f"key_source='{key_source}' makes no sense: 'audio' or 'captions'.")
    return key_source


def finite_rows(name: str, embeddings: torch.Tensor, ids: pa.ChunkedArray) -> torch.FloatTensor:
    """Return keys or values of the clips with these ids as float32.

    Raises:
        AudioBertInputError: a clip's are not finite.
    """
    finite = torch.isfinite(embeddings).all(dim=1)
    if not finite.all():
        raise AudioBertInputError(
            f"the {name} of clip '{_first(ids, ~finite)}' are not finite numbers. Remove the clip, or check the "
            f"encoder, and build the bank again."
        )
    return embeddings.float()


def unit_keys(keys: torch.Tensor, ids: pa.ChunkedArray) -> torch.FloatTensor:
    """Return the keys of the clips with these ids, of norm 1.

    Raises:
        AudioBertInputError: one is not finite, or zero.
    """
    keys = finite_rows("keys", keys, ids)
    norms = keys.norm(dim=1, keepdim=True)
    if (norms == 0).any():
        raise AudioBertInputError(
            f"the key of clip '{_first(ids, norms[:, 0] == 0)}' is zero, so it has no direction to compare. Remove "
            f"the clip and build the bank again."
        )
    # Dividing again what already has norm 1 would change its last bits.
    off = (norms - 1).abs() > 1e-6
    return torch.where(off, keys / norms, keys) if off.any() else keys


def embedding_digest(embeddings: torch.Tensor) -> str:
    """Return the SHA-256 of embeddings: of their shape and their float32 numbers, row by row."""
    digest = hashlib.sha256(str(tuple(embeddings.shape)).encode())
    for rows in embeddings.split(_DIGESTED_ROWS):
        digest.update(rows.detach().cpu().float().contiguous().numpy().astype("<f4", copy=False))
    return digest.hexdigest()


def write_embeddings(file: Path, name: str, embeddings: torch.Tensor, digest: str) -> None:
    """Write keys or values, with their digest in the file's header."""
    save_file({name: embeddings.cpu().contiguous()}, file, metadata={"digest": digest})


def read_bank(folder_or_repo: str, subfolder: str, hub_kwargs: dict) -> StoredBank:
    """Open the files of a bank; of keys and values only the headers are read.

    Raises:
        AudioBertInputError: a file is missing or damaged, or of another format.
    """
    place = f"{folder_or_repo}/{subfolder}".rstrip("/")
    names = ("bank.json", "clips.parquet", "keys.safetensors", "values.safetensors")
    files = {name: bank_file(folder_or_repo, name, subfolder, hub_kwargs) for name in names}
    try:
        facts = json.loads(Path(files["bank.json"]).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise AudioBertInputError(
                f"the audio bank '{place}' has format {facts['format']}, this version of audiobert reads format "
                f'{FORMAT}. Build it again with "audiobert bank build", or install the version that wrote it.'
            )
        if facts.get("key_source", "audio") not in _KEY_SOURCES:
            raise AudioBertInputError(
                f"the keys of the audio bank '{place}' were made from '{facts['key_source']}', which this version of "
                f"audiobert does not know ({', '.join(_KEY_SOURCES)}). Install the version that wrote it."
            )
        keys, key_digest = _read_embeddings(files["keys.safetensors"], "keys")
        values, value_digest = _read_embeddings(files["values.safetensors"], "values")
        return StoredBank(
            clips=ClipTable.read(files["clips.parquet"]),
            embeddings={"keys": keys, "values": values},
            digests={"keys": key_digest, "values": value_digest},
            fingerprints=(facts["key_fingerprint"], facts["value_fingerprint"]),
            facts=facts,
        )
    except AudioBertInputError:
        raise
    except (ValueError, KeyError, TypeError, pa.ArrowException, SafetensorError) as error:
        raise AudioBertInputError(
            f"the audio bank '{place}' is damaged ({error}). Build it again with \"audiobert bank build\"."
        ) from error


def _read_embeddings(file: str | Path, name: str) -> tuple[torch.Tensor, str | None]:
    """Map keys or values into memory; return them and the digest in the file's header, None if it has none.

    Nothing but the header is read: it tells whether the file is complete, and how the numbers are to be read.
    """
    with safe_open(file, "pt") as stored:
        digest = (stored.metadata() or {}).get("digest")
        embeddings = stored.get_tensor(name)
    if embeddings.ndim != 2 or embeddings.dtype != torch.float32:
        raise ValueError(f"its {name} are {embeddings.dtype} of shape {tuple(embeddings.shape)}")
    return embeddings, digest


def _first(ids: pa.ChunkedArray, bad: torch.Tensor) -> str:
    return ids[int(bad.nonzero()[0])].as_py()


def bank_file(folder_or_repo: str, name: str, subfolder: str, hub_kwargs: dict) -> str:
    """Return where a file of a bank lies on this machine.

    Raises:
        AudioBertInputError: it cannot be had.
    """
    try:
        return cached_file(folder_or_repo, name, subfolder=subfolder, **hub_kwargs)
    # ValueError: what huggingface_hub below 1.0 says of a path that does not exist, as it is no repository id either.
    except (OSError, ValueError) as error:
        raise AudioBertInputError(
            f"there is no audio bank at '{folder_or_repo}{'/' + subfolder if subfolder else ''}': its file '{name}' "
            f'could not be had ({str(error).splitlines()[0]}). Build one with "audiobert bank build".'
        ) from error
