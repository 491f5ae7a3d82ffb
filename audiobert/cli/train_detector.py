"""`audiobert train detector`."""

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer


def train_detector(
    config: Annotated[
        str, typer.Option(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with the package.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the recipe's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Train the span detector, which marks the words of a sentence that name a sound.

    Example: audiobert train detector --config cpu_small data_dir=auditorybench output_dir=runs/detector
    """
    from audiobert.trainers.detector_training import DetectorRecipe, train_detector
    from audiobert.trainers.recipe import load_recipe
    from audiobert.trainers.training_run import seed_folders

    recipe = load_recipe(DetectorRecipe, config, overrides or [])
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        runs = train_detector(recipe)
    if as_json:
        print(json.dumps(runs, indent=2))
        return
    for metrics, (seed, folder) in zip(runs, seed_folders(recipe), strict=True):
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in metrics["validation"].items())
        print(f"{folder} (seed {seed}, {metrics['rows']['train']} rows): on validation, {numbers}")
