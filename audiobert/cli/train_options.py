"""What all `audiobert train` commands take, and do with it."""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer


__all__ = ["AsJson", "Config", "Overrides", "Seeds", "run_recipe"]

Config = Annotated[
    str, typer.Option(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with the package.")
]
Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="N [N]...",
        help="Train once for each of these seeds (0 1 2, or 0,1,2), instead of the recipe's; several, each in seed-N "
        "below output_dir, with mean and standard deviation in summary.json. A seed that has ended is not repeated.",
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the recipe's.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")]


def run_recipe(
    recipe_class: type,
    train: Callable[[Any], list[dict[str, Any]]],
    options: tuple[str, list[str] | None, str | None, bool],
    describe: Callable[[dict[str, Any]], str],
) -> None:
    """Load a recipe, train by it, and print each run: as `describe` says it, or all of them as JSON.

    Args:
        recipe_class, train: of one module in `audiobert.trainers`.
        options: the values of `Config`, `Overrides`, `Seeds` and `AsJson`.
        describe: gives the text behind the run's folder and seed.
    """
    from accelerate import PartialState

    from audiobert.trainers.recipe import load_recipe
    from audiobert.trainers.seed_summary import write_summary
    from audiobert.trainers.training_run import seed_folders

    config, overrides, seeds, as_json = options
    recipe = load_recipe(recipe_class, config, _with_seeds(overrides or [], seeds))
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        runs = train(recipe)
    if not PartialState().is_main_process:  # under "accelerate launch", one process prints for all
        return
    summary = write_summary(runs, recipe.output_dir) if len(runs) > 1 else None
    if as_json:
        print(json.dumps(runs, indent=2))
        return
    for metrics, (seed, folder) in zip(runs, seed_folders(recipe), strict=True):
        print(f"{folder} (seed {seed}): {describe(metrics)}")
    if summary is not None:
        _print_summary(summary)


def _with_seeds(overrides: list[str], seeds: str | None) -> list[str]:
    """Return the overrides with the seeds among them; the numbers behind `--seeds 0` arrive as arguments too."""
    if seeds is None:
        return overrides
    more = [word for word in overrides if word.replace(",", "").isdigit()]
    listed = [seed for word in (seeds, *more) for seed in word.replace(",", " ").split()]
    return [*(word for word in overrides if word not in more), f"seeds=[{', '.join(listed)}]"]


def _print_summary(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"mean ± standard deviation over seeds {', '.join(map(str, summary['seeds']))}")
    table.add_column("figure")
    table.add_column("mean ± std", justify="right", no_wrap=True)
    for figure in summary["figures"]:
        table.add_row(figure["figure"], f"{figure['mean']:.4f} ± {figure['std']:.4f}")
    Console().print(table)
