"""The order in which training meets its rows: fixed by seed and epoch alone, so that a resumed run keeps it."""

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Sampler


__all__ = ["RowOrder", "RowOrderMixin"]


class RowOrder(Sampler[int]):
    """Shuffles anew in each epoch.

    Args:
        num_rows (`int`): rows of the dataset.
        seed (`int`): of the run.
        epoch (`Callable[[], int]`): tells the current epoch, from 0, whenever an epoch's iteration begins.
    """

    def __init__(self, num_rows: int, seed: int, epoch: Callable[[], int]):
        self.num_rows = num_rows
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_rows

    def __iter__(self) -> Iterator[int]:
        yield from np.random.default_rng([self.seed, self.epoch()]).permutation(self.num_rows).tolist()


class RowOrderMixin:
    """For a `Trainer`: the rows' order depends on seed and epoch, and on nothing that a resumed run lacks.

    The parent leaves it to accelerate, which with transformers 4.55 shuffles the epoch that a run is resumed in as if
    it were the first one. Orders other than "random" stay the parent's, and such runs do not resume exactly.
    """

    def _get_train_sampler(self, train_dataset=None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        chosen = getattr(self.args, "train_sampling_strategy", "random")
        if getattr(self.args, "group_by_length", False) or chosen != "random" or not hasattr(dataset, "__len__"):
            return super()._get_train_sampler(train_dataset)
        return RowOrder(len(dataset), self.args.seed, lambda: int(self.state.epoch or 0))
