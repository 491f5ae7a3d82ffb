"""AudioBERT: masked language models that know what things sound like (arXiv 2409.08199).

Importing it registers the model with the Auto classes of transformers and AuditoryBench with datasets, and does
nothing else: torch, transformers and the model are imported when a name of theirs is first used.
"""

import importlib
from typing import TYPE_CHECKING

from audiobert.dataset_scripts import register_auditorybench
from audiobert.metrics import metric_path

from .registration import MODEL_PACKAGE, register_model


if TYPE_CHECKING:
    from audiobert.modeling_audiobert import (
        AudioBank,
        AudioBertConfig,
        AudioBertForMaskedLM,
        AudioBertInputError,
        AudioBertOutput,
        AudioBertProcessor,
        AudioBertRetriever,
        AudioFillMaskPipeline,
        RetrievedClips,
        TrunkDetector,
        TrunkDetectorConfig,
    )


__all__ = [
    "AudioBank",
    "AudioBertConfig",
    "AudioBertForMaskedLM",
    "AudioBertInputError",
    "AudioBertOutput",
    "AudioBertProcessor",
    "AudioBertRetriever",
    "AudioFillMaskPipeline",
    "RetrievedClips",
    "TrunkDetector",
    "TrunkDetectorConfig",
    "metric_path",
]

__version__ = "0.1.0.dev0"


# Not in __all__, since not everyone who takes all of it has what it takes to train, or optimum-habana.
_TRAINERS = ("AudioBertTrainer", "GaudiAudioBertTrainer")


def __getattr__(name: str):
    if name not in (*__all__, *_TRAINERS):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    package = f"{__name__}.trainers" if name in _TRAINERS else MODEL_PACKAGE
    value = globals()[name] = getattr(importlib.import_module(package), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_auditorybench()
register_model()
