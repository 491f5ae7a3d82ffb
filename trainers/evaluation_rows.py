"""The rows of AuditoryBench that a model is asked in an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import SPLITS, TASKS, tasks_of
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .masked_sentences import GAP
from .provenance import rows_digest
from .training_run import require_folder


__all__ = ["SplitRows", "check_choice", "load_split_rows"]

ALL_SPLITS = "all"


@dataclass(frozen=True)
class SplitRows:
    """One split.

    Args:
        split (`str`).
        asked (`list[dict]`): its rows with exactly one gap, at least one of each task.
        left_out (`list[dict]`): of the others `split`, `id` and the number of `gaps`.
        digest (`str`): SHA-256 over all rows.
    """

    split: str
    asked: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    digest: str


def load_split_rows(task: str, split: str | Sequence[str], data_dir: str | Path | None) -> list[SplitRows]:
    """Return the rows of a task in some splits.

    Args:
        task (`str`): a task, or `"combined"`.
        split (`str` or `Sequence[str]`): one or several; `"all"` for validation, test and wiki.
        data_dir (`str` or `Path`, *optional*): downloaded by default.

    Raises:
        AudioBertInputError: there is no such task, split or folder, or a split has no rows of a task.
    """
    check_choice("task", task, TASKS)
    names = [split] if isinstance(split, str) else list(split)
    if names == [ALL_SPLITS]:
        names = [name for name in SPLITS if name != "train"]
    for name in names:
        check_choice("split", name, SPLITS)
    if not names or len(set(names)) < len(names):
        raise AudioBertInputError(f"the splits are {', '.join(names) or 'none'}; name each that is wanted once.")
    if data_dir is not None:
        require_folder(data_dir, "data-dir", "AuditoryBench's CSV files")
    return [_split_rows(task, name, data_dir) for name in names]


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Check that an argument is one of its choices.

    Raises:
        AudioBertInputError: it is not.
    """
    if value not in choices:
        raise AudioBertInputError(f"there is no {name} '{value}'; give one of {', '.join(choices)}.")


def _split_rows(task: str, split: str, data_dir: str | Path | None) -> SplitRows:
    rows = load_auditorybench(task, split, data_dir).to_list()
    gaps = [row["sentence"].count(GAP) for row in rows]
    asked = [row for row, count in zip(rows, gaps, strict=True) if count == 1]
    for name in tasks_of(task):
        if not any(row["task"] == name for row in asked):
            raise AudioBertInputError(
                f"the split '{split}' of {name} has no rows that can be asked. Choose another split or task."
            )
    left_out = [
        {"split": split, "id": row["id"], "gaps": count} for row, count in zip(rows, gaps, strict=True) if count != 1
    ]
    return SplitRows(split, asked, left_out, rows_digest(rows))
