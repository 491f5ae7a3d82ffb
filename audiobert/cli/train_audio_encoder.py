"""`audiobert train audio-encoder`."""

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer


def train_audio_encoder(
    config: Annotated[
        str, typer.Option(metavar="RECIPE", help="A YAML file, or the name of a recipe that comes with the package.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that replace the recipe's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Train the audio encoder, whose embeddings of clips AudioBERT injects, on the clips' labels.

    Example: audiobert train audio-encoder --config cpu_small clips=clips/manifest.csv output_dir=runs/audio_encoder
    """
    from audiobert.trainers.audio_encoder_training import AudioEncoderRecipe, train_audio_encoder
    from audiobert.trainers.recipe import load_recipe
    from audiobert.trainers.training_run import seed_folders

    recipe = load_recipe(AudioEncoderRecipe, config, overrides or [])
    with redirect_stdout(sys.stderr):  # where the Trainer prints its log lines
        runs = train_audio_encoder(recipe)
    if as_json:
        print(json.dumps(runs, indent=2))
        return
    for metrics, (seed, folder) in zip(runs, seed_folders(recipe), strict=True):
        numbers = ", ".join(f"{name} {value}" for name, value in metrics["validation"].items())
        print(f"{folder} (seed {seed}, {metrics['clips']['train']} clips): on held-out clips, {numbers}")
