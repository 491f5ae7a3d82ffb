"""The audio bank: clips, the keys they are found by, and the values they inject."""

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch

from .atomic_files import staged_folder
from .bank_index import INDEX_FOLDER, BankIndex, IndexFacts, choose_kind
from .bank_storage import (
    CLIP_SCHEMA,
    FORMAT,
    ClipTable,
    checked_clips,
    checked_source,
    embedding_digest,
    finite_rows,
    read_bank,
    unit_keys,
    write_embeddings,
)
from .errors import AudioBertInputError
from .exact_search import nearest_keys


__all__ = ["CLIP_SCHEMA", "AudioBank", "RetrievedClips"]

# A key of norm 1 to float32's precision has no greater cosine; a damaged one may.
_MOST_COSINE = 1 + 1e-4


@dataclass
class RetrievedClips:
    """What a search found; see `AudioBank.search` for the shapes."""

    clip_ids: torch.LongTensor
    similarities: torch.FloatTensor
    exact: bool = True


class AudioBank:
    """Clips with their keys (CLAP embeddings, searched) and values (audio-encoder embeddings, injected).

    Args:
        clips (`pyarrow.Table`):
            One row a clip, columns of `CLIP_SCHEMA`: `id` (unique), `caption`, `label`, `path` (relative to the folder
            that the clips came from, with forward slashes), `audio` (the file's bytes, or null), `licence`,
            `duration_seconds`. Captions, labels and licences may be null: not known.
        keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`):
            CLAP embeddings of any norm; kept as float32 of norm 1.
        values (`torch.FloatTensor` of shape `(num_clips, value_dim)`):
            The audio encoder's embeddings before the model's projection; kept as float32.
        key_fingerprint (`str`), value_fingerprint (`str`):
            `encoder_fingerprint` of the encoders that made them.
        key_source (`str`, *optional*, defaults to `"audio"`):
            What the keys were made from: `"audio"`, the clips' sounds, as in the paper (arXiv 2409.08199, eq. 1), or
            `"captions"`, see `key_by_captions`.

    Raises:
        AudioBertInputError: the counts differ, an id occurs twice, an embedding is not finite or (a key) is zero, or
            the source of the keys is unknown.
    """

    def __init__(
        self,
        clips: pa.Table,
        keys: torch.Tensor,
        values: torch.Tensor,
        key_fingerprint: str,
        value_fingerprint: str,
        key_source: str = "audio",
    ):
        self._clips = ClipTable(checked_clips(clips))
        _check_shapes(len(clips), keys=keys, values=values)
        ids = self.descriptions["id"]
        self.keys = unit_keys(keys, ids)
        self.values = finite_rows("values", values, ids)
        self.key_fingerprint = key_fingerprint
        self.value_fingerprint = value_fingerprint
        self.key_source = checked_source(key_source)
        self._digests: dict[str, str | None] = {"keys": None, "values": None}
        self.index: BankIndex | None = None

    @property
    def clips(self) -> pa.Table:
        """The clips, in the columns of `CLIP_SCHEMA`. The sounds in a saved bank are read at the first use."""
        return self._clips.whole

    @property
    def descriptions(self) -> pa.Table:
        """The clips without the column `audio`."""
        return self._clips.descriptions

    def __len__(self) -> int:
        return self.descriptions.num_rows

    def __repr__(self) -> str:
        return (
            f"AudioBank({len(self)} clips, key_dim={self.keys.shape[1]}, value_dim={self.values.shape[1]}, "
            f"key_source='{self.key_source}', key_fingerprint='{self.key_fingerprint}', "
            f"value_fingerprint='{self.value_fingerprint}', index='{self.index_kind}')"
        )

    @classmethod
    def empty(cls, key_dim: int, value_dim: int, key_fingerprint: str, value_fingerprint: str) -> "AudioBank":
        """Return a bank without clips: every search finds nothing."""
        keys, values = torch.zeros(0, key_dim), torch.zeros(0, value_dim)
        return cls(CLIP_SCHEMA.empty_table(), keys, values, key_fingerprint, value_fingerprint)

    def to(self, device: torch.device | str) -> "AudioBank":
        """Move keys and values to `device`, in place; return the bank."""
        self.keys = self.keys.to(device)
        self.values = self.values.to(device)
        return self

    @property
    def index_kind(self) -> str:
        """How the bank is searched: `"exact"`, or by an index of kind `"hnsw"`, `"ivfpq"` or `"milvus"`."""
        return self.index.facts.kind if self.index else "exact"

    def clip(self, clip_id: int) -> dict:
        """Return one clip's row, its sound left out.

        Args:
            clip_id (`int`): position in the bank, from 0.

        Raises:
            AudioBertInputError: there is no clip at that position.
        """
        if not 0 <= clip_id < len(self):
            raise AudioBertInputError(f"the audio bank has {len(self)} clips; there is none at position {clip_id}.")
        return self.descriptions.slice(clip_id, 1).to_pylist()[0]

    def with_keys(self, keys: torch.Tensor, key_source: str) -> "AudioBank":
        """Return this bank with other keys that the same CLAP made from something else; it has no index.

        Args:
            keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`), key_source (`str`): as of `AudioBank`.

        Raises:
            AudioBertInputError: there are more or fewer keys than clips, one is not finite or zero, or the source is
                unknown.
        """
        _check_shapes(len(self), keys=keys)
        bank = copy.copy(self)
        bank.keys = unit_keys(keys, self.descriptions["id"])
        bank.key_source = checked_source(key_source)
        bank.index = None
        bank._digests = {**self._digests, "keys": None}
        return bank

    def with_values(self, values: torch.Tensor, value_fingerprint: str) -> "AudioBank":
        """Return this bank with other values, as another audio encoder makes them; the keys are the same.

        Raises:
            AudioBertInputError: there are more or fewer values than clips, or they are not finite.
        """
        _check_shapes(len(self), values=values)
        if not torch.isfinite(values).all():
            raise AudioBertInputError("the new values of the audio bank are not finite: check the audio encoder.")
        bank = copy.copy(self)
        bank.values, bank.value_fingerprint = values.float(), value_fingerprint
        bank._digests = {**self._digests, "values": None}
        return bank

    def build_index(
        self,
        kind: str | None = None,
        recall: float = 0.95,
        queries: torch.Tensor | None = None,
        uri: str | None = None,
    ) -> "IndexFacts | None":
        """Search the bank by an index from now on; saved with it. Recall is measured, and similarities stay exact.

        Args:
            kind (`str`, *optional*):
                `"exact"` for none; `"hnsw"` or `"ivfpq"` of FAISS; `"milvus"`. Left out: by the number of clips,
                exact below 50,000, then IVF-PQ.
            recall (`float`, *optional*, defaults to 0.95):
                Which share of the nearest 10 clips has to be found, above 0 and up to 1.
            queries (`torch.FloatTensor` of shape `(num_queries, key_dim)`, *optional*):
                CLAP text embeddings to measure it by: half of them choose the effort, the other half is measured.
                Left out: 512 of the keys, each by the other clips it finds, and the same turned away at random to a
                cosine of 0.5, about as far as a text is from its clips; the lower recall of both counts.
            uri (`str`, *optional*):
                Of a Milvus server, which needs its token in the environment variable `MILVUS_TOKEN`, if any. Left
                out, Milvus is embedded and its data lie in the bank's folder, for one process at a time.

        Returns:
            `IndexFacts`: what was chosen and measured; None for `"exact"`.

        Raises:
            AudioBertInputError: an argument makes no sense, a package is missing (the error names the extra to
                install), the server cannot be reached or refuses, the recall is not reached, or the bank's file is
                damaged.
        """
        kind = choose_kind(len(self)) if kind is None else kind
        if kind == "exact":
            self.index = None
            return None
        self.verify()
        self.index = BankIndex.build(kind, self.keys, self.digest("keys"), recall, queries, uri)
        return self.index.facts

    def search(self, queries: torch.Tensor, top_k: int = 1, min_similarity: float = -1.0) -> RetrievedClips:
        """Return, for each query, the clips whose keys point most nearly in its direction.

        Args:
            queries (`torch.FloatTensor` of shape `(num_queries, key_dim)`):
                CLAP text embeddings, one per span, of any floating dtype and norm; compared in float32.
                `num_queries` may be 0.
            top_k (`int`, *optional*, defaults to 1):
                Clips per query, at least 1.
            min_similarity (`float`, *optional*, defaults to -1.0):
                Lowest cosine similarity (-1 to 1) that counts as a match.

        Returns:
            `RetrievedClips`, on the device of `queries`:
                - **clip_ids** (`torch.LongTensor` of shape `(num_queries, top_k)`): positions in the bank, best
                  first, the earlier clip where two are equal; -1 below `min_similarity`, and where the bank has
                  fewer than `top_k` clips.
                - **similarities** (`torch.FloatTensor` of shape `(num_queries, top_k)`): cosine, float32. Given
                  beside a -1 too, so that the caller sees how near the miss was; -1.0 where the bank has no clip.
                - **exact** (`bool`): False if the bank answered from an approximate index, which may miss a clip. The
                  similarities of those it finds are exact all the same.

        Raises:
            AudioBertInputError: `queries` is not `(num_queries, key_dim)` or holds NaN; `top_k` is below 1.

        Source:
            arXiv 2409.08199, section II-B: the most similar clip by CLAP. `top_k` above 1 and `min_similarity`
            are ours.
        """
        if queries.ndim != 2 or queries.shape[1] != self.keys.shape[1]:
            raise AudioBertInputError(
                f"queries of shape {tuple(queries.shape)} do not fit this audio bank's keys of width "
                f"{self.keys.shape[1]}. Use the CLAP model that the bank was built with."
            )
        if top_k < 1:
            raise AudioBertInputError(f"top_k is {top_k}, but at least one clip has to be asked for.")
        if not torch.isfinite(queries).all():
            raise AudioBertInputError("a query embedding is not a finite number: check the CLAP text tower's weights.")
        clip_ids = torch.full((len(queries), top_k), -1, dtype=torch.long, device=queries.device)
        similarities = torch.full((len(queries), top_k), -1.0, dtype=torch.float32, device=queries.device)
        found = min(top_k, len(self))
        if len(queries) and found:
            if self.keys.device != queries.device:
                self.to(queries.device)
            nearest = self.index.nearest if self.index else nearest_keys
            best, cosines = nearest(self.keys, queries, found)
            if not (cosines.abs() <= _MOST_COSINE).all():
                raise AudioBertInputError(
                    f"keys of the audio bank ({len(self)} clips) are not of norm 1: its file is damaged. Build the "
                    f'bank again with "audiobert bank build".'
                )
            similarities[:, :found] = cosines.clamp(-1.0, 1.0).float()
            clip_ids[:, :found] = best.masked_fill(similarities[:, :found] < min_similarity, -1)
        return RetrievedClips(clip_ids=clip_ids, similarities=similarities, exact=self.index is None)

    def save(self, folder: str | Path) -> None:
        """Write the bank: `clips.parquet`, `keys.safetensors`, `values.safetensors`, `bank.json`, and its index.

        Raises:
            AudioBertInputError: the folder cannot be written to, or the disk is full; or the keys were changed since
                the index was made.
        """
        # Taken anew: whoever changed the tensors in place would save a digest that is not theirs.
        self._digests = {name: embedding_digest(getattr(self, name)) for name in ("keys", "values")}
        self._check_index()
        with staged_folder(folder) as stage:
            self._clips.write(stage / "clips.parquet")
            for name in ("keys", "values"):
                write_embeddings(stage / f"{name}.safetensors", name, getattr(self, name), self._digests[name])
            self._save_index(stage)
        if self.index is None:
            shutil.rmtree(Path(folder) / INDEX_FOLDER, ignore_errors=True)

    def save_index(self, folder: str | Path) -> None:
        """Write the index beside a bank that was saved before; nothing else of it is written again.

        Args:
            folder (`str` or `Path`): where this bank was saved.

        Raises:
            AudioBertInputError: another bank, or none, is saved there, or it cannot be written to.
        """
        stored = read_bank(str(folder), "", {})
        self._check_index()
        if len(stored.clips.descriptions) != len(self) or stored.digests["keys"] not in (None, self.digest("keys")):
            raise AudioBertInputError(f"'{folder}' holds another audio bank than the one that was indexed.")
        with staged_folder(folder) as stage:
            if stored.digests["keys"] is None:  # a bank saved before files told their digest
                write_embeddings(stage / "keys.safetensors", "keys", self.keys, self.digest("keys"))
            self._save_index(stage, stored.facts)
        if self.index is None:
            shutil.rmtree(Path(folder) / INDEX_FOLDER, ignore_errors=True)

    @classmethod
    def load(cls, folder_or_repo: str | Path, subfolder: str = "", index: str = "saved", **hub_kwargs) -> "AudioBank":
        """Read a bank from a local folder or a Hub repository.

        Args:
            folder_or_repo (`str` or `Path`):
                What `save` wrote, or the id of a Hub repository that holds it.
            subfolder (`str`, *optional*, defaults to `""`):
                Folder inside it; a saved AudioBERT keeps its bank in `"bank"`.
            index (`str`, *optional*, defaults to `"saved"`):
                `"saved"` to search as the bank was saved, by its index if it has one; `"exact"` to compare all keys.
            **hub_kwargs:
                `revision`, `token`, `cache_dir` and the other keywords of `transformers.utils.cached_file`.

        Raises:
            AudioBertInputError: a file of the bank is missing, damaged, or does not fit the others; or its index
                needs a package that is missing, was made from other keys, or lies on a server that does not answer.
        """
        if index not in ("saved", "exact"):
            raise AudioBertInputError(f"index='{index}' makes no sense: 'saved' or 'exact'.")
        stored = read_bank(str(folder_or_repo), subfolder, hub_kwargs)
        bank = cls.__new__(cls)
        bank._clips = stored.clips
        bank._digests = stored.digests
        bank.keys, bank.values = stored.embeddings["keys"], stored.embeddings["values"]
        bank.key_fingerprint, bank.value_fingerprint = stored.fingerprints
        bank.key_source = stored.key_source
        _check_shapes(len(bank), **stored.embeddings)
        bank.index = None
        if index == "saved" and stored.facts.get("index", "exact") != "exact":
            bank.index = BankIndex.load(str(folder_or_repo), subfolder, hub_kwargs, stored.digests["keys"])
        return bank

    def digest(self, name: str) -> str:
        """Return the SHA-256 of the bank's `"keys"` or `"values"`, as it stands in their file's header."""
        if self._digests[name] is None:
            self._digests[name] = embedding_digest(getattr(self, name))
        return self._digests[name]

    def verify(self) -> None:
        """Read all keys and values, which loading does not.

        Raises:
            AudioBertInputError: they are not what was saved.
        """
        for name in ("keys", "values"):
            if self._digests[name] not in (None, embedding_digest(getattr(self, name))):
                raise AudioBertInputError(
                    f"the {name} of the audio bank ({len(self)} clips) are not those that were saved: the file is "
                    f'damaged. Build the bank again with "audiobert bank build".'
                )

    def _check_index(self) -> None:
        if self.index is not None and self.index.facts.key_digest != self.digest("keys"):
            raise AudioBertInputError(
                f"the index of the audio bank ({len(self)} clips) was made from other keys than the bank has now. "
                f'Make it again with build_index or "audiobert bank index".'
            )

    def _save_index(self, stage: Path, facts: dict | None = None) -> None:
        """Write the index and what `bank.json` tells, of it and of the bank."""
        if self.index is not None:
            self.index.save(stage)
        facts = facts or {
            "format": FORMAT,
            "num_clips": len(self),
            "key_source": self.key_source,
            "key_fingerprint": self.key_fingerprint,
            "value_fingerprint": self.value_fingerprint,
        }
        text = json.dumps(facts | {"index": self.index_kind}, indent=2) + "\n"
        (stage / "bank.json").write_text(text, encoding="utf-8")


def _check_shapes(num_clips: int, **embeddings: torch.Tensor) -> None:
    for name, tensor in embeddings.items():
        if tensor.ndim != 2 or len(tensor) != num_clips:
            raise AudioBertInputError(
                f"an audio bank of {num_clips} clips needs {name} of shape ({num_clips}, dim), not "
                f'{tuple(tensor.shape)}. Build it again with "audiobert bank build".'
            )
