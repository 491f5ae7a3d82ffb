"""How many threads a computation on the CPU may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


__all__ = ["limited_threads"]


@contextmanager
def limited_threads(count: int) -> Iterator[int]:
    """Let each computation on the CPU use `count` threads in this block; yield how many it used before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield before
    finally:
        torch.set_num_threads(before)
