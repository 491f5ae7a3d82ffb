"""Metrics in the layout of the evaluate library: one folder a metric."""

from pathlib import Path


__all__ = ["METRICS", "metric_path"]

METRICS = ("auditorybench", "auditory_span")


def metric_path(name: str) -> str:
    """Return the folder of a metric, for `evaluate.load(metric_path(name))`.

    Args:
        name (`str`):
            `"auditorybench"` or `"auditory_span"`.

    Raises:
        ValueError: there is no such metric.
    """
    if name not in METRICS:
        raise ValueError(f"audiobert has no metric '{name}'. Choose one of: {', '.join(METRICS)}.")
    return str(Path(__file__).parent / name)
