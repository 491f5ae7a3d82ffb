"""Two models, or two settings of one, compared on the rows that both were asked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiobert.dataset_scripts.auditorybench.sources import COMBINED
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .evaluation_rows import load_split_rows
from .paired_tests import RESAMPLES, bootstrap_over_names, mcnemar, paired_bootstrap


__all__ = ["compare_predictions", "compare_results", "sounds_of_results"]

_NAMES = ("first", "second")


def compare_results(
    first: Sequence[dict[str, Any]],
    second: Sequence[dict[str, Any]],
    hearing: tuple[str | None, str | None] = (None, None),
    seed: int = 0,
    sounds: Mapping[tuple[str, str], Collection[str]] | None = None,
) -> dict[str, Any]:
    """Return how two models differ, each of one or several seeds, on the same rows.

    Args:
        first, second (`Sequence[dict]`):
            What [`load_results`] returns: of each model, one file a seed. With several seeds, a row counts by the
            share of seeds that are right.
        hearing (`tuple[str | None, str | None]`, *optional*):
            Which setting of hearing of each is meant; left out, `"on"` of an AudioBERT.
        seed (`int`, *optional*, defaults to 0): of the resamples.
        sounds (`Mapping[tuple[str, str], Collection[str]]`, *optional*):
            As for [`compare_predictions`]; see [`sounds_of_results`].

    Returns:
        `dict`: **kind** (`"comparison"`); **first**, **second**: their `models`, `hearing` and `protocol`; **seed**,
        **resamples**; **drawn** (`"rows"` or `"sounds"`); **comparisons**: what [`compare_predictions`] returns.

    Raises:
        AudioBertInputError: the two were not asked the same rows, or by different protocols, or a file lacks the
            setting of hearing.
    """
    files = (list(first), list(second))
    settings = [_setting(of_side, wanted) for of_side, wanted in zip(files, hearing, strict=True)]
    _check_same(files)
    sides = [
        [[entry for entry in file["predictions"] if entry["hearing"] == setting] for file in of_side]
        for of_side, setting in zip(files, settings, strict=True)
    ]
    facts = {
        name: {"models": [file["model"] for file in of_side], "hearing": setting, "protocol": of_side[0]["protocol"]}
        for name, of_side, setting in zip(_NAMES, files, settings, strict=True)
    }
    return {
        "kind": "comparison",
        **facts,
        "seed": seed,
        "resamples": RESAMPLES,
        "drawn": "rows" if sounds is None else "sounds",
        "comparisons": compare_predictions(*sides, seed=seed, sounds=sounds),
    }


def sounds_of_results(
    results: dict[str, Any], data_dir: str | Path | None = None
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return (split, id) → the texts of the row's spans, in small letters, for the rows of a results file.

    Args:
        results (`dict`): what [`load_results`] returns.
        data_dir (`str` or `Path`, *optional*): where its rows are; downloaded by default.

    Raises:
        AudioBertInputError: the rows cannot be read, or are not those that the results are of.
    """
    tasks = {entry["task"] for entry in results["predictions"]}
    task = tasks.pop() if len(tasks) == 1 else COMBINED
    sounds = {}
    for rows in load_split_rows(task, list(results["data_sha256"]), data_dir):
        if rows.digest != results["data_sha256"][rows.split]:
            raise AudioBertInputError(
                f"the {rows.split} rows of '{data_dir or 'AuditoryBench'}' are not those that '{results['model']}' "
                f"was asked ({rows.digest[:12]}; {results['data_sha256'][rows.split][:12]}). Give the folder of the "
                f"evaluation as data-dir."
            )
        sounds |= {
            (rows.split, row["id"]): tuple(dict.fromkeys(span["text"].lower() for span in row["spans"]))
            for row in rows.asked
        }
    return sounds


