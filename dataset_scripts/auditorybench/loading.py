"""AuditoryBench as a `datasets.Dataset`, in one call."""

from pathlib import Path

from datasets import Dataset, DatasetDict

from audiobert.dataset_scripts.registration import BUILDER_NAME, builder_digest
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .builder import AuditoryBench
from .exported import exported_tasks, is_export, load_export
from .sources import COMBINED, SPLITS, tasks_of


__all__ = ["load_auditorybench", "load_auditorybench_splits", "load_both_tasks"]


def load_auditorybench(task: str, split: str, data_dir: str | Path | None = None, **options) -> Dataset:
    """Return one split of one task, as `load_dataset("auditorybench", task, split=split, ...)` does.

    Args:
        task (`str`):
            `"animal_sound_recognition"`, `"sound_pitch_comparison"` or `"combined"`: both, animals first.
        split (`str`):
            `"train"`, `"validation"`, `"test"` or `"wiki"`.
        data_dir (`str` or `Path`, *optional*):
            A folder with the CSV files, or one that `audiobert data export` or `audiobert construct split` wrote;
            without it the CSV files are downloaded once, and verified.
        options:
            Fields of `AuditoryBenchConfig`, and `cache_dir`.

    Returns:
        `datasets.Dataset`: rows of the schema that `rows.make_row` documents.

    Raises:
        AudioBertInputError: no such task or split; the files are missing, damaged, or train is test; no network.
    """
    if split not in SPLITS:
        raise AudioBertInputError(f"AuditoryBench has no split '{split}'. Choose one of: {', '.join(SPLITS)}.")
    splits = load_auditorybench_splits(task, data_dir, **options)
    if split not in splits:
        raise AudioBertInputError(f"'{data_dir}' has no split '{split}' of {task}; it has: {', '.join(splits)}.")
    return splits[split]


def load_auditorybench_splits(task: str, data_dir: str | Path | None = None, **options) -> DatasetDict:
    """Return all splits of one task; arguments and errors as for `load_auditorybench`."""
    tasks_of(task)
    if is_export(data_dir):
        _check_options_of_export(data_dir, options)
        return load_export(data_dir, task)
    builder = AuditoryBench(
        config_name=task,
        data_dir=None if data_dir is None else str(data_dir),
        dataset_name=BUILDER_NAME,
        hash=builder_digest(),
        **options,
    )
    builder.download_and_prepare()
    return builder.as_dataset()


def load_both_tasks(data_dir: str | Path | None = None, **options) -> dict[str, DatasetDict]:
    """Return task → splits for the tasks that have rows of their own; what the checks and Table I take.

    These are both, but for an exported folder that has only one of them.
    """
    tasks = tasks_of(COMBINED)
    if is_export(data_dir):
        tasks = exported_tasks(data_dir)
    return {task: load_auditorybench_splits(task, data_dir, **options) for task in tasks}


def _check_options_of_export(data_dir: str | Path, options: dict) -> None:
    for name in ("verify", "clean_train"):
        if options.get(name):
            raise AudioBertInputError(
                f"{name} is for the published CSV files; '{data_dir}' is an exported folder. Leave it out, or use it "
                f"when exporting."
            )
