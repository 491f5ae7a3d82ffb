"""The Trainers for AudioBERT, and what they share."""

from collections.abc import Sequence

import torch
from transformers import EvalPrediction, Trainer, TrainingArguments

from audiobert.modeling_audiobert import AudioBertForMaskedLM

from .answer_loss import IGNORED, AnswerLossMixin
from .audio_features import AudioFeatureCache
from .bank_refreshing import refresh_values
from .collation import AudioBertCollator, EncodedRow
from .data_wait import DataWaitMixin
from .learning_rates import LearningRates, give_own_rate
from .resumable_trainer import ResumableMixin


__all__ = ["AudioBertTrainer", "AudioBertTrainerMixin"]


class AudioBertTrainerMixin(AnswerLossMixin, DataWaitMixin, ResumableMixin):
    """What every Trainer for [`AudioBertForMaskedLM`] does differently from its parent.

    Args:
        model (`AudioBertForMaskedLM`): with its tokenizers and bank.
        args (`TrainingArguments`): with `remove_unused_columns=False`, since rows are no dictionaries.
        train_dataset, eval_dataset (`Sequence[EncodedRow]`, *optional*): see `encode_rows` and `retrieve_clips`.
        features (`AudioFeatureCache`, *optional*):
            Of the bank's clips, in the bank's order. Given, the audio encoder is trained; left out, it is frozen, and
            the bank's values are injected as they are.
        learning_rates (`LearningRates`, *optional*): where they differ from `args.learning_rate`.
        **trainer_kwargs: of the parent. `data_collator` and `compute_metrics` have defaults: an [`AudioBertCollator`],
            and the share of answers of which every word piece is right (`eval_accuracy`).

    Raises:
        AudioBertInputError: see [`LearningRates`].
    """

    def __init__(
        self,
        model: AudioBertForMaskedLM,
        args: TrainingArguments,
        *,
        train_dataset: Sequence[EncodedRow] | None = None,
        features: AudioFeatureCache | None = None,
        learning_rates: LearningRates | None = None,
        **trainer_kwargs,
    ):
        if features is None:
            model.audio_encoder.requires_grad_(False)
        self.features = features
        self._own_rates = learning_rates.of_weights(model) if learning_rates else []
        defaults = {"preprocess_logits_for_metrics": predicted_tokens, "compute_metrics": answer_accuracy}
        if model.retriever is not None:
            defaults["data_collator"] = AudioBertCollator(model.retriever.tokenizer, features)
        super().__init__(model=model, args=args, train_dataset=train_dataset, **{**defaults, **trainer_kwargs})

    def mean_loss(self, model, inputs) -> tuple[torch.Tensor, dict]:
        if self.reads_gaps_alone(model):
            inputs = {**inputs, "asked_logits_only": True}
        return super().mean_loss(model, inputs)

    def create_optimizer(self, *args, **kwargs):
        """Give the parts the learning rates of their own."""
        if self.optimizer is None:
            super().create_optimizer(*args, **kwargs)
            for weights, rate in self._own_rates:
                give_own_rate(self.optimizer, weights, rate)
        return self.optimizer

    def refresh_bank(self) -> None:
        """Make the bank's values those of the audio encoder as it is now; does nothing if it was not trained."""
        if self.features is None:
            return
        values = refresh_values(self.model.audio_encoder, self.features, self.model.config.audio_pooling)
        self.model.refresh_values(values)

    def _read_checkpoint(self, checkpoint: str) -> AudioBertForMaskedLM:
        # Only its weights are wanted: the bank and the tokenizers, as large as they may be, need not be read again.
        return AudioBertForMaskedLM.from_pretrained(checkpoint, retriever=self.model.retriever, use_safetensors=True)


class AudioBertTrainer(AudioBertTrainerMixin, Trainer):
    """Trains an [`AudioBertForMaskedLM`]; for its arguments see [`AudioBertTrainerMixin`].

    ```python
    >>> rows = retrieve_clips(model, encode_rows(benchmark_rows, tokenizer, max_length=128, max_spans=4))
    >>> trainer = AudioBertTrainer(model=model, args=training_arguments, train_dataset=rows, features=features)
    >>> trainer.train()
    >>> trainer.refresh_bank()
    >>> model.save_pretrained("my-audiobert")
    ```
    """


def predicted_tokens(logits: torch.Tensor | tuple, labels: torch.Tensor) -> torch.LongTensor:
    """Return the likeliest token of each position, so that no logits are kept for a whole evaluation."""
    logits = logits[0] if isinstance(logits, tuple) else logits
    return logits.argmax(dim=-1)


def answer_accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Return the share of rows in which every word piece of the answer is right (answer length given)."""
    asked = prediction.label_ids != IGNORED
    right = ((prediction.predictions == prediction.label_ids) | ~asked).all(axis=1)
    return {"accuracy": float(right.mean())}
