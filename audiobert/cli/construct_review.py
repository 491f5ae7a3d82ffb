"""`audiobert construct review`: draw rows for annotators, and read back what they found."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


review = typer.Typer(help="Judge a benchmark's quality by hand, as the paper's Table IV does.", no_args_is_help=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@review.command()
def draw(  # noqa: PLR0913 - one argument an option
    benchmark: Annotated[
        Path, typer.Argument(metavar="BENCHMARK", help="A folder of 'construct split', or AuditoryBench's CSV files.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where sheets and web page go.")],
    annotator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Who judges; once for each. By default one, 'annotator'.")
    ] = None,
    items: Annotated[int, typer.Option(metavar="N", help="Rows of each task.")] = 100,
    split: Annotated[
        list[str] | None, typer.Option(help="Draw from this split only; may be repeated. By default from all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    as_json: _AsJson = False,
) -> None:
    """Draw rows and write what annotators fill in: a CSV sheet for each, or one web page that works offline.

    Accuracy is from 0 (false) to 100 (true), fluency from 1 (broken) to 3 (good).

    Example: audiobert construct review draw my-bench --annotator ada --annotator ben --out review
    Then: audiobert construct review read review
    """
    from audiobert.dataset_scripts.auditorybench import load_both_tasks
    from audiobert.dataset_scripts.construction.review_draw import PAGE_FILE, draw_items, write_review

    drawn = draw_items(load_both_tasks(benchmark, allow_leaked_train=True), items, split or (), seed)
    sheets = write_review(out, drawn, annotator or ["annotator"])
    page = out / PAGE_FILE
    if as_json:
        print(json.dumps({"items": len(drawn), "sheets": [str(sheet) for sheet in sheets], "page": str(page)}))
        return
    print(f"{len(drawn)} rows to judge, in {', '.join(map(str, sheets))}; or open {page} in a browser.")


@review.command()
def read(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What 'review draw' wrote.")],
    sheets: Annotated[
        list[Path] | None, typer.Argument(metavar="[SHEET]...", help="Filled in; by default DIR/sheet-*.csv.")
    ] = None,
    min_accuracy: Annotated[float, typer.Option(help="Rows with a lower mean are to be dropped.")] = 50.0,
    min_fluency: Annotated[float, typer.Option(help="Rows with a lower mean are to be dropped.")] = 2.0,
    drop: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows to drop here, for 'construct split --drop'.")
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Print Table IV from the annotators' sheets: accuracy, fluency, Krippendorff's alpha, and rows to drop.

    Example: audiobert construct review read review --drop drop.jsonl
    Then: audiobert construct split rows.jsonl --pitches pitches.jsonl --drop drop.jsonl --out my-bench
    """
    from audiobert.dataset_scripts.construction.jsonl import write_jsonl
    from audiobert.dataset_scripts.construction.review_results import judge_review, read_sheets, review_table

    report = judge_review(*read_sheets(folder, sheets or ()), min_accuracy, min_fluency)
    if drop is not None:
        write_jsonl(drop, report.drop)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
        return
    print(review_table(report))
    for task in report.tasks:
        if task.unrated:
            print(f"{task.task}: nobody rated {len(task.unrated)} of the items.", file=sys.stderr)
    print(f"\n{len(report.drop)} rows to drop" + (":" if report.drop else "."))
    for row in report.drop:
        print(f"  {row['id']}: {row['reason']}")
