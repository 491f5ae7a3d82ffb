"""`audiobert train lm-adapter`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, Seeds, run_recipe


def train_lm_adapter(
    config: Config, overrides: Overrides = None, seeds: Seeds = None, as_json: AsJson = False
) -> None:
    """Train a small adapter that makes a masked language model of a BERT encoder (the starter's, by default).

    Example: audiobert train lm-adapter --config lm_adapter data=texts.txt output_dir=runs/lm_adapter
    """
    from audiobert.trainers.lm_adapter_training import LmAdapterRecipe, train_lm_adapter

    run_recipe(LmAdapterRecipe, train_lm_adapter, (config, overrides, seeds, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    before, after = metrics["before"], metrics["after"]
    return (
        f"{metrics['lines']['train']:,} lines; of {after['tokens']:,} hidden tokens in {after['lines']:,} held-out "
        f"lines {100 * after['accuracy']:.1f} % right (before training {100 * before['accuracy']:.1f} %); "
        f"{metrics['bytes']:,} bytes"
    )
