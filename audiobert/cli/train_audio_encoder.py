"""`audiobert train audio-encoder`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, Seeds, run_recipe


def train_audio_encoder(
    config: Config, overrides: Overrides = None, seeds: Seeds = None, as_json: AsJson = False
) -> None:
    """Train the audio encoder, whose embeddings of clips AudioBERT injects, on the clips' labels.

    Example: audiobert train audio-encoder --config cpu_small clips=clips/manifest.csv output_dir=runs/audio_encoder
    """
    from audiobert.trainers.audio_encoder_training import AudioEncoderRecipe, train_audio_encoder

    run_recipe(AudioEncoderRecipe, train_audio_encoder, (config, overrides, seeds, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    numbers = ", ".join(f"{name} {value}" for name, value in metrics["validation"].items())
    return f"{metrics['clips']['train']} clips; on held-out clips, {numbers}"
