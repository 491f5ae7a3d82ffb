"""FAISS indexes over the keys of a bank: IVF-PQ for large banks, HNSW on request."""

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tqdm import tqdm

from .errors import AudioBertInputError
from .exact_search import SEARCH_EXACTLY


__all__ = ["FaissIndex"]

_FILE = "index.faiss"
# Below, a codebook of 256 entries cannot be learned.
_LEAST_IVFPQ = 1000
_TRAINING_KEYS = 102_400
_ADDED_AT_ONCE = 4096


class FaissIndex:
    """Finds candidates with FAISS, by inner product. The same keys give the same index.

    Args:
        kind (`str`): `"hnsw"` or `"ivfpq"`.
        index (`faiss.Index`): over the keys, in their order.
        parameters (`dict`): what it was built with.
    """

    def __init__(self, kind: str, index, parameters: dict[str, Any]):
        self.kind = kind
        self.index = index
        self.parameters = parameters
        self.library = f"faiss {_faiss(kind).__version__}"

    @classmethod
    def build(cls, kind: str, keys: torch.Tensor, seed: int) -> "FaissIndex":
        """Index keys.

        Args:
            kind (`str`): `"hnsw"`, a graph over the keys in 8 bits a number; or `"ivfpq"`, the keys in cells, as
                product codes of one byte for 8 numbers where the width allows.
            keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`): of norm 1.
            seed (`int`): draws the keys that cells, codes and ranges are learned from.

        Raises:
            AudioBertInputError: FAISS is not installed, or there are too few clips for this kind.
        """
        faiss = _faiss(kind)
        table = keys.cpu().numpy()
        index, parameters = (_empty_hnsw if kind == "hnsw" else _empty_ivfpq)(faiss, *table.shape)
        sample = torch.randperm(len(keys), generator=torch.Generator().manual_seed(seed))[:_TRAINING_KEYS]
        index.train(table[sample.sort().values.numpy()])
        threads = faiss.omp_get_max_threads()
        # Several threads link an HNSW graph differently every time.
        faiss.omp_set_num_threads(1 if kind == "hnsw" else threads)
        try:
            with tqdm(total=len(keys), desc=f"indexing clips ({kind})", unit="clip", disable=None) as bar:
                for start in range(0, len(keys), _ADDED_AT_ONCE):
                    index.add(table[start : start + _ADDED_AT_ONCE])
                    bar.update(min(_ADDED_AT_ONCE, len(keys) - start))
        finally:
            faiss.omp_set_num_threads(threads)
        return cls(kind, index, {**parameters, "training_keys": len(sample)})

    def efforts(self, count: int) -> list[int]:
        """Return what `effort` may be for `count` candidates, from quick to thorough.

        It is `efSearch` of HNSW, at least `count`; `nprobe` of IVF-PQ, the cells that are looked into.
        """
        least, most = (count, 4096) if self.kind == "hnsw" else (1, self.index.nlist)
        return [least * 2**power for power in range(12) if least * 2**power <= max(least, most)]

    def candidates(self, queries: torch.Tensor, count: int, effort: int) -> torch.LongTensor:
        """Return positions of keys that may be nearest, of shape `(num_queries, count)`, -1 for none."""
        faiss = _faiss(self.kind)
        if self.kind == "hnsw":
            chosen = faiss.SearchParametersHNSW(efSearch=effort)
        else:
            chosen = faiss.SearchParametersIVF(nprobe=min(effort, self.index.nlist))
        return torch.from_numpy(self.index.search(queries.numpy(), count, params=chosen)[1])

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the index into `folder`; return the digest of its file, for `load`.

        Raises:
            AudioBertInputError: the disk is full, or the file may not be written.
        """
        try:
            _faiss(self.kind).write_index(self.index, str(folder / _FILE))
        except RuntimeError as error:
            raise AudioBertInputError(f"cannot write '{folder / _FILE}': {_last_line(error)}.") from error
        return {"file_digest": _file_digest(folder / _FILE)}

    @classmethod
    def load(cls, facts: dict[str, Any], find_file) -> "FaissIndex":
        """Read what `save` wrote.

        Args:
            facts (`dict`): `kind`, `parameters`, `num_clips`, `key_dim` and what `save` returned.
            find_file (`Callable[[str], str]`): where a file of the index's folder lies on this machine.

        Raises:
            AudioBertInputError: FAISS is not installed, or the file is missing or damaged.
        """
        faiss = _faiss(facts["kind"])
        file = find_file(_FILE)
        # FAISS trusts the sizes it reads from a file; checked before, it never sees a damaged one.
        if _file_digest(Path(file)) != facts["file_digest"]:
            raise ValueError(f"'{_FILE}' is not the file that was saved")
        index = faiss.read_index(file)
        if (index.ntotal, index.d) != (facts["num_clips"], facts["key_dim"]):
            raise ValueError(f"'{_FILE}' holds {index.ntotal} keys of width {index.d}")
        return cls(facts["kind"], index, facts["parameters"])

    @property
    def num_bytes(self) -> int:
        """The size of the index in memory, as its file has it."""
        return len(_faiss(self.kind).serialize_index(self.index))


def _empty_hnsw(faiss: ModuleType, num_clips: int, key_dim: int):
    parameters = {"M": 16, "efConstruction": 80, "quantizer": "8 bit"}
    # The graph holds keys of its own. A quarter of the size does: candidates are compared by the bank's keys.
    index = faiss.IndexHNSWSQ(key_dim, faiss.ScalarQuantizer.QT_8bit, parameters["M"], faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = parameters["efConstruction"]
    return index, parameters


def _empty_ivfpq(faiss: ModuleType, num_clips: int, key_dim: int):
    if num_clips < _LEAST_IVFPQ:
        raise AudioBertInputError(
            f"an index of kind 'ivfpq' needs at least {_LEAST_IVFPQ} clips, the audio bank has {num_clips}. Use kind "
            f"'exact', which is quick for so few."
        )
    # Some 4 * sqrt(num_clips) cells, of 64 keys at least.
    cells = 2 ** min(round(4 * num_clips**0.5).bit_length() - 1, (num_clips // 64).bit_length() - 1)
    # A byte for 4 numbers orders better, so that half as many candidates do: no quicker, and twice as large.
    width = next(size for size in (8, 4, 2, 1) if (key_dim % size == 0 and key_dim // size >= 4) or size == 1)
    parameters = {"nlist": cells, "m": key_dim // width, "nbits": 8, "iterations": 10}
    index = faiss.IndexIVFPQ(
        faiss.IndexFlatIP(key_dim), key_dim, cells, parameters["m"], parameters["nbits"], faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = parameters["iterations"]
    # Fewer than FAISS would like are learned from in a small bank; it says so on the terminal otherwise.
    index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
    return index, parameters


def _faiss(kind: str) -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise AudioBertInputError(
            f"the audio bank's index of kind '{kind}' needs FAISS, which cannot be imported ({_last_line(error)}): "
            f'pip install "audiobert[faiss]", or {SEARCH_EXACTLY}.'
        ) from error
    return faiss


def _file_digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stored:
        while block := stored.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _last_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[-1] if lines else type(error).__name__
