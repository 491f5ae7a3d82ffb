"""A Trainer whose resumed runs have the very weights, and meet the very rows, of an uninterrupted one."""

import torch
from transformers import PreTrainedModel, Trainer

from .finite_loss import FiniteLossMixin
from .row_order import RowOrderMixin


__all__ = ["ResumableMixin", "ResumableTrainer"]


class ResumableMixin(FiniteLossMixin, RowOrderMixin):
    """For a `Trainer`: reads its checkpoints as the model folders that they are.

    The parent loads the checkpoint's tensors by name and skips what it does not know; transformers 5 saves the audio
    spectrogram transformer's under the names that they had in version 4, so that it would skip most of them. And the
    parent leaves the loss undivided over the accumulation steps for every model whose `forward` takes `**kwargs`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        self._copy_weights(resume_from_checkpoint, self.model if model is None else model)

    def _load_best_model(self):
        self._copy_weights(self.state.best_model_checkpoint, self.model)

    def _read_checkpoint(self, checkpoint: str) -> PreTrainedModel:
        """Return the model that was saved in a checkpoint."""
        return type(self.model).from_pretrained(checkpoint, use_safetensors=True)

    @torch.no_grad()
    def _copy_weights(self, checkpoint: str, model: torch.nn.Module) -> None:
        model.load_state_dict(self._read_checkpoint(checkpoint).state_dict())


class ResumableTrainer(ResumableMixin, Trainer):
    """[`Trainer`] with exact resuming."""
