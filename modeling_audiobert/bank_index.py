"""Approximate search in a large bank: an index over its keys, tuned to a stated recall and saved beside them."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .bank_storage import bank_file
from .errors import AudioBertInputError
from .exact_search import SEARCH_EXACTLY, nearest_keys, rank_candidates
from .faiss_index import FaissIndex
from .milvus_index import MilvusIndex


__all__ = ["INDEX_FOLDER", "INDEX_KINDS", "BankIndex", "IndexFacts", "choose_kind"]

logger = logging.getLogger(__name__)

INDEX_KINDS = ("exact", "hnsw", "ivfpq", "milvus")
INDEX_FOLDER = "index"
_FACTS = "index.json"
# Measured by benchmarks/retrieval.py (benchmarks/results/retrieval.md): at 10,000 clips an index saves milliseconds.
# At 100,000 IVF-PQ answers 32 queries in 54 to 70 % of the time of HNSW, is built in a third of the time and takes a
# seventh of the memory. HNSW missed none of the nearest clips there (IVF-PQ 0.4 %): on request.
_LEAST_IVFPQ = 50_000
# Recall is measured for this many clips a query.
_AT = 10
_QUERIES = 512
# How near a key that was turned away is to itself: about as near as a text is to its clip with CLAP.
_TURNED_COSINE = 0.5
# Candidates for each clip asked for.
_POOLS = (4, 8, 16, 32, 64)
# Twice the effort for less recall than this is not worth it: more candidates are tried instead.
_LEAST_GAIN = 0.002


@dataclass
class IndexFacts:
    """What `index.json` tells of an index.

    Args:
        kind (`str`): `"hnsw"`, `"ivfpq"` or `"milvus"`.
        key_digest (`str`): `embedding_digest` of the keys it was made from.
        num_clips (`int`), key_dim (`int`): of these keys.
        recall (`float`): which share of the nearest 10 clips it had to find.
        measured_recall (`float`): which it found, of queries that nothing was chosen by; of two groups, the lower.
        num_queries (`int`), queries (`str`): how many those were, and what.
        pool (`int`): candidates it gives for each clip asked for, which are then compared exactly.
        effort (`int`): efSearch, nprobe or ef; see `efforts` of the index.
        parameters (`dict`): what it was built with.
        library (`str`): what it was built by, and its version.
        stored (`dict`): what its own `load` needs.
    """

    kind: str
    key_digest: str
    num_clips: int
    key_dim: int
    recall: float
    measured_recall: float
    num_queries: int
    queries: str
    pool: int
    effort: int
    parameters: dict[str, Any]
    library: str
    stored: dict[str, Any]


class BankIndex:
    """Finds candidates by an approximate index and compares them exactly, so that similarities are always exact.

    Args:
        facts (`IndexFacts`): what it is and what was measured.
        finder (`FaissIndex` or `MilvusIndex`): gives the candidates.
    """

    def __init__(self, facts: IndexFacts, finder: FaissIndex | MilvusIndex):
        self.facts = facts
        self.finder = finder

    @classmethod
    def build(
        cls,
        kind: str,
        keys: torch.Tensor,
        key_digest: str,
        recall: float = 0.95,
        queries: torch.Tensor | None = None,
        uri: str | None = None,
    ) -> "BankIndex":
        """Index keys, and choose the least effort by which the stated recall is reached.

        Args: see `AudioBank.build_index`.

        Raises:
            AudioBertInputError: see `AudioBank.build_index`.
        """
        _check_choices(kind, recall, uri, len(keys))
        seed = int(key_digest[:8], 16)
        groups = _own_queries(keys, seed) if queries is None else [_given_queries(keys, queries)]
        finder = MilvusIndex.build(keys, key_digest, uri) if kind == "milvus" else FaissIndex.build(kind, keys, seed)
        pool, effort, measured = _tuned(finder, keys, groups, recall)
        facts = IndexFacts(
            kind=kind,
            key_digest=key_digest,
            num_clips=len(keys),
            key_dim=keys.shape[1],
            recall=recall,
            measured_recall=measured,
            num_queries=sum(len(group.queries[1::2]) for group in groups),
            queries=", ".join(group.name for group in groups),
            pool=pool,
            effort=effort,
            parameters=finder.parameters,
            library=finder.library,
            stored={},
        )
        logger.info("%d clips: %s, recall@%d %.3f of %d queries", len(keys), kind, _AT, measured, facts.num_queries)
        return cls(facts, finder)

    def nearest(
        self, keys: torch.Tensor, queries: torch.Tensor, count: int
    ) -> tuple[torch.LongTensor, torch.DoubleTensor]:
        """Return the nearest keys among the candidates; see `nearest_keys`. Queries with too few get all compared."""
        # The setting was measured for so many clips; more take more, in proportion.
        asked = max(count, _AT)
        setting = self.facts.pool * asked, self.facts.effort * -(-asked // _AT)
        ids, cosines = _nearest(self.finder, keys, queries, count, setting)
        short = ids[:, -1] < 0
        if short.any():
            ids[short], cosines[short] = nearest_keys(keys, queries[short], count)
        return ids, cosines

    def save(self, bank_folder: Path) -> None:
        """Write the index into the folder `index` of a bank.

        Raises:
            AudioBertInputError: it cannot be written.
        """
        folder = bank_folder / INDEX_FOLDER
        folder.mkdir()
        facts = asdict(self.facts) | {"stored": self.finder.save(folder)}
        (folder / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder_or_repo: str, subfolder: str, hub_kwargs: dict, key_digest: str | None) -> "BankIndex":
        """Read the index of a saved bank.

        Args:
            folder_or_repo (`str`), subfolder (`str`), hub_kwargs (`dict`): as in `AudioBank.load`.
            key_digest (`str`, *optional*): of the bank's keys, as their file tells it.

        Raises:
            AudioBertInputError: a package or a file is missing, the index is damaged or was made from other keys, or
                Milvus does not answer.
        """
        place = f"{folder_or_repo}/{subfolder}".rstrip("/")

        def find_file(name: str) -> str:
            try:
                return bank_file(folder_or_repo, name, f"{subfolder}/{INDEX_FOLDER}".lstrip("/"), hub_kwargs)
            except AudioBertInputError as error:
                raise ValueError(f"its file '{name}' cannot be had") from error

        try:
            facts = json.loads(Path(find_file(_FACTS)).read_text(encoding="utf-8"))
            if facts["key_digest"] != key_digest:
                raise AudioBertInputError(
                    f"the index of the audio bank '{place}' was made from other keys than the bank has now. Make it "
                    f'again with "audiobert bank index", or {SEARCH_EXACTLY}.'
                )
            finder = MilvusIndex if facts["kind"] == "milvus" else FaissIndex
            return cls(IndexFacts(**facts), finder.load(facts | facts["stored"], find_file))
        except AudioBertInputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise AudioBertInputError(
                f"the index of the audio bank '{place}' is damaged ({error}). Make it again with \"audiobert bank "
                f'index", or {SEARCH_EXACTLY}.'
            ) from error


def choose_kind(num_clips: int) -> str:
    """Return the kind of search for a bank of that size, whatever is installed."""
    return "exact" if num_clips < _LEAST_IVFPQ else "ivfpq"


@dataclass
class _Queries:
    """Queries to measure recall by; `own` are the positions of the keys that they are, which do not count, or -1."""

    name: str
    queries: torch.Tensor
    own: torch.LongTensor


def _nearest(
    finder: FaissIndex | MilvusIndex, keys: torch.Tensor, queries: torch.Tensor, count: int, setting: tuple[int, int]
) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    """Return the nearest of so many candidates, found with that effort."""
    num_candidates, effort = setting
    units = torch.nn.functional.normalize(queries.detach().float(), dim=1).cpu()
    candidates = finder.candidates(units, min(len(keys), num_candidates), effort).to(keys.device)
    if candidates.numel() and int(candidates.max()) >= len(keys):
        raise AudioBertInputError(
            f"the index names clip {int(candidates.max())}, but the audio bank has {len(keys)} clips (from 0). Make "
            f'it again with "audiobert bank index".'
        )
    return rank_candidates(keys, queries, candidates, count)


def _tuned(
    finder: FaissIndex | MilvusIndex, keys: torch.Tensor, groups: list[_Queries], recall: float
) -> tuple[int, int, float]:
    """Return pool and effort that reach the recall, and the recall of those queries that they were not chosen by."""
    count = min(_AT, len(keys))
    choosing, measuring = (
        [_recall_of(finder, keys, group.queries[half::2], group.own[half::2], count) for group in groups]
        for half in (0, 1)
    )
    best = 0.0
    for pool in _POOLS:
        reached = 0.0
        for effort in finder.efforts(pool * _AT):
            before, reached = reached, min(recall_of((pool * _AT, effort)) for recall_of in choosing)
            best = max(best, reached)
            if reached >= recall:
                measured = min(recall_of((pool * _AT, effort)) for recall_of in measuring)
                if measured >= recall:
                    return pool, effort, round(measured, 4)
            if before and reached - before < _LEAST_GAIN:
                break
    raise AudioBertInputError(
        f"an index of kind '{finder.kind}' finds at most {best:.3f} of the nearest {count} clips of this audio bank, "
        f"not {recall}. Ask for less with --recall, or choose another kind."
    )


def _recall_of(
    finder: FaissIndex | MilvusIndex, keys: torch.Tensor, queries: torch.Tensor, own: torch.LongTensor, count: int
) -> Callable[[tuple[int, int]], float]:
    asked = min(count + 1, len(keys))

    def others(ids: torch.LongTensor, cosines: torch.DoubleTensor) -> torch.DoubleTensor:
        cosines = cosines.masked_fill((ids == own.unsqueeze(1)) & (ids >= 0), -torch.inf)
        return cosines.sort(dim=1, descending=True).values[:, :count]

    nearest = others(*nearest_keys(keys, queries, asked))
    counted = nearest > -torch.inf
    # A clip as near as the last of the nearest counts: which of several equal ones is found does not matter.
    last = nearest.masked_fill(~counted, torch.inf).amin(dim=1, keepdim=True)

    def recall_of(setting: tuple[int, int]) -> float:
        found = others(*_nearest(finder, keys, queries, asked, setting)) >= last
        return (found.sum() / counted.sum().clamp(min=1)).item()

    return recall_of


def _given_queries(keys: torch.Tensor, given: torch.Tensor) -> _Queries:
    if given.ndim != 2 or given.shape[1] != keys.shape[1] or len(given) < 2 or not torch.isfinite(given).all():
        raise AudioBertInputError(
            f"the queries to measure recall by are {tuple(given.shape)}; give at least two finite CLAP text "
            f"embeddings of width {keys.shape[1]}."
        )
    none = torch.full((len(given),), -1, dtype=torch.long, device=keys.device)
    return _Queries("given", given.to(keys.device).float(), none)


def _own_queries(keys: torch.Tensor, seed: int) -> list[_Queries]:
    """Return some keys, which have to find others than themselves, and the same turned away, as texts are."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randint(len(keys), (_QUERIES,), generator=generator).to(keys.device)
    chosen = keys[own]
    noise = torch.nn.functional.normalize(torch.randn(chosen.shape, generator=generator), dim=1).to(keys.device)
    turned = _TURNED_COSINE * chosen + (1 - _TURNED_COSINE**2) ** 0.5 * noise
    return [
        _Queries("keys without themselves", chosen, own),
        _Queries("keys turned away", turned, own.new_full(own.shape, -1)),
    ]


def _check_choices(kind: str, recall: float, uri: str | None, num_clips: int) -> None:
    if kind not in INDEX_KINDS:
        raise AudioBertInputError(f"'{kind}' is no kind of index; choose one of {', '.join(INDEX_KINDS)}.")
    if not 0 < recall <= 1:
        raise AudioBertInputError(f"the recall is {recall}, but it is a share: above 0, and 1 at most.")
    if uri is not None and kind != "milvus":
        raise AudioBertInputError(f"an index of kind '{kind}' has no address; only one of kind 'milvus' has.")
    if not num_clips:
        raise AudioBertInputError("the audio bank has no clips, so there is nothing to index.")
