"""`audiobert train audiobert`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, Seeds, run_recipe


def train_audiobert(config: Config, overrides: Overrides = None, seeds: Seeds = None, as_json: AsJson = False) -> None:
    """Assemble an AudioBERT from its parts, train adapter and audio encoder, and save it with its audio bank.

    Example: audiobert train audiobert --config cpu_small data_dir=auditorybench audio_dir=clips bank=runs/bank
    """
    from audiobert.trainers.audiobert_training import AudioBertRecipe, train_audiobert

    run_recipe(AudioBertRecipe, train_audiobert, (config, overrides, seeds, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    lines = [
        f"  {result['task']}, hearing {result['hearing']}: {100 * result['accuracy']:.2f} % "
        f"({result['correct']} of {result['rows']} rows)"
        for result in metrics["validation"]
    ]
    return "\n".join([f"{metrics['rows']['train']} rows; on validation,", *lines])
