"""What several seeds of one recipe measured: mean and standard deviation."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .training_run import write_json


__all__ = ["SUMMARY_FILE", "summarize_seeds", "write_summary"]

SUMMARY_FILE = "summary.json"
# Where the recipes' metrics keep what they measured, and what of each measured task is a score.
_PARTS = ("validation", "held_out_sources", "results", "after")
_SCORES = ("accuracy", "f1", "weighted_f1")


def summarize_seeds(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and sample standard deviation of every figure that all runs measured.

    Args:
        runs: metrics of the runs of one recipe, as the training functions return them.

    Returns:
        `dict` for a JSON file: `kind`, `seeds`, and `figures`, a list of `{"figure", "mean", "std", "values"}`, the
        values in the order of the seeds; `std` divides by one less than their number, and is None for a single run.
    """
    measured = [dict(_figures(run)) for run in runs]
    names = [name for name in measured[0] if all(name in others for others in measured)] if measured else []
    figures = []
    for name in names:
        values = [figures_of_run[name] for figures_of_run in measured]
        std = statistics.stdev(values) if len(values) > 1 else None
        figures.append({"figure": name, "mean": statistics.fmean(values), "std": std, "values": values})
    return {"kind": runs[0]["kind"], "seeds": [run["seed"] for run in runs], "figures": figures}


def write_summary(runs: Sequence[dict[str, Any]], output_dir: str | Path) -> dict[str, Any]:
    """Write `summary.json`, see `summarize_seeds`, above the seeds' folders, and return it.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    summary = summarize_seeds(runs)
    write_json(summary, Path(output_dir) / SUMMARY_FILE)
    return summary


def _figures(metrics: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for part in _PARTS:
        content = metrics.get(part)
        if isinstance(content, dict):
            for name, value in content.items():
                if isinstance(value, float):
                    yield f"{part}: {name}", value
        for result in content if isinstance(content, list) else []:
            where = ", ".join(_where(result, part))
            for name in _SCORES:
                if isinstance(result.get(name), float):
                    yield f"{where}: {name}", result[name]


def _where(result: dict[str, Any], part: str) -> Iterator[str]:
    yield result.get("split") or part
    yield result["task"]
    if result.get("hearing"):
        yield f"hearing {result['hearing']}"
