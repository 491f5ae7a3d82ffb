"""`audiobert evaluate`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def evaluate(  # noqa: PLR0913 - one argument an option
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A masked language model or AudioBERT.")],
    task: Annotated[
        str, typer.Option(help="animal_sound_recognition, sound_pitch_comparison, or combined (reports all three).")
    ] = "combined",
    split: Annotated[str, typer.Option(help="train, validation, test or wiki.")] = "test",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="AuditoryBench's CSV files, or a folder of 'construct split'; downloaded by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the results as JSON in this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    batch_size: Annotated[int, typer.Option(help="Rows at a time; changes the speed only.")] = 32,
) -> None:
    """Measure a model's accuracy on AuditoryBench; an AudioBERT's with hearing on and off.

    The number of the answer's word pieces is given to the model, as in the paper.

    Example: audiobert evaluate google-bert/bert-base-uncased --data-dir auditorybench --split test --out bert.json
    """
    from audiobert.trainers.evaluation import check_results_path, evaluate_model, save_results

    if out is not None:
        check_results_path(out)
    results = evaluate_model(model, data_dir, task=task, split=split, batch_size=batch_size)
    if out is not None:
        save_results(results, out)
    if as_json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
        return
    print(f"{model} on {split} ({results['protocol']})")
    for result in results["results"]:
        hearing = f", hearing {result['hearing']}" if result["hearing"] else ""
        numbers = f"{100 * result['accuracy']:.2f} % ({result['correct']} of {result['rows']} rows)"
        print(f"  {result['task']}{hearing}: {numbers}")
    if results["left_out"]:
        print(f"{len(results['left_out'])} rows without exactly one gap were left out.", file=sys.stderr)
