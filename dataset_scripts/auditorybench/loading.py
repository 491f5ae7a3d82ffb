"""AuditoryBench as a `datasets.Dataset`, in one call."""

from pathlib import Path

from audiobert.modeling_audiobert.errors import AudioBertInputError
from datasets import Dataset

from .features import FEATURES
from .rows import read_rows
from .sources import SPLITS, find_local_files, tasks_of


__all__ = ["load_auditorybench"]


def load_auditorybench(task: str, split: str, data_dir: str | Path) -> Dataset:
    """Return one split of one task.

    Raises:
        AudioBertInputError: no such task or split, or the folder's files cannot be read.
    """
    if split not in SPLITS:
        raise AudioBertInputError(f"AuditoryBench has no split '{split}'. Choose one of: {', '.join(SPLITS)}.")
    rows = []
    for part in tasks_of(task):
        path = find_local_files(data_dir, part, (split,))[split]
        rows += read_rows(path.read_bytes(), str(path), part, split)
    return Dataset.from_list(rows, features=FEATURES)
