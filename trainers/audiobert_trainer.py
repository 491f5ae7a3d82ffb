"""The Trainer for AudioBERT."""

from transformers import Trainer

from audiobert.modeling_audiobert import AudioBertForMaskedLM

from .resumable_trainer import ResumableMixin


__all__ = ["AudioBertTrainer", "AudioBertTrainerMixin"]


class AudioBertTrainerMixin(ResumableMixin):
    """What every Trainer for [`AudioBertForMaskedLM`] does differently from its parent."""

    def _read_checkpoint(self, checkpoint: str) -> AudioBertForMaskedLM:
        # Only its weights are wanted: the bank and the tokenizers, as large as they may be, need not be read again.
        return AudioBertForMaskedLM.from_pretrained(checkpoint, retriever=self.model.retriever, use_safetensors=True)


class AudioBertTrainer(AudioBertTrainerMixin, Trainer):
    """Trains an [`AudioBertForMaskedLM`] on batches of an [`AudioBertCollator`].

    ```python
    >>> trainer = AudioBertTrainer(
    ...     model=model, args=training_arguments, train_dataset=rows, data_collator=AudioBertCollator(tokenizer)
    ... )
    >>> trainer.train()
    ```
    """
