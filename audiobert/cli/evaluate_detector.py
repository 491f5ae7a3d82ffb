"""`audiobert evaluate detector`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate_detector(  # noqa: PLR0913 - one argument an option
    detectors: Annotated[
        list[str],
        typer.Argument(
            metavar="DETECTOR...", help="Span detectors, separate or trunk: folders (also with seed-<n> in them), ids."
        ),
    ],
    data_dir: Annotated[Path | None, typer.Option(help="AuditoryBench's CSV files; downloaded by default.")] = None,
    ordinary_text: Annotated[
        Path | None,
        typer.Option(help="Text that is not about sounds, one a line; spans found in 2,000 lines are counted."),
    ] = None,
    language_model: Annotated[
        str | None, typer.Option(help="That of trunk detectors; by default the one in their recipe.yaml.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the results as JSON in this file.")] = None,
    table: Annotated[Path | None, typer.Option(help="Save Table II as Markdown in this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Measure how well span detectors find spans: the paper's Table II, a line a detector, over its seeds.

    Example: audiobert evaluate detector runs/detector runs/trunk --data-dir auditorybench --table table2.md
    """
    from audiobert.trainers.detector_measurement import evaluate_detectors
    from audiobert.trainers.detector_report import table_text, write_table
    from audiobert.trainers.evaluation_results import check_results_path, save_results

    for path in (out, table):
        if path is not None:
            check_results_path(path)
    results = evaluate_detectors(detectors, data_dir, ordinary_text, language_model)
    if out is not None:
        save_results(results, out)
    if table is not None:
        write_table(results["table"], table)
    print(json.dumps(results, indent=2, ensure_ascii=False) if as_json else table_text(results["table"]), end="")
