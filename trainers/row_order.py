"""The order in which training meets its rows: fixed by seed and epoch alone, so that a resumed run keeps it."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from .compat import chosen_row_order


__all__ = ["RowOrder", "RowOrderMixin"]

_POOL_OF_BATCHES = 20


class RowOrder(Sampler[int]):
    """Shuffles anew in each epoch.

    Args:
        num_rows (`int`): rows of the dataset.
        seed (`int`): of the run.
        epoch (`Callable[[], int]`): tells the current epoch, from 0, whenever an epoch's iteration begins.
        lengths (`Sequence[int]`, *optional*):
            In tokens. Given, rows of like length out of 20 batches drawn at random make up one batch, so that little
            is computed on padding; the batches' order is random.
        batch_size (`int`, *optional*, defaults to 1): rows of such a batch, of all processes together.
    """

    def __init__(
        self,
        num_rows: int,
        seed: int,
        epoch: Callable[[], int],
        lengths: Sequence[int] | None = None,
        batch_size: int = 1,
    ):
        self.num_rows = num_rows
        self.seed = seed
        self.epoch = epoch
        self.lengths = None if lengths is None else np.asarray(lengths)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return self.num_rows

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch()])
        order = generator.permutation(self.num_rows)
        yield from (order if self.lengths is None else self._alike(order, generator)).tolist()

    def _alike(self, order: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        whole = len(order) // self.batch_size * self.batch_size
        rest = order[whole:]  # taken before sorting, or the longest rows would always be the ones left over
        pool = self.batch_size * _POOL_OF_BATCHES
        pools = [order[start : min(start + pool, whole)] for start in range(0, whole, pool)]
        alike = [rows[self.lengths[rows].argsort(kind="stable")] for rows in pools]
        batches = np.concatenate([*alike, order[:0]]).reshape(-1, self.batch_size)
        return np.concatenate([generator.permutation(batches).flatten(), rest])


class RowOrderMixin:
    """For a `Trainer`: the rows' order depends on seed and epoch, and on nothing that a resumed run lacks.

    The parent leaves it to accelerate, which with transformers 4.55 shuffles the epoch that a run is resumed in as if
    it were the first one. "random" and, of rows whose lengths are known, "group_by_length" are ours; other orders stay
    the parent's, and such runs do not resume exactly.
    """

    def row_lengths(self, dataset) -> Sequence[int] | None:
        """Return the rows' lengths in tokens; None where they are not known."""
        return None

    def _get_train_sampler(self, train_dataset=None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        chosen = chosen_row_order(self.args)
        lengths = self.row_lengths(dataset) if chosen == "group_by_length" else None
        if not hasattr(dataset, "__len__") or (chosen != "random" and lengths is None):
            return super()._get_train_sampler(train_dataset)
        batch_size = self.args.train_batch_size * self.args.world_size
        return RowOrder(len(dataset), self.args.seed, lambda: int(self.state.epoch or 0), lengths, batch_size)
