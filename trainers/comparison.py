"""Two models, or two settings of one, compared on the rows that both were asked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiobert.dataset_scripts.auditorybench.sound_words import head_words, word_stem
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .evaluation_rows import load_split_rows
from .paired_tests import RESAMPLES, clustered_test, mcnemar, paired_bootstrap


__all__ = ["compare_predictions", "compare_results", "names_of_row"]

_NAMES = ("first", "second")


def compare_results(
    first: Sequence[dict[str, Any]],
    second: Sequence[dict[str, Any]],
    hearing: tuple[str | None, str | None] = (None, None),
    seed: int = 0,
    clustered: bool = False,
    data_dir: str | Path | None = None,
) -> dict[str, Any]:
    """Return how two models differ, each of one or several seeds, on the same rows.

    Args:
        first, second (`Sequence[dict]`):
            What [`load_results`] returns: of each model, one file a seed. With several seeds, a row counts by the
            share of seeds that are right.
        hearing (`tuple[str | None, str | None]`, *optional*):
            Which setting of hearing of each is meant; left out, `"on"` of an AudioBERT.
        seed (`int`, *optional*, defaults to 0): of the resamples.
        clustered (`bool`, *optional*, defaults to `False`):
            Take rows that have something of [`names_of_row`] in common for dependent.
        data_dir (`str` or `Path`, *optional*): where the rows are, for `clustered`; downloaded by default.

    Returns:
        `dict`: **kind** (`"comparison"`); **first**, **second**: their `models`, `hearing` and `protocol`;
        **clustered**; **seed**, **resamples** (of the bootstrap, None if clustered); **comparisons**: what
        [`compare_predictions`] returns.

    Raises:
        AudioBertInputError: the two were not asked the same rows, or by different protocols, or a file lacks the
            setting of hearing; or the rows in `data_dir` are not those that were asked.
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
    names = _names(files[0][0], data_dir) if clustered else None
    return {
        "kind": "comparison",
        **facts,
        "clustered": clustered,
        "seed": seed,
        "resamples": None if clustered else RESAMPLES,
        "comparisons": compare_predictions(*sides, seed=seed, names=names),
    }


def compare_predictions(
    first: Sequence[Iterable[dict[str, Any]]],
    second: Sequence[Iterable[dict[str, Any]]],
    seed: int = 0,
    names: Mapping[tuple[str, str], Collection[str]] | None = None,
) -> list[dict[str, Any]]:
    """Return the paired tests of two sides, for each split and task and, where rows tell it, for seen and unseen ones.

    Args:
        first, second: of each seed the predictions, as in a results file, under one setting of hearing.
        seed (`int`, *optional*, defaults to 0): of the resamples.
        names (`Mapping[tuple[str, str], Collection[str]]`, *optional*):
            (split, id) → what rows may share; [`clustered_test`] is then made instead of the bootstrap.

    Returns:
        `list[dict]`: **split**, **task**, **part** (`"all"`, `"seen"` or `"unseen"`), **rows**; **first**, **second**
        (accuracies, the mean over seeds); **difference**, **low**, **high**, **p**: see [`paired_bootstrap`], or, with
        `names`, [`clustered_test`], which adds **names**; **mcnemar**: see [`mcnemar`], None with several seeds or
        with `names`, since it takes rows for independent.

    Raises:
        AudioBertInputError: the sides, or the seeds of one, hold different rows, or `names` lacks one.
    """
    by_row = [{(entry["split"], entry["id"]): entry for entry in seed_entries} for seed_entries in (*first, *second)]
    for other in by_row[1:]:
        _check_rows(by_row[0], other)
    places = list(by_row[0])
    right = np.array([[entries[place]["correct"] for place in places] for entries in by_row], dtype=np.float64)
    shares = right[: len(first)].mean(axis=0), right[len(first) :].mean(axis=0)
    if names is not None and not names.keys() >= set(places):
        missing = next(place for place in places if place not in names)
        raise AudioBertInputError(f"row '{missing[1]}' of {missing[0]} has no names; give each row's.")
    single = len(first) == len(second) == 1 and names is None
    comparisons = []
    for (split, task, part), chosen in _groups([by_row[0][place] for place in places]).items():
        one, other = (share[chosen] for share in shares)
        comparisons.append(
            {
                "split": split,
                "task": task,
                "part": part,
                "rows": len(chosen),
                "first": float(one.mean()),
                "second": float(other.mean()),
                **(
                    paired_bootstrap(one, other, seed)
                    if names is None
                    else clustered_test(one, other, [names[places[place]] for place in chosen])
                ),
                "mcnemar": mcnemar(one.astype(bool), other.astype(bool)) if single else None,
            }
        )
    return comparisons


def names_of_row(row: dict[str, Any]) -> set[str]:
    """Return what makes a row of AuditoryBench dependent of others that have it too.

    Returns:
        `set[str]`: the stems of the head words of its spans (see [`head_words`]) and, in the animal task, of its
        answer; its id where these hold no word.
    """
    texts = [span["text"] for span in row["spans"]] + [row["answer"]] * (row["task"] == ANIMAL)
    return {word_stem(head) for text in texts for head in head_words(text)} or {row["id"]}


def _names(results: dict[str, Any], data_dir: str | Path | None) -> dict[tuple[str, str], set[str]]:
    """Return (split, id) → `names_of_row`, of the rows that results are of."""
    tasks = {entry["task"] for entry in results["predictions"]}
    names = {}
    for rows in load_split_rows(tasks.pop() if len(tasks) == 1 else COMBINED, list(results["data_sha256"]), data_dir):
        if rows.digest != results["data_sha256"][rows.split]:
            raise AudioBertInputError(
                f"the {rows.split} rows of '{data_dir or 'AuditoryBench'}' are not those that '{results['model']}' "
                f"was asked ({rows.digest[:12]}; {results['data_sha256'][rows.split][:12]}). Give the data-dir of the "
                f"evaluation."
            )
        names |= {(rows.split, row["id"]): names_of_row(row) for row in rows.asked}
    return names


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
