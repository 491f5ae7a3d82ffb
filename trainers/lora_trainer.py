"""A Trainer for a standard model into which LoRA layers were put, and the way back to a model without them."""

from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from transformers import PreTrainedModel

from .resumable_trainer import ResumableTrainer


__all__ = ["LoraTrainer", "merge_lora"]


class LoraTrainer(ResumableTrainer):
    """[`Trainer`] with exact resuming of a model that holds LoRA layers.

    Its checkpoints have the names of those layers, which `from_pretrained` of the model's class does not know.
    """

    @torch.no_grad()
    def _copy_weights(self, checkpoint: str, model: torch.nn.Module) -> None:
        outcome = model.load_state_dict(load_file(Path(checkpoint) / "model.safetensors"), strict=False)
        state = model.state_dict()
        missing = set(outcome.missing_keys)
        loaded = {tensor.data_ptr() for name, tensor in state.items() if name not in missing}
        # A tied weight is saved under one of its names only.
        absent = [name for name in missing if state[name].data_ptr() not in loaded]
        if absent or outcome.unexpected_keys:
            raise RuntimeError(f"checkpoint and model differ in {sorted(absent) + outcome.unexpected_keys}")


@torch.no_grad()
def merge_lora(trained: torch.nn.Module, plain: PreTrainedModel) -> None:
    """Add to a model's weights, in place, what the LoRA layers of another one of its kind add.

    Args:
        trained: with LoRA layers, one adapter each.
        plain: the same model without them, as it was before training.
    """
    weights = dict(plain.named_parameters())
    for name, layer in trained.named_modules():
        if isinstance(layer, LoraLayer):
            (adapter,) = layer.active_adapters
            weights[f"{name}.weight"].add_(layer.get_delta_weight(adapter).to(weights[f"{name}.weight"].device))
