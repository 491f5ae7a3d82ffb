"""`audiobert train detector`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, run_recipe


def train_detector(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train the span detector, which marks the words of a sentence that name a sound.

    Example: audiobert train detector --config cpu_small data_dir=auditorybench output_dir=runs/detector
    """
    from audiobert.trainers.detector_training import DetectorRecipe, train_detector

    run_recipe(DetectorRecipe, train_detector, (config, overrides, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in metrics["validation"].items())
    return f"{metrics['rows']['train']} rows; on validation, {numbers}"
