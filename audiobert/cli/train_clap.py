"""`audiobert train clap`."""

from typing import Any

from .train_options import AsJson, Config, Overrides, Seeds, run_recipe


def train_clap(config: Config, overrides: Overrides = None, seeds: Seeds = None, as_json: AsJson = False) -> None:
    """Train CLAP, which finds a sound clip for the words of a sentence that name a sound.

    Example: audiobert train clap --config cpu_small clips=clips/manifest.csv output_dir=runs/clap
    """
    from audiobert.trainers.clap_training import ClapRecipe, train_clap

    run_recipe(ClapRecipe, train_clap, (config, overrides, seeds, as_json), _describe)


def _describe(metrics: dict[str, Any]) -> str:
    names = ("text_to_audio_recall@1", "text_to_audio_map@10", "audio_to_text_recall@1", "label_precision@5")
    lines = [f"{metrics['clips']['train']} clips"]
    for part, title in (("validation", "held-out clips"), ("held_out_sources", "clips of held-out sources")):
        measured = metrics.get(part) or {}
        numbers = ", ".join(f"{name.replace('_', ' ')} {measured[name]:.4f}" for name in names if name in measured)
        if numbers:
            lines.append(f"  on {title}, {numbers}")
    return "\n".join(lines if len(lines) > 1 else [f"{lines[0]}; nothing was held out"])
