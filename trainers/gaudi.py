"""optimum-habana, imported on machines with and without a Gaudi, and what it needs to know of AudioBERT."""

import importlib.metadata
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["GAUDI_CONFIG", "gaudi_arguments", "gaudi_config", "import_optimum_habana"]

# Of AudioBERT: fused optimizer and gradient clipping, and dynamic shapes, since which rows of a batch hear something,
# and how many clips they share, changes from batch to batch. The precision is the recipe's, so autocast is off here.
GAUDI_CONFIG = Path(__file__).parent / "gaudi_config.json"
_VALIDATED_SOFTWARE = "1.21.0"


def import_optimum_habana() -> ModuleType:
    """Return `optimum.habana`, also on a machine without Gaudi's software, where it trains on the CPU.

    Raises:
        ImportError: it is not installed, or does not fit the other packages.
    """
    try:
        with _software_version_known():
            import optimum.habana
    except ImportError as error:
        raise ImportError(
            f"GaudiAudioBertTrainer needs optimum-habana, which cannot be imported here ({error}). Install it, with "
            f'the transformers that it works with, in an environment of its own: pip install "audiobert[gaudi]"'
        ) from error
    return optimum.habana


def gaudi_config() -> Any:
    """Return the `GaudiConfig` for AudioBERT that comes with the package, `gaudi_config.json`."""
    return import_optimum_habana().GaudiConfig.from_pretrained(str(GAUDI_CONFIG.parent))


def gaudi_arguments(settings: dict[str, Any], own: dict[str, Any]) -> Any:
    """Return `GaudiTrainingArguments`.

    Args:
        settings (`dict`): what `TrainingArguments` has too.
        own (`dict`):
            What only `GaudiTrainingArguments` has: `use_habana`, `use_lazy_mode`, `use_hpu_graphs_for_training`,
            `distribution_strategy` … `use_habana` is true by default; false, the training runs on the CPU, to try a
            recipe out where there is no Gaudi. `use_lazy_mode` is what `use_habana` is.

    Raises:
        ImportError: see `import_optimum_habana`.
        AudioBertInputError: a setting is unknown, or Gaudi's software is missing.
        ValueError: optimum-habana refuses a value.
    """
    habana = import_optimum_habana()
    use_habana = own.get("use_habana", True)
    defaults = {"use_habana": use_habana, "use_lazy_mode": use_habana}
    if not use_habana:
        defaults |= {"use_cpu": True, "half_precision_backend": "cpu_amp"}
    known = habana.GaudiTrainingArguments.__dataclass_fields__
    unknown = sorted(own.keys() - known.keys())
    if unknown:
        raise AudioBertInputError(
            f"'gaudi.{unknown[0]}' is not a setting of optimum-habana's GaudiTrainingArguments; correct or remove it."
        )
    try:
        return habana.GaudiTrainingArguments(**{**defaults, **settings, **own})
    except ImportError as error:
        raise AudioBertInputError(
            f"Gaudi's software is not installed here ({error}). Train on a machine with a Gaudi, or, to try the "
            f"recipe out on this one's CPU, set gaudi.use_habana=false."
        ) from error


@contextmanager
def _software_version_known() -> Iterator[None]:
    """Let optimum-habana 1.21 be imported where Gaudi's software is missing.

    When imported, it reads that software's version from the output of a shell command, and ends in an IndexError
    where there is none. Nothing else of it needs the software on a CPU; so it is told the version that it was
    validated with, for as long as the import takes.
    """
    try:
        importlib.metadata.version("habana-torch-plugin")
    except importlib.metadata.PackageNotFoundError:
        run = subprocess.run
    else:
        yield
        return

    def answering(command, *args, **kwargs):
        if command == "pip list | grep habana-torch-plugin":
            return subprocess.CompletedProcess(command, 0, stdout=f"habana-torch-plugin {_VALIDATED_SOFTWARE}")
        return run(command, *args, **kwargs)

    subprocess.run = answering
    try:
        yield
    finally:
        subprocess.run = run
