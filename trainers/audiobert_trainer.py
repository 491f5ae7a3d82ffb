"""The Trainer for AudioBERT."""

from pathlib import Path

from transformers import Trainer

from audiobert.modeling_audiobert import AudioBertForMaskedLM


__all__ = ["AudioBertTrainer", "AudioBertTrainerMixin"]


class AudioBertTrainerMixin:
    """What every Trainer for [`AudioBertForMaskedLM`] does differently from its parent.

    A checkpoint is an ordinary model folder, and is read as one: the parent's `load_state_dict(strict=False)` would
    skip the audio encoder without a word, since transformers 5 saves its weights under their names of version 4.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        _copy_weights(resume_from_checkpoint, self.model if model is None else model)

    def _load_best_model(self):
        _copy_weights(self.state.best_model_checkpoint, self.model)


class AudioBertTrainer(AudioBertTrainerMixin, Trainer):
    """Trains an [`AudioBertForMaskedLM`] on batches of an [`AudioBertCollator`].

    ```python
    >>> trainer = AudioBertTrainer(
    ...     model=model, args=training_arguments, train_dataset=rows, data_collator=AudioBertCollator(tokenizer)
    ... )
    >>> trainer.train()
    ```
    """


def _copy_weights(checkpoint: str | Path, model) -> None:
    saved = AudioBertForMaskedLM.from_pretrained(checkpoint, retriever=model.retriever, dtype=model.dtype)
    model.load_state_dict(saved.state_dict())
