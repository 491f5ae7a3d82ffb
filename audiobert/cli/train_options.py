"""What all `audiobert train` commands take, and do with it."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer


__all__ = ["AsJson", "Config", "Overrides", "run_recipe"]

Config = Annotated[
    str, typer.Option(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with the package.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the recipe's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")]


def run_recipe(
    recipe_class: type,
    train: Callable[[Any], list[dict[str, Any]]],
    options: tuple[str, list[str] | None, bool],
    describe: Callable[[dict[str, Any]], str],
) -> None:
    """Load a recipe, train by it, and print each run: as `describe` says it, or all of them as JSON.

    Args:
        recipe_class, train: of one module in `audiobert.trainers`.
        options: the values of `Config`, `Overrides` and `AsJson`.
        describe: gives the text behind the run's folder and seed.
    """
    from accelerate import PartialState

    from audiobert.trainers.recipe import load_recipe
    from audiobert.trainers.training_run import seed_folders

    config, overrides, as_json = options
    recipe = load_recipe(recipe_class, config, overrides or [])
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        runs = train(recipe)
    if not PartialState().is_main_process:  # under "accelerate launch", one process prints for all
        return
    if as_json:
        print(json.dumps(runs, indent=2))
        return
    for metrics, (seed, folder) in zip(runs, seed_folders(recipe), strict=True):
        print(f"{folder} (seed {seed}): {describe(metrics)}")
