"""`audiobert compare`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def compare(  # noqa: PLR0913 - one argument an option
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS.json...",
            help="Files of 'audiobert evaluate --out': two, or one side's seeds with --against for the other's.",
        ),
    ],
    against: Annotated[
        list[Path] | None, typer.Option(help="A file of the second side; repeat it for several seeds.")
    ] = None,
    hearing: Annotated[
        str | None, typer.Option(help="The first side's setting of hearing; 'on' by default.", show_default=False)
    ] = None,
    against_hearing: Annotated[
        str | None, typer.Option(help="The second side's; 'on' by default.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    clustered: Annotated[
        bool,
        typer.Option(
            "--clustered", help="Take rows for dependent that name the same sound or ask for the same animal."
        ),
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="For --clustered: the rows that were asked; downloaded by default.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the comparison as JSON in this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Test whether one model is right more often than another on the same rows: paired bootstrap, McNemar.

    With several seeds a side, a row counts by the share of seeds that are right, and only the bootstrap is made. With
    --clustered, a cluster-robust test takes the place of both.

    Example: audiobert compare audiobert.json text_only.json
    """
    from audiobert.modeling_audiobert.errors import AudioBertInputError
    from audiobert.trainers.comparison import compare_results
    from audiobert.trainers.evaluation_results import check_results_path, load_results, save_results

    from .evaluation_text import comparison_lines

    if not against and len(results) != 2:
        raise AudioBertInputError(
            f"{len(results)} files are given; name two, or all of one side and the other's with --against."
        )
    if data_dir is not None and not clustered:
        raise AudioBertInputError("--data-dir is for --clustered; add that, or leave it out.")
    if out is not None:
        check_results_path(out)
    sides = (results, against) if against else (results[:1], results[1:])
    first, second = ([load_results(path) for path in paths] for paths in sides)
    compared = compare_results(first, second, (hearing, against_hearing), seed, clustered, data_dir)
    if out is not None:
        save_results(compared, out)
    if as_json:
        print(json.dumps(compared, indent=2, ensure_ascii=False))
        return
    for name in ("first", "second"):
        facts = compared[name]
        setting = f", hearing {facts['hearing']}" if facts["hearing"] else ""
        print(f"{name}: {', '.join(facts['models'])}{setting} ({facts['protocol']})")
    print("\n".join(comparison_lines(compared["comparisons"])))
