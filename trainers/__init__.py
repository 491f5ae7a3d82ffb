"""Everything that trains, builds audio banks, or measures."""

from typing import Any


__all__ = ["AudioBertTrainer"]  # and GaudiAudioBertTrainer, where optimum-habana is


def __getattr__(name: str) -> Any:
    """Import a Trainer when it is asked for; without optimum-habana, its Trainer is an `ImportError` that says so."""
    if name == "AudioBertTrainer":
        from .audiobert_trainer import AudioBertTrainer as trainer
    elif name == "GaudiAudioBertTrainer":
        from .gaudi_trainer import GaudiAudioBertTrainer as trainer
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return trainer
