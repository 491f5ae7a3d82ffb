"""The audio bank: clips, the keys they are found by, and the values they inject."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers.utils import cached_file

from .atomic_files import staged_folder
from .errors import AudioBertInputError


__all__ = ["CLIP_SCHEMA", "AudioBank", "RetrievedClips"]

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
_FORMAT = 1
# More than float32 rounding can change a cosine of vectors of norm 1, of any width in use.
_ROUGHNESS = 1e-5


@dataclass
class RetrievedClips:
    """What a search found; see `AudioBank.search` for the shapes."""

    clip_ids: torch.LongTensor
    similarities: torch.FloatTensor
    exact: bool = True


class AudioBank:
    """Clips with their keys (CLAP audio embeddings, searched) and values (audio-encoder embeddings, injected).

    Args:
        clips (`pyarrow.Table`):
            One row a clip, columns of `CLIP_SCHEMA`: `id` (unique), `caption`, `label`, `path` (relative to the folder
            that the clips came from, with forward slashes), `audio` (the file's bytes, or null), `licence`,
            `duration_seconds`. Captions, labels and licences may be null: not known.
        keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`):
            CLAP audio embeddings of any norm; kept as float32 of norm 1.
        values (`torch.FloatTensor` of shape `(num_clips, value_dim)`):
            The audio encoder's embeddings before the model's projection; kept as float32.
        key_fingerprint (`str`), value_fingerprint (`str`):
            `encoder_fingerprint` of the encoders that made them.

    Raises:
        AudioBertInputError: the counts differ, an id occurs twice, or an embedding is not finite or (a key) is zero.
    """

    def __init__(
        self,
        clips: pa.Table,
        keys: torch.Tensor,
        values: torch.Tensor,
        key_fingerprint: str,
        value_fingerprint: str,
    ):
        self.clips = _checked_clips(clips)
        for name, tensor in (("keys", keys), ("values", values)):
            if tensor.ndim != 2 or len(tensor) != len(self.clips):
                raise AudioBertInputError(
                    f"an audio bank of {len(self.clips)} clips needs {name} of shape ({len(self.clips)}, dim), not "
                    f'{tuple(tensor.shape)}. Build it again with "audiobert bank build".'
                )
            finite = torch.isfinite(tensor).all(dim=1) if tensor.numel() else torch.ones(len(tensor), dtype=torch.bool)
            if not finite.all():
                raise AudioBertInputError(
                    f"the {name} of clip '{self._clip_name(finite)}' are not finite numbers. Remove the clip, or "
                    f"check the encoder, and build the bank again."
                )
        norms = keys.float().norm(dim=1, keepdim=True)
        if (norms == 0).any():
            raise AudioBertInputError(
                f"the key of clip '{self._clip_name(norms[:, 0] > 0)}' is zero, so it has no direction to compare. "
                f"Remove the clip and build the bank again."
            )
        # Dividing again what already has norm 1 would change its last bits at every save and load.
        keys = keys.float()
        self.keys = torch.where((norms - 1).abs() <= 1e-6, keys, keys / norms)
        self.values = values.float()
        self.key_fingerprint = key_fingerprint
        self.value_fingerprint = value_fingerprint

    def __len__(self) -> int:
        return self.clips.num_rows

    def __repr__(self) -> str:
        return (
            f"AudioBank({len(self)} clips, key_dim={self.keys.shape[1]}, value_dim={self.values.shape[1]}, "
            f"key_fingerprint='{self.key_fingerprint}', value_fingerprint='{self.value_fingerprint}')"
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

    def clip(self, clip_id: int) -> dict:
        """Return one clip's row, its sound left out.

        Args:
            clip_id (`int`): position in the bank, from 0.

        Raises:
            AudioBertInputError: there is no clip at that position.
        """
        if not 0 <= clip_id < len(self):
            raise AudioBertInputError(f"the audio bank has {len(self)} clips; there is none at position {clip_id}.")
        return self.clips.drop_columns("audio").slice(clip_id, 1).to_pylist()[0]

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
                - **exact** (`bool`): False if the bank answered from an approximate index.

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
            best, similarities[:, :found] = _nearest(self.keys, queries.float(), found)
            clip_ids[:, :found] = best.masked_fill(similarities[:, :found] < min_similarity, -1)
        return RetrievedClips(clip_ids=clip_ids, similarities=similarities)

    def save(self, folder: str | Path) -> None:
        """Write the bank: `clips.parquet`, `keys.safetensors`, `values.safetensors`, `bank.json`.

        Raises:
            AudioBertInputError: the folder cannot be written to, or the disk is full.
        """
        with staged_folder(folder) as stage:
            pq.write_table(self.clips, stage / "clips.parquet")
            save_file({"keys": self.keys.cpu().contiguous()}, stage / "keys.safetensors")
            save_file({"values": self.values.cpu().contiguous()}, stage / "values.safetensors")
            facts = {
                "format": _FORMAT,
                "num_clips": len(self),
                "key_fingerprint": self.key_fingerprint,
                "value_fingerprint": self.value_fingerprint,
            }
            (stage / "bank.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder_or_repo: str | Path, subfolder: str = "", **hub_kwargs) -> "AudioBank":
        """Read a bank from a local folder or a Hub repository.

        Args:
            folder_or_repo (`str` or `Path`):
                What `save` wrote, or the id of a Hub repository that holds it.
            subfolder (`str`, *optional*, defaults to `""`):
                Folder inside it; a saved AudioBERT keeps its bank in `"bank"`.
            **hub_kwargs:
                `revision`, `token`, `cache_dir` and the other keywords of `transformers.utils.cached_file`.

        Raises:
            AudioBertInputError: a file of the bank is missing, damaged, or does not fit the others.
        """
        place = f"{folder_or_repo}/{subfolder}".rstrip("/")
        files = {
            name: _bank_file(str(folder_or_repo), name, subfolder, hub_kwargs)
            for name in ("bank.json", "clips.parquet", "keys.safetensors", "values.safetensors")
        }
        try:
            facts = json.loads(Path(files["bank.json"]).read_text(encoding="utf-8"))
            clips = pq.read_table(files["clips.parquet"])
            keys = load_file(files["keys.safetensors"])["keys"]
            values = load_file(files["values.safetensors"])["values"]
            fingerprints = facts["key_fingerprint"], facts["value_fingerprint"]
        except (ValueError, KeyError, pa.ArrowException, SafetensorError) as error:
            raise AudioBertInputError(
                f"the audio bank '{place}' is damaged ({error}). Build it again with \"audiobert bank build\"."
            ) from error
        if facts.get("format") != _FORMAT:
            raise AudioBertInputError(
                f"the audio bank '{place}' has format {facts.get('format')}, this version of audiobert reads format "
                f'{_FORMAT}. Build it again with "audiobert bank build", or install the version that wrote it.'
            )
        return cls(clips, keys, values, *fingerprints)

    def _clip_name(self, fine: torch.Tensor) -> str:
        return self.clips["id"][int((~fine).nonzero()[0])].as_py()


def _nearest(keys: torch.Tensor, queries: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return positions and cosines of the `count` nearest keys of each query, the earlier where two are equal.

    The last bits of a float32 product depend on where in the matrix a key stands, so that two clips with the same key
    would not be equal. Whatever comes near the last place is therefore compared again, each by itself in float64.
    """
    queries = torch.nn.functional.normalize(queries, dim=1)
    rough = queries @ keys.T
    near = rough.topk(count, dim=1).values[:, -1:] - _ROUGHNESS
    width = int((rough >= near).sum(dim=1).max())
    candidates = rough.topk(width, dim=1).indices.sort(dim=1).values
    cosines = (keys[candidates].double() * queries.double().unsqueeze(1)).sum(dim=-1).clamp(-1.0, 1.0)
    order = cosines.argsort(dim=1, descending=True, stable=True)[:, :count]
    return candidates.gather(1, order), cosines.gather(1, order).float()


def _checked_clips(clips: pa.Table) -> pa.Table:
    missing = [name for name in CLIP_SCHEMA.names if name not in clips.column_names]
    if missing:
        raise AudioBertInputError(
            f"the clips of an audio bank need the columns {', '.join(CLIP_SCHEMA.names)}; missing: "
            f"{', '.join(missing)}."
        )
    clips = clips.select(CLIP_SCHEMA.names).cast(CLIP_SCHEMA)
    counts = clips["id"].value_counts().to_pylist()
    twice: Sequence[str] = [entry["values"] for entry in counts if entry["counts"] > 1]
    if twice:
        raise AudioBertInputError(
            f"the clip id '{twice[0]}' occurs more than once in the audio bank ({len(twice)} such ids). Give every "
            f"clip an id of its own."
        )
    return clips


def _bank_file(folder_or_repo: str, name: str, subfolder: str, hub_kwargs: dict) -> str:
    try:
        return cached_file(folder_or_repo, name, subfolder=subfolder, **hub_kwargs)
    # ValueError: what huggingface_hub below 1.0 says of a path that does not exist, as it is no repository id either.
    except (OSError, ValueError) as error:
        raise AudioBertInputError(
            f"there is no audio bank at '{folder_or_repo}{'/' + subfolder if subfolder else ''}': its file '{name}' "
            f'could not be had ({str(error).splitlines()[0]}). Build one with "audiobert bank build".'
        ) from error
