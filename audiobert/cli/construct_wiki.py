"""`audiobert construct wiki`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def construct_wiki(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")],
    calls: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A CSV table with animal and call, instead of our own; may be repeated."),
    ] = None,
    ranges: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A CSV table with name, lowest, highest and unit (midi or hz), instead of our own; may be repeated.",
        ),
    ] = None,
    unique_calls: Annotated[
        bool, typer.Option("--unique-calls", help="Leave out calls that several animals of the table make.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the order in which two instruments are named.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Make the two wiki test sets from facts: who makes a call, and which of two instruments sounds higher.

    Two instruments are compared only if their ranges do not overlap.

    Example: audiobert construct wiki --out wiki
    Then: audiobert evaluate google-bert/bert-base-uncased --data-dir wiki --split wiki
    """
    from audiobert.dataset_scripts.auditorybench.statistics import benchmark_sizes, sizes_table
    from audiobert.dataset_scripts.construction.benchmark import BenchmarkFacts, export_rows
    from audiobert.dataset_scripts.construction.wiki import (
        animal_wiki_rows,
        pitch_wiki_rows,
        read_calls,
        read_ranges,
    )

    rows = animal_wiki_rows(read_calls(calls or ()), unique_calls) + pitch_wiki_rows(read_ranges(ranges or ()), seed)
    facts = BenchmarkFacts("Auditory knowledge from facts", repository=out.name)
    tasks = export_rows(out, {"wiki": rows}, facts, command="construct wiki")
    if as_json:
        print(json.dumps({"folder": str(out), "rows": {task: len(splits["wiki"]) for task, splits in tasks.items()}}))
        return
    print(sizes_table(benchmark_sizes(tasks), beside_paper=False))
