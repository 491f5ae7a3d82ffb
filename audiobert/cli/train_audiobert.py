"""`audiobert train audiobert`."""

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer


def train_audiobert(
    config: Annotated[
        str, typer.Option(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with the package.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the recipe's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Assemble an AudioBERT from its parts, train adapter and audio encoder, and save it with its audio bank.

    Example: audiobert train audiobert --config cpu_small data_dir=auditorybench audio_dir=clips bank=runs/bank
    """
    from audiobert.trainers.audiobert_training import AudioBertRecipe, train_audiobert
    from audiobert.trainers.recipe import load_recipe
    from audiobert.trainers.training_run import seed_folders

    recipe = load_recipe(AudioBertRecipe, config, overrides or [])
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        runs = train_audiobert(recipe)
    if as_json:
        print(json.dumps(runs, indent=2))
        return
    for metrics, (seed, folder) in zip(runs, seed_folders(recipe), strict=True):
        print(f"{folder} (seed {seed}, {metrics['rows']['train']} rows): on validation,")
        for result in metrics["validation"]:
            print(
                f"  {result['task']}, hearing {result['hearing']}: {100 * result['accuracy']:.2f} % "
                f"({result['correct']} of {result['rows']} rows)"
            )
