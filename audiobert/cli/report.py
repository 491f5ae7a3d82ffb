"""`audiobert report`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def report(  # noqa: PLR0913 - one argument an option
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...",
            help="Files of 'evaluate --out' and 'evaluate detector --out', folders of trainings; NAME=PATH names one.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")] = Path("report"),
    data_dir: Annotated[
        Path | None,
        typer.Option(help="AuditoryBench's CSV files: for answer frequencies, and sentences to listen to."),
    ] = None,
    bank: Annotated[
        Path | None, typer.Option(help="The audio bank that was heard; by default the one in the model's folder.")
    ] = None,
    audio_dir: Annotated[
        Path | None, typer.Option(help="The folder of its clips, if the bank does not hold their sounds.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows to listen to, for each way in which hearing changed an answer.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report's numbers as JSON.")] = False,
) -> None:
    """Write tables beside the paper's figures, plots, and a page with the rows in which hearing changed the answer.

    Results of one model's seeds (folders seed-0, seed-1 ... or the same NAME) become mean and deviation.

    Example: audiobert report base.json hearing.json runs/audiobert --data-dir auditorybench --out report
    """
    from audiobert.report import ReportOptions, write_report

    written = write_report(sources, out, ReportOptions(data_dir, bank, audio_dir, rows))
    if as_json:
        print(json.dumps(written, indent=2, ensure_ascii=False))
        return
    print(f"{out}: {', '.join(written['files'])}")
    for heading, reason in written["left_out"].items():
        print(f"  {heading}: {reason}")
