"""Whether hearing matters: each AudioBERT that hears, tested against every other system on the same rows."""

from collections.abc import Sequence
from typing import Any

from audiobert.trainers.comparison import compare_predictions

from .systems import System
from .tables import SPLIT_NAMES, TASK_NAMES, markdown_table


__all__ = ["compare_systems", "comparison_table"]


def compare_systems(systems: Sequence[System]) -> list[dict[str, Any]]:
    """Return the paired tests of each system with hearing on against every other one, over their runs.

    Two systems that both hear are compared once, and only systems of one protocol, on the splits that both answered.

    Returns:
        `list[dict]`: what [`compare_predictions`] returns, each with the titles of the systems as **settings**.
    """
    compared = []
    hearing = [system for system in systems if system.hearing == "on"]
    for number, on in enumerate(hearing):
        for other in systems:
            if other is on or other in hearing[:number] or other.protocol != on.protocol:
                continue
            common = _answered(on) & _answered(other)
            if common:
                sides = [_predictions(system, common) for system in (on, other)]
                compared += [{"settings": [on.title, other.title], **test} for test in compare_predictions(*sides)]
    return compared


def comparison_table(comparisons: Sequence[dict[str, Any]]) -> str:
    """Return what `compare_systems` gives as Markdown."""
    lines = []
    for test in comparisons:
        part = "" if test["part"] == "all" else f", {test['part']}"
        where = f"{TASK_NAMES[test['task']]} {SPLIT_NAMES[test['split']]}{part}"
        low, high = 100 * test["low"], 100 * test["high"]
        accuracies = [f"{100 * test[side]:.2f}" for side in ("first", "second")]
        difference = f"{100 * test['difference']:+.2f} ({low:+.2f} to {high:+.2f})"
        lines.append([*test["settings"], where, f"{test['rows']:,}", *accuracies, difference, f"{test['p']:.4f}"])
    head = ["first", "second", "rows of", "rows", "first, %", "second, %", "difference, points (95 %)", "p"]
    return markdown_table(head, lines, numbers_from=3)


def _answered(system: System) -> set[tuple[str, str]]:
    """Return the (split, row id) that every run answered."""
    return set.intersection(*(set(predictions) for predictions in system.predictions.values()))


def _predictions(system: System, places: set[tuple[str, str]]) -> list[list[dict[str, Any]]]:
    return [
        [entry for place, entry in predictions.items() if place in places]
        for predictions in system.predictions.values()
    ]
