"""Makes the Auto classes of transformers know AudioBERT once `audiobert` is imported, without importing the model.

The model needs torch and much of transformers, which take seconds to import. So `import audiobert` only leaves a
stand-in for the configuration in the table of `AutoConfig`, when that is first imported; whoever asks it for anything
gets the real class. Importing any part of the model registers all of it.
"""

import importlib
from types import ModuleType
from typing import Any

from audiobert.dataset_scripts.import_watching import when_imported


__all__ = ["MODEL_PACKAGE", "register_model"]

MODEL_PACKAGE = "audiobert.modeling_audiobert"
_MODEL_TYPE = "audiobert"


def register_model() -> None:
    """Let the Auto classes find AudioBERT: by a stand-in until the model is imported, then by its own classes."""
    when_imported("transformers.models.auto.configuration_auto", _enter_stand_in)
    when_imported(MODEL_PACKAGE, _enter_classes)


def _enter_stand_in(configuration_auto: ModuleType) -> None:
    configuration_auto.CONFIG_MAPPING.register(_MODEL_TYPE, _ConfigStandIn(), exist_ok=True)


def _enter_classes(package: ModuleType) -> None:
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoProcessor

    AutoConfig.register(_MODEL_TYPE, package.AudioBertConfig, exist_ok=True)
    AutoModelForMaskedLM.register(package.AudioBertConfig, package.AudioBertForMaskedLM, exist_ok=True)
    AutoProcessor.register(package.AudioBertConfig, package.AudioBertProcessor, exist_ok=True)


class _ConfigStandIn:
    """Answers as `AudioBertConfig` does, which is imported for the first answer but its name."""

    __name__ = "AudioBertConfig"  # transformers compares the names of all classes in the table

    def __call__(self, *args, **kwargs):
        return _config_class()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(_config_class(), name)


def _config_class() -> type:
    return importlib.import_module(MODEL_PACKAGE).AudioBertConfig
