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
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="train, validation, test (the default), wiki, or all for the last three; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="AuditoryBench's CSV files, or a folder of 'construct split'; downloaded by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the results as JSON in this file.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON; the single predictions only go to --out.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Rows at a time; changes the speed only.")] = 32,
    seed: Annotated[int, typer.Option(help="Of whatever is drawn at random.")] = 0,
) -> None:
    """Measure a model's accuracy on AuditoryBench; an AudioBERT's with hearing on and off.

    The number of the answer's word pieces is given to the model, as in the paper.

    Example: audiobert evaluate google-bert/bert-base-uncased --data-dir auditorybench --split test --out bert.json
    """
    from audiobert.trainers.evaluation import evaluate_model, save_results
    from audiobert.trainers.evaluation_results import check_results_path

    if out is not None:
        check_results_path(out)
    results = evaluate_model(model, data_dir, task=task, split=split or "test", batch_size=batch_size, seed=seed)
    if out is not None:
        save_results(results, out)
    if as_json:
        shown = {name: value for name, value in results.items() if name != "predictions"}
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    print(f"{model} ({results['protocol']})")
    for result in results["results"]:
        hearing = f", hearing {result['hearing']}" if result["hearing"] else ""
        low, high = (100 * result["interval"][end] for end in ("low", "high"))
        accuracy = f"{100 * result['accuracy']:.2f} % ({result['correct']} of {result['rows']} rows)"
        f1 = f"F1 {100 * result['f1']['weighted']:.2f} weighted, {100 * result['f1']['macro']:.2f} macro"
        print(
            f"  {result['split']} {result['task']}{hearing}: {accuracy}, 95 % interval {low:.2f} to {high:.2f}, {f1}"
        )
    if results["left_out"]:
        print(f"{len(results['left_out'])} rows without exactly one gap were left out.", file=sys.stderr)
