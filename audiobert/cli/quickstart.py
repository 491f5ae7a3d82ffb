"""`audiobert quickstart`."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer


def quickstart(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path(
        "runs/quickstart"
    ),
    seed: Annotated[int, typer.Option(help="Of sounds, sentences and training.")] = 0,
    language_model: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="A masked language model: folder or Hub id; by default one that needs no network."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Make a hearing language model from nothing, offline, in a few minutes, and see what hearing brings.

    It synthesises sounds, writes sentences about them, trains every part, and compares the language model with and
    without hearing. Interrupted, the same command goes on.

    Example: audiobert quickstart --output runs/quickstart --seed 0
    """
    from transformers.utils import logging as transformers_logging

    from audiobert.trainers.quickstart import RECIPE, QuickstartRecipe, run_quickstart
    from audiobert.trainers.recipe import load_recipe

    transformers_logging.set_verbosity_error()  # it reports every part that starts from a language model
    chosen = [f"output_dir={output}", f"seed={seed}"]
    chosen += [f"language_model={language_model}"] if language_model else []
    recipe = load_recipe(QuickstartRecipe, RECIPE, chosen)
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        results = run_quickstart(recipe, lambda sentence: print(f"\n{sentence}", file=sys.stderr))
    print(json.dumps(results, indent=2, ensure_ascii=False)) if as_json else _show(results)


def _show(results: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    from audiobert.trainers.quickstart.report import accuracy_rows

    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    rows = accuracy_rows(results["accuracy"])
    table = Table("part", "asked", "rows", *rows[0]["models"], box=None, padding=(0, 2))
    for row in rows:
        shares = [f"{100 * value:.1f} %" for value in row["models"].values()]
        table.add_row(row["part"], row["task"], str(row["rows"]), *shares)
    console.print(table)
    for answer in results["answers"]:
        console.print(f"\n{answer['text']}", style="bold", markup=False)
        for span in answer["spans"]:
            for clip in span["clips"]:
                heard = f"  heard '{span['text']}': {clip['caption']}, similarity {clip['similarity']:.3f}"
                console.print(heard, markup=False)
        for title, lists in (("on", answer["predictions"]), ("off", answer["hearing_off"])):
            words = ", ".join(f"{word['token_str']} {word['score']:.3f}" for word in lists[0][:3])
            console.print(f"  hearing {title}: {words}", markup=False)
    console.print(f"\nThe model: {results['model']}    The report: {results['report']}", markup=False)
    console.print(f'Ask it: audiobert fill-mask {results["model"]} "Moo is the sound a [MASK] makes."', markup=False)
