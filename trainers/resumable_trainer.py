"""A Trainer whose resumed runs have the very weights of the checkpoint."""

import torch
from transformers import Trainer


__all__ = ["ResumableTrainer"]


class ResumableTrainer(Trainer):
    """Reads its checkpoints as the model folders that they are.

    The parent loads the checkpoint's tensors by name and skips what it does not know; transformers 5 saves the audio
    spectrogram transformer's under the names that they had in version 4, so that it would skip most of them. And the
    parent leaves the loss undivided over the accumulation steps for every model whose `forward` takes `**kwargs`.
    """

    def __init__(self, **trainer_kwargs):
        super().__init__(**trainer_kwargs)
        self.model_accepts_loss_kwargs = False

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        _copy_weights(resume_from_checkpoint, self.model if model is None else model)

    def _load_best_model(self):
        _copy_weights(self.state.best_model_checkpoint, self.model)


@torch.no_grad()
def _copy_weights(checkpoint: str, model: torch.nn.Module) -> None:
    saved = type(model).from_pretrained(checkpoint, dtype=model.dtype, use_safetensors=True)
    model.load_state_dict(saved.state_dict())
