"""Whether this machine computes faster in bfloat16."""

import time

import torch


__all__ = ["speed_settings"]

_SHAPE = (576, 384, 1536)  # rows of a batch, width and inner width of MiniLM
_WORTH_IT = 0.8


def speed_settings() -> list[str]:
    """Return the `key=value` settings that make training fast here.

    On a processor with bfloat16 units (AMX, AVX-512 BF16) half the time is saved, on one without much is lost: so both
    are timed, for a few milliseconds. On an accelerator nothing is changed.
    """
    if torch.accelerator.is_available() or _seconds(torch.bfloat16) > _WORTH_IT * _seconds(torch.float32):
        return []
    return ["training.use_cpu=true", "training.bf16=true"]


def _seconds(dtype: torch.dtype) -> float:
    rows, width, inner = _SHAPE
    left, right = torch.ones(rows, width, dtype=dtype), torch.ones(width, inner, dtype=dtype)
    best = float("inf")
    for _ in range(6):  # the first ones prepare kernels
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return best
