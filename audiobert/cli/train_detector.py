"""`audiobert train detector`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, Seeds, run_recipe


def train_detector(config: Config, overrides: Overrides = None, seeds: Seeds = None, as_json: AsJson = False) -> None:
    """Train the span detector, which marks the words of a sentence that name a sound, and measure it.

    With detector=trunk it is a probe on the language model itself, else a second model. With combine=true, on in the
    recipe trunk_detector, the probes of several seeds also become one detector, in the folder combined. table2.md in
    the output folder is the paper's Table II, over the seeds.

    Example: audiobert train detector --config cpu_small data_dir=auditorybench output_dir=runs/detector
    """
    from audiobert.trainers.detector_training import DetectorRecipe, train_detector

    run_recipe(DetectorRecipe, train_detector, (config, overrides, seeds, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in metrics["validation"].items())
    scores = {(result["task"], result["split"]): result["weighted_f1"] for result in metrics["results"]}
    combined = ", ".join(f"{split} {100 * scores['combined', split]:.2f}" for split in ("validation", "test", "wiki"))
    return (
        f"{metrics['rows']['train']} rows; on validation, {numbers}; at threshold {metrics['threshold']['value']}, "
        f"weighted F1 on combined {combined}"
    )
