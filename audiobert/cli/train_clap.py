"""`audiobert train clap`."""

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer


def train_clap(
    config: Annotated[
        str, typer.Option(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with the package.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the recipe's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Train CLAP, which finds a sound clip for the words of a sentence that name a sound.

    Example: audiobert train clap --config cpu_small clips=clips/manifest.csv output_dir=runs/clap
    """
    from audiobert.trainers.clap_training import ClapRecipe, train_clap
    from audiobert.trainers.recipe import load_recipe
    from audiobert.trainers.training_run import seed_folders

    recipe = load_recipe(ClapRecipe, config, overrides or [])
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        runs = train_clap(recipe)
    if as_json:
        print(json.dumps(runs, indent=2))
        return
    for metrics, (seed, folder) in zip(runs, seed_folders(recipe), strict=True):
        measured = metrics["validation"] or {}
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in measured.items()) or "nothing was held out"
        print(f"{folder} (seed {seed}, {metrics['clips']['train']} clips): on held-out clips, {numbers}")
