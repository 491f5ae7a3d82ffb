"""Training that stops when its loss is no number any more, and loses nothing that was good."""

import torch

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .training_run import last_checkpoint


__all__ = ["FiniteLossMixin"]


class FiniteLossMixin:
    """For a `Trainer`: a loss or weights that are infinite or not a number end the training with an error.

    It comes before the weights are changed by such a loss, and before such weights are saved, so that the last
    checkpoint stays one to go on from. On a Gaudi, which would have to wait for each loss, the loss is looked at only
    where one is logged.
    """

    def training_step(self, *args, **kwargs):
        loss = super().training_step(*args, **kwargs)
        every = self.args.logging_steps if self.args.device.type == "hpu" else 1
        if self.state.global_step % max(int(every), 1) == 0 and not torch.isfinite(loss).all():
            raise self._diverged(f"the loss is {loss.item()}", self.state.global_step + 1)
        return loss

    def _save_checkpoint(self, *args, **kwargs):
        self._require_finite_weights()
        super()._save_checkpoint(*args, **kwargs)

    def train(self, *args, **kwargs):
        output = super().train(*args, **kwargs)
        self._require_finite_weights()
        return output

    @torch.no_grad()
    def _require_finite_weights(self) -> None:
        for name, weight in self.model.named_parameters():
            if weight.requires_grad and not torch.isfinite(weight).all():
                raise self._diverged(f"the weights '{name}' are not finite", self.state.global_step)

    def _diverged(self, what: str, step: int) -> AudioBertInputError:
        checkpoint = last_checkpoint(self.args.output_dir)
        kept = f"the last good checkpoint is '{checkpoint}'" if checkpoint else "no checkpoint was saved before"
        ways = ["a lower training.learning_rate", "a longer training.warmup_ratio"]
        if self.args.bf16 or self.args.fp16:
            ways.append("full precision (no training.bf16 or fp16)")
        return AudioBertInputError(
            f"{what} at step {step}, at learning rate {self._get_learning_rate():.3g}, so the "
            f"training was stopped; {kept}. Train into another output_dir with {', or '.join(ways)}."
        )
