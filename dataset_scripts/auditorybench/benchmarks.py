"""The benchmarks by name: load, export and upload either in one call."""

import tempfile
from pathlib import Path

from datasets import DatasetDict

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .auditorybench_pp import load_auditorybench_pp, pp_description
from .description import auditorybench_description
from .export import export_benchmark
from .exported import is_export
from .hub_upload import push_folder
from .loading import load_both_tasks


__all__ = ["BENCHMARKS", "export_by_name", "load_benchmark", "push_by_name"]

BENCHMARKS = ("auditorybench", "auditorybench_pp")


def load_benchmark(benchmark: str, data_dir: str | Path | None = None, **options) -> dict[str, DatasetDict]:
    """Return task → splits of a benchmark.

    Args:
        benchmark (`str`):
            `"auditorybench"`, or `"auditorybench_pp"` for AuditoryBench++.
        data_dir (`str` or `Path`, *optional*):
            A folder with its CSV files; without it they are downloaded.
        options:
            Fields of `AuditoryBenchConfig`. Those about the train split change nothing in AuditoryBench++, which has
            none.

    Raises:
        AudioBertInputError: no such benchmark; its files are missing or damaged; no network.
    """
    if benchmark == "auditorybench":
        return load_both_tasks(data_dir, **options)
    if benchmark == "auditorybench_pp":
        return load_auditorybench_pp(data_dir, verify=options.get("verify", False))
    raise AudioBertInputError(f"there is no benchmark '{benchmark}'. Choose one of: {', '.join(BENCHMARKS)}.")


def export_by_name(
    benchmark: str, out: str | Path, data_dir: str | Path | None = None, *, repository: str, **options
) -> dict[str, DatasetDict]:
    """Write a benchmark as Parquet with its card, and return its rows.

    Args:
        out (`str` or `Path`):
            The folder to write.
        repository (`str`):
            The name under which the card's example loads it.
        benchmark, data_dir, options:
            As for `load_benchmark`.

    Raises:
        AudioBertInputError: as for `load_benchmark`, or the folder cannot be written.
    """
    if is_export(data_dir):
        raise AudioBertInputError(
            f"'{data_dir}' is an exported folder already; use it as it is, or upload it with 'audiobert data push'."
        )
    tasks = load_benchmark(benchmark, data_dir, **options)
    if benchmark == "auditorybench":
        description = auditorybench_description(repository, options.get("clean_train", False))
    else:
        description = pp_description(repository)
    export_benchmark(out, tasks, description)
    return tasks


def push_by_name(
    benchmark: str, repository: str, data_dir: str | Path | None = None, *, private: bool = False, **options
) -> str:
    """Upload what `export_by_name` writes to the Hub, and return the address of the commit.

    A `data_dir` that is an exported folder, such as `audiobert construct split` writes, is uploaded as it is.

    Raises:
        AudioBertInputError: as for `load_benchmark` and `push_folder`.
    """
    if is_export(data_dir):
        return push_folder(data_dir, repository, private=private)
    with tempfile.TemporaryDirectory() as folder:
        export_by_name(benchmark, folder, data_dir, repository=repository, **options)
        return push_folder(folder, repository, private=private)
