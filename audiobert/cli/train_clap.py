"""`audiobert train clap`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, run_recipe


def train_clap(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train CLAP, which finds a sound clip for the words of a sentence that name a sound.

    Example: audiobert train clap --config cpu_small clips=clips/manifest.csv output_dir=runs/clap
    """
    from audiobert.trainers.clap_training import ClapRecipe, train_clap

    run_recipe(ClapRecipe, train_clap, (config, overrides, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    measured = metrics["validation"] or {}
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in measured.items()) or "nothing was held out"
    return f"{metrics['clips']['train']} clips; on held-out clips, {numbers}"
