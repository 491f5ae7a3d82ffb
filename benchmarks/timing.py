"""Times of several ways to do the same work, measured in turn, so that other load slows all of them alike."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch


__all__ = ["Settings", "circumstances", "interleaved", "spread"]

_PACKAGES = ("torch", "transformers", "datasets", "peft", "librosa", "scikit-learn", "faiss-cpu", "numpy")


@dataclass(frozen=True)
class Settings:
    """What all parts of the suite share.

    Args:
        size (`str`): of the models: "full" (the paper's) or "small" (those of trainers/recipes/cpu_small.yaml).
        cache (`Path`): where models, banks and sounds are kept between runs.
        rounds (`int`): measured rounds of each figure.
        banks (`tuple[int, ...]`): numbers of clips.
        trained (`Path`, *optional*): a trained AudioBERT, whose retrieval tells how often real batches repeat clips.
        data_dir (`Path`, *optional*): AuditoryBench's folder, for the same.
    """

    size: str
    cache: Path
    rounds: int = 7
    banks: tuple[int, ...] = (10_000, 100_000, 500_000)
    trained: Path | None = None
    data_dir: Path | None = None


def interleaved(actions: dict[str, Callable[[], object]], rounds: int, base: str) -> dict[str, dict]:
    """Return the milliseconds of each action, and how many times those of `base` they are.

    A round runs all of them; the first, in which everything warms up, is not counted.

    Returns:
        For each name `median_ms`, `least_ms`, `most_ms`, `rounds`, `ratio` (of the medians) and `ratio_of_least`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, act in actions.items():
            started = time.perf_counter()
            act()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return spread(seconds, base)


def spread(seconds: dict[str, list[float]], base: str) -> dict[str, dict]:
    """Return median, spread and ratios of seconds that were measured in turn."""
    reference = seconds[base]
    return {
        name: {
            "median_ms": round(1000 * median(values), 2),
            "least_ms": round(1000 * min(values), 2),
            "most_ms": round(1000 * max(values), 2),
            "rounds": len(values),
            "ratio": round(median(values) / median(reference), 3),
            "ratio_of_least": round(min(values) / min(reference), 3),
        }
        for name, values in seconds.items()
    }


def circumstances() -> dict:
    """Return where and with what something is measured."""
    return {
        "threads": torch.get_num_threads(),
        "load_before": round(float(Path("/proc/loadavg").read_text().split()[0]), 1),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }
