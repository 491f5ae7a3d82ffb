"""`audiobert construct split`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def construct_split(  # noqa: PLR0913 - one argument an option
    rows: Annotated[
        list[Path], typer.Argument(metavar="ROWS...", help="The .jsonl files that 'construct generate' wrote.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder of the benchmark.")],
    pitches: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What 'construct pitch' wrote; needed where rows compare pitches."),
    ] = None,
    wiki: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What 'construct wiki' wrote; becomes the wiki split.")
    ] = None,
    min_difference: Annotated[
        float, typer.Option(help="Pitches must differ by more than this, as a share of the first.")
    ] = 0.1,
    similarity: Annotated[
        float, typer.Option(help="Rows that share this much of their words, from 0 to 1, are near duplicates.")
    ] = 0.8,
    blocked_answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of answers to drop, one a line, instead of our own.")
    ] = None,
    drop: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows to leave out, as 'construct review read' wrote them.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    name: Annotated[str | None, typer.Option(help="The benchmark's title, for its card.")] = None,
    licence: Annotated[str, typer.Option(help="The rows' licence, for the card.")] = "not recorded",
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Filter generated rows, split them 70/10/20 without leaks, and write Parquet files with a dataset card.

    Example: audiobert construct split rows.jsonl --pitches pitches.jsonl --wiki wiki --out my-bench
    Then: audiobert evaluate google-bert/bert-base-uncased --data-dir my-bench --split test
    """
    from audiobert.dataset_scripts.auditorybench.statistics import benchmark_sizes, sizes_table
    from audiobert.dataset_scripts.construction.benchmark import ROWS_FILE, BenchmarkFacts, build_benchmark
    from audiobert.dataset_scripts.construction.filtering import FilterSettings, read_blocked_answers
    from audiobert.dataset_scripts.construction.jsonl import read_jsonl

    dropped = frozenset(row["id"] for row in read_jsonl(drop, ("id",), may_be_empty=True)) if drop else frozenset()
    filter_settings = FilterSettings(min_difference, read_blocked_answers(blocked_answers), similarity, dropped)
    needed = ("id", "task", "sentence", "answer", "spans")
    built = build_benchmark(
        out,
        [row for file in rows for row in read_jsonl(file, needed)],
        read_jsonl(pitches, ("id", "average_pitch_hz")) if pitches else None,
        read_jsonl(wiki / ROWS_FILE if wiki.is_dir() else wiki, needed) if wiki else (),
        (filter_settings, seed),
        BenchmarkFacts(name or out.name, licence),
    )
    sizes = benchmark_sizes(built.tasks)
    if as_json:
        counts = {task: {split: len(found) for split, found in splits.items()} for task, splits in built.tasks.items()}
        print(json.dumps({"folder": str(out), "rows": counts, "rejected": built.reasons}, ensure_ascii=False))
        return
    print(sizes_table(sizes, beside_paper=False))
    print(f"\n{len(built.rejects):,} rows were left out ({out}/rejects.jsonl):")
    for reason, count in built.reasons.items():
        print(f"  {count:,}: {reason}")
