"""`audiobert data`: Table I, quality report, export and upload of AuditoryBench."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


data = typer.Typer(help="Measure, check, export and upload AuditoryBench.", no_args_is_help=True)


class Format(str, Enum):
    """What `export` can write."""

    parquet = "parquet"
    lm_eval = "lm-eval"


DataDir = Annotated[
    Path | None, typer.Option(help="The folder with the published CSV files; without it they are downloaded.")
]
Benchmark = Annotated[str, typer.Option(help="auditorybench, or auditorybench_pp for AuditoryBench++.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AllowLeak = Annotated[
    bool, typer.Option("--allow-leaked-train", help="Take a train split that equals the test split all the same.")
]
CleanTrain = Annotated[
    bool, typer.Option("--clean-train", help="Leave out of train what validation, test or wiki also ask.")
]


@data.command()
def stats(data_dir: DataDir = None, benchmark: Benchmark = "auditorybench", as_json: AsJson = False) -> None:
    """Print Table I: captions, words per caption and words of each split.

    Example: audiobert data stats --data-dir auditorybench
    """
    from audiobert.dataset_scripts.auditorybench.benchmarks import load_benchmark
    from audiobert.dataset_scripts.auditorybench.statistics import benchmark_sizes, sizes_table

    sizes = benchmark_sizes(load_benchmark(benchmark, data_dir, allow_leaked_train=True))
    print(json.dumps([size.to_dict() for size in sizes], indent=2) if as_json else sizes_table(sizes))


@data.command()
def check(data_dir: DataDir = None, benchmark: Benchmark = "auditorybench", as_json: AsJson = False) -> None:
    """Report leaks, duplicates, misplaced spans and answers that do not fit. Exits 1 when train holds what is tested.

    Example: audiobert data check --data-dir auditorybench --json
    """
    from audiobert.dataset_scripts.auditorybench.benchmarks import load_benchmark
    from audiobert.dataset_scripts.auditorybench.check_report import report_text
    from audiobert.dataset_scripts.auditorybench.checks import check_benchmark

    report = check_benchmark(load_benchmark(benchmark, data_dir, allow_leaked_train=True))
    print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) if as_json else report_text(report))
    if report.has_leak:
        raise typer.Exit(1)


@data.command()
def seen(
    data_dir: DataDir = None,
    task: Annotated[str, typer.Option(help="The task whose train split counts; combined for both.")] = "combined",
    out: Annotated[Path | None, typer.Option(help="Save the ids of the rows as JSON in this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell rows whose sounds the training text names from those whose sounds it does not.

    A row is seen if the head word of each of its spans stands in the train split's sentences, spans or answers.

    Example: audiobert data seen --data-dir auditorybench --out seen.json
    """
    from audiobert.dataset_scripts.auditorybench.seen_spans import save_report, seen_report

    report = seen_report(data_dir, task)
    if out is not None:
        save_report(report, out)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return
    for split, tasks in report["counts"].items():
        for name, counts in tasks.items():
            print(f"{split} {name}: {counts['rows']} rows, {counts['seen']} seen, {counts['unseen']} unseen")
        words = list(report["unseen_words"][split].items())[:8]
        print(f"  most rows unseen by: {', '.join(f'{word} ({count})' for word, count in words) or 'no word'}")


@data.command()
def export(  # noqa: PLR0913 - one argument an option
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")],
    data_dir: DataDir = None,
    benchmark: Benchmark = "auditorybench",
    clean_train: CleanTrain = False,
    allow_leaked_train: AllowLeak = False,
    as_json: AsJson = False,
    file_format: Annotated[
        Format, typer.Option("--format", help="Parquet with a card, or tasks of lm-evaluation-harness.")
    ] = Format.parquet,
) -> None:
    """Write Parquet files and a dataset card, which datasets loads without any code of ours.

    With --format lm-eval, write tasks that measure any causal language model in lm-evaluation-harness instead.

    Example: audiobert data export --data-dir auditorybench --clean-train --out auditorybench-parquet

    Example: audiobert data export --data-dir auditorybench --format lm-eval --out lm-eval-tasks
    """
    options = {"clean_train": clean_train, "allow_leaked_train": allow_leaked_train}
    if file_format is Format.lm_eval:
        _export_lm_eval(benchmark, out, data_dir, options, as_json)
        return
    from audiobert.dataset_scripts.auditorybench.benchmarks import export_by_name

    tasks = export_by_name(benchmark, out, data_dir, repository=out.name, **options)
    rows = {task: {split: len(split_rows) for split, split_rows in splits.items()} for task, splits in tasks.items()}
    if as_json:
        print(json.dumps({"folder": str(out), "rows": rows}, indent=2))
        return
    print(f"{out}: {sum(sum(splits.values()) for splits in rows.values()):,} rows. In Python:")
    print(f'  datasets.load_dataset("{out}", "{next(iter(rows))}")')


def _export_lm_eval(benchmark: str, out: Path, data_dir: Path | None, options: dict, as_json: bool) -> None:
    from audiobert.dataset_scripts.auditorybench.lm_eval_export import export_lm_eval

    tasks = export_lm_eval(benchmark, out, data_dir, **options)
    if as_json:
        counts = {
            task.name: {
                "rows": len(task.rows),
                "answer_not_among_candidates": len(task.unanswerable),
                "left_out": len(task.left_out),
            }
            for task in tasks
        }
        print(json.dumps({"folder": str(out), "tasks": counts}, indent=2))
        return
    for task in tasks:
        unanswerable = f", {len(task.unanswerable):,} with an answer that is no candidate" if task.unanswerable else ""
        print(f"  {task.name}: {len(task.rows):,} rows{unanswerable}")
    print(f'{out}: run them with lm-evaluation-harness (pip install "audiobert[lm-eval]"):')
    print(f"  lm_eval --model hf --model_args pretrained=MODEL --include_path {out} --tasks {benchmark}")


@data.command()
def push(
    repository: Annotated[str, typer.Argument(metavar="REPO", help="USER/NAME of a dataset on the Hub.")],
    data_dir: DataDir = None,
    benchmark: Benchmark = "auditorybench",
    clean_train: CleanTrain = False,
    allow_leaked_train: AllowLeak = False,
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
) -> None:
    """Upload what export writes to the Hub (HF_ENDPOINT, HF_TOKEN or 'hf auth login').

    Example: audiobert data push user/auditorybench --data-dir auditorybench
    """
    from audiobert.dataset_scripts.auditorybench.benchmarks import push_by_name

    print(
        push_by_name(
            benchmark,
            repository,
            data_dir,
            private=private,
            clean_train=clean_train,
            allow_leaked_train=allow_leaked_train,
        )
    )
