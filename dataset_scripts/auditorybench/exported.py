"""A benchmark that was exported before: its folder of Parquet files, read again."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, NamedSplit, concatenate_datasets

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .features import FEATURES
from .sources import COMBINED, SPLITS, tasks_of


__all__ = ["exported_tasks", "is_export", "load_export", "read_parquet_rows"]

_ADVICE = "Give a folder that 'audiobert data export' or 'audiobert construct split' wrote, or write it again."


def is_export(data_dir: str | Path | None) -> bool:
    """Whether a folder is one that `export_benchmark` writes: a card, and `data/TASK/SPLIT.parquet`."""
    if data_dir is None:
        return False
    folder = Path(data_dir).expanduser()
    return (folder / "README.md").is_file() and any(folder.glob("data/*/*.parquet"))


def exported_tasks(data_dir: str | Path) -> list[str]:
    """Return the tasks of AuditoryBench that an exported folder has rows of."""
    return [task for task in tasks_of(COMBINED) if any(_folder(data_dir, task).glob("*.parquet"))]


def load_export(data_dir: str | Path, task: str) -> DatasetDict:
    """Return the splits of one task of an exported folder; `"combined"` if it has both.

    The files are read afresh each time: `datasets.load_dataset` would serve what it read before, whatever the files
    hold now.

    Raises:
        AudioBertInputError: the folder has no such task, or a file cannot be read or holds other columns.
    """
    names = exported_tasks(data_dir)
    parts = tasks_of(task)
    missing = [part for part in parts if part not in names]
    if missing:
        raise AudioBertInputError(f"'{data_dir}' has no rows of {missing[0]}, only of: {', '.join(names)}. {_ADVICE}")
    splits = {}
    for split in SPLITS:
        files = [_folder(data_dir, part) / f"{split}.parquet" for part in parts]
        tables = [read_parquet_rows(file, split) for file in files if file.is_file()]
        if tables:
            splits[split] = concatenate_datasets(tables)
    return DatasetDict(splits)


def _folder(data_dir: str | Path, task: str) -> Path:
    return Path(data_dir).expanduser() / "data" / task


def read_parquet_rows(file: Path, split: str) -> Dataset:
    """Return the rows of one Parquet file in the schema that `rows.make_row` documents.

    Raises:
        AudioBertInputError: the file cannot be read, or holds other columns.
    """
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise AudioBertInputError(f"cannot read '{file}': {error}. {_ADVICE}") from error
    missing = [name for name in FEATURES if name not in table.column_names]
    if missing:
        raise AudioBertInputError(f"'{file}' has no column '{missing[0]}'. {_ADVICE}")
    try:
        table = table.select(list(FEATURES)).cast(FEATURES.arrow_schema)
    except pa.ArrowException as error:
        raise AudioBertInputError(f"'{file}' has columns of other types: {error}. {_ADVICE}") from error
    return Dataset(table, split=NamedSplit(split))
