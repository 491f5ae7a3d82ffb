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
# Measured by benchmarks/retrieval.py: below the first size all keys are compared in milliseconds; above the second
# IVF-PQ is built in a fraction of the time of HNSW.
_LEAST_HNSW, _LEAST_IVFPQ = 50_000, 200_000
# Recall is measured for this many clips a query.
_AT = 10
_QUERIES = 512
# How near a held-out query is to the key it was made from. Texts are no nearer to clips with CLAP, and queries among
# the keys would be found by less effort than they need.
_HELD_OUT_COSINE = 0.5
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
        measured_recall (`float`): which it found, of queries that nothing was chosen by.
        num_queries (`int`), queries (`str`): how many those were, and whether given or made by turning keys away.
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
        held_out = _queries(keys, queries, seed)
        finder = MilvusIndex.build(keys, key_digest, uri) if kind == "milvus" else FaissIndex.build(kind, keys, seed)
        pool, effort, measured = _tuned(finder, keys, held_out, recall)
        facts = IndexFacts(
            kind=kind,
            key_digest=key_digest,
            num_clips=len(keys),
            key_dim=keys.shape[1],
            recall=recall,
            measured_recall=measured,
            num_queries=len(held_out[1::2]),
            queries="held-out keys, turned away" if queries is None else "given",
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
        ids, cosines = _nearest(self.finder, keys, queries, count, (self.facts.pool, self.facts.effort))
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
    if num_clips < _LEAST_HNSW:
        return "exact"
    return "hnsw" if num_clips < _LEAST_IVFPQ else "ivfpq"


def _nearest(
    finder: FaissIndex | MilvusIndex, keys: torch.Tensor, queries: torch.Tensor, count: int, setting: tuple[int, int]
) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    pool, effort = setting
    # The setting was measured for so many clips; more take more, in proportion.
    asked = max(count, _AT)
    effort = effort * -(-asked // _AT)
    units = torch.nn.functional.normalize(queries.detach().float(), dim=1).cpu()
    candidates = finder.candidates(units, min(len(keys), pool * asked), effort).to(keys.device)
    if candidates.numel() and int(candidates.max()) >= len(keys):
        raise AudioBertInputError(
            f"the index names clip {int(candidates.max())}, but the audio bank has {len(keys)} clips (from 0). Make "
            f'it again with "audiobert bank index".'
        )
    return rank_candidates(keys, queries, candidates, count)


def _tuned(
    finder: FaissIndex | MilvusIndex, keys: torch.Tensor, queries: torch.Tensor, recall: float
) -> tuple[int, int, float]:
    """Return pool and effort that reach the recall, and the recall of those queries that they were not chosen by."""
    choosing, measuring = queries[::2], queries[1::2]
    count = min(_AT, len(keys))
    best = 0.0
    recall_of = _recall_of(finder, keys, choosing, count)
    measured_by = _recall_of(finder, keys, measuring, count)
    for pool in _POOLS:
        reached = 0.0
        for effort in finder.efforts(pool * count):
            before, reached = reached, recall_of((pool, effort))
            best = max(best, reached)
            if reached >= recall and (measured := measured_by((pool, effort))) >= recall:
                return pool, effort, round(measured, 4)
            if before and reached - before < _LEAST_GAIN:
                break
    raise AudioBertInputError(
        f"an index of kind '{finder.kind}' finds at most {best:.3f} of the nearest {count} clips of this audio bank, "
        f"not {recall}. Ask for less with --recall, or choose another kind."
    )


def _recall_of(
    finder: FaissIndex | MilvusIndex, keys: torch.Tensor, queries: torch.Tensor, count: int
) -> Callable[[tuple[int, int]], float]:
    # A clip as near as the last of the nearest counts: which of several equal ones is found does not matter.
    last = nearest_keys(keys, queries, count)[1][:, -1:]

    def recall_of(setting: tuple[int, int]) -> float:
        cosines = _nearest(finder, keys, queries, count, setting)[1]
        return (cosines >= last).double().mean().item()

    return recall_of


def _queries(keys: torch.Tensor, given: torch.Tensor | None, seed: int) -> torch.Tensor:
    if given is not None:
        if given.ndim != 2 or given.shape[1] != keys.shape[1] or len(given) < 2 or not torch.isfinite(given).all():
            raise AudioBertInputError(
                f"the queries to measure recall by are {tuple(given.shape)}; give at least two finite CLAP text "
                f"embeddings of width {keys.shape[1]}."
            )
        return given.to(keys.device).float()
    generator = torch.Generator().manual_seed(seed)
    chosen = keys[torch.randint(len(keys), (_QUERIES,), generator=generator).to(keys.device)]
    noise = torch.nn.functional.normalize(torch.randn(chosen.shape, generator=generator), dim=1).to(keys.device)
    return _HELD_OUT_COSINE * chosen + (1 - _HELD_OUT_COSINE**2) ** 0.5 * noise


def _check_choices(kind: str, recall: float, uri: str | None, num_clips: int) -> None:
    if kind not in INDEX_KINDS:
        raise AudioBertInputError(f"'{kind}' is no kind of index; choose one of {', '.join(INDEX_KINDS)}.")
    if not 0 < recall <= 1:
        raise AudioBertInputError(f"the recall is {recall}, but it is a share: above 0, and 1 at most.")
    if uri is not None and kind != "milvus":
        raise AudioBertInputError(f"an index of kind '{kind}' has no address; only one of kind 'milvus' has.")
    if not num_clips:
        raise AudioBertInputError("the audio bank has no clips, so there is nothing to index.")
