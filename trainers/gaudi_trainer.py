"""The Trainer for AudioBERT on Intel Gaudi; importing this module needs optimum-habana."""

from transformers import Trainer

from .audiobert_trainer import AudioBertTrainerMixin
from .gaudi import gaudi_config, import_optimum_habana


__all__ = ["GaudiAudioBertTrainer"]


class GaudiAudioBertTrainer(AudioBertTrainerMixin, import_optimum_habana().GaudiTrainer):
    """Trains an [`AudioBertForMaskedLM`] as [`AudioBertTrainer`] does, on Gaudi; or, for a trial, on the CPU.

    It was run on CPUs only, and in lazy mode against a stand-in of Gaudi's software: never on the real device.

    Args:
        gaudi_config (`GaudiConfig`, *optional*): by default the one that comes with AudioBERT.
        **trainer_kwargs: see [`AudioBertTrainerMixin`]; `args` are `GaudiTrainingArguments`, see `gaudi_arguments`.
    """

    def __init__(self, *args, gaudi_config=None, **trainer_kwargs):
        super().__init__(*args, gaudi_config=gaudi_config or _shipped_config(), **trainer_kwargs)

    def get_batch_samples_transformers(self, epoch_iterator, num_batches, device):
        """Count labels as transformers does; the parent cannot where batches differ in length, and says nothing."""
        return self.get_batch_samples(epoch_iterator, num_batches, device)

    def log(self, logs: dict[str, float], start_time: float | None = None, **kwargs) -> None:
        """Log, with the Gaudi's memory where there is one."""
        if self.args.use_habana:
            super().log(logs, start_time, **kwargs)
        else:
            Trainer.log(self, logs, start_time)


def _shipped_config():
    return gaudi_config()