def compare_predictions(
    first: Sequence[Iterable[dict[str, Any]]],
    second: Sequence[Iterable[dict[str, Any]]],
    seed: int = 0,
    sounds: Mapping[tuple[str, str], Collection[str]] | None = None,
) -> list[dict[str, Any]]:
    """Return the paired tests of two sides, for each split and task and, where rows tell it, for seen and unseen ones.

    Args:
        first, second: of each seed the predictions, as in a results file, under one setting of hearing.
        seed (`int`, *optional*, defaults to 0): of the resamples.
        sounds (`Mapping[tuple[str, str], Collection[str]]`, *optional*):
            (split, id) → what a row names; resamples then draw these instead of the rows. A row that names nothing
            stands for itself.

    Returns:
        `list[dict]`: **split**, **task**, **part** (`"all"`, `"seen"` or `"unseen"`), **rows**; **first**, **second**
        (accuracies, the mean over seeds); **difference**, **low**, **high**, **p**: see [`paired_bootstrap`], or, with
        **names**, [`bootstrap_over_names`]; **mcnemar**: see [`mcnemar`], None with several seeds or with `sounds`,
        since it takes rows for independent.

    Raises:
        AudioBertInputError: the sides, or the seeds of one, hold different rows.
    """
    by_row = [{(entry["split"], entry["id"]): entry for entry in seed_entries} for seed_entries in (*first, *second)]
    for other in by_row[1:]:
        _check_rows(by_row[0], other)
    places = list(by_row[0])
    right = np.array([[entries[place]["correct"] for place in places] for entries in by_row], dtype=np.float64)
    shares = right[: len(first)].mean(axis=0), right[len(first) :].mean(axis=0)
    single = len(first) == len(second) == 1 and sounds is None
    comparisons = []
    for (split, task, part), chosen in _groups([by_row[0][place] for place in places]).items():
        one, other = (share[chosen] for share in shares)
        if sounds is None:
            tested = paired_bootstrap(one, other, seed)
        else:
            named = [sounds[places[place]] or places[place][1:] for place in chosen]
            tested = bootstrap_over_names(one, other, named, seed)
        comparisons.append(
            {
                "split": split,
                "task": task,
                "part": part,
                "rows": len(chosen),
                "first": float(one.mean()),
                "second": float(other.mean()),
                **tested,
                "mcnemar": mcnemar(one.astype(bool), other.astype(bool)) if single else None,
            }
        )
    return comparisons


def _groups(entries: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], list[int]]:
    """Return (split, task, part) → the places of its rows; combined only where there are both tasks."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    tasks = dict.fromkeys(entry["task"] for entry in entries)
    for split in dict.fromkeys(entry["split"] for entry in entries):
        for task in [*tasks, COMBINED] if len(tasks) > 1 else tasks:
            for part, wanted in (("all", (True, False, None)), ("seen", (True,)), ("unseen", (False,))):
                chosen = [
                    place
                    for place, entry in enumerate(entries)
                    if entry["split"] == split and task in (COMBINED, entry["task"]) and entry.get("seen") in wanted
                ]
                if chosen:
                    groups[split, task, part] = chosen
    return groups


def _setting(files: Sequence[dict[str, Any]], wanted: str | None) -> str | None:
    for file in files:
        there = dict.fromkeys(entry["hearing"] for entry in file["predictions"])
        if wanted is None and len(there) > 1 and "on" in there:
            wanted = "on"
        if wanted is None and len(there) == 1:
            (wanted,) = there
        if wanted not in there:
            raise AudioBertInputError(
                f"the results of '{file['model']}' have no hearing '{wanted}', only: "
                f"{', '.join(map(str, there)) or 'none'}. Name one of these."
            )
    return wanted


def _check_same(files: Sequence[Sequence[dict[str, Any]]]) -> None:
    reference = files[0][0]
    for file in [*files[0], *files[1]]:
        for name, what in (("protocol", "asked by different protocols"), ("data_sha256", "asked different rows")):
            if file[name] != reference[name]:
                raise AudioBertInputError(
                    f"the results of '{reference['model']}' and '{file['model']}' cannot be compared: they were "
                    f"{what} ({_shown(reference[name])}; {_shown(file[name])}). Evaluate both with the same options."
                )


def _shown(value: str | dict[str, str]) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(f"{split} {digest[:12]}" for split, digest in value.items())


def _check_rows(reference: dict[tuple, dict], other: dict[tuple, dict]) -> None:
    for one, two in ((reference, other), (other, reference)):
        missing = next((place for place in one if place not in two), None)
        if missing is not None:
            raise AudioBertInputError(
                f"the two cannot be compared: row '{missing[1]}' of {missing[0]} is in one of them only. Evaluate "
                f"both on the same splits and task."
            )
