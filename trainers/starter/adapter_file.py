"""The masked-LM adapter as a file: head and LoRA matrices in float16, and what they belong to."""

import json
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import BertForMaskedLM

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["adapter_tensors", "apply_adapter", "read_adapter", "save_adapter"]

_HEAD = "cls.predictions."
_DECODER = "cls.predictions.decoder."  # tied to the input embeddings, its bias to the head's


def adapter_tensors(model: BertForMaskedLM) -> dict[str, torch.Tensor]:
    """Return the head's weights and the LoRA matrices of a model that holds LoRA layers, by name, in float16.

    A layer's matrices are called `<layer>.lora_A` and `<layer>.lora_B`; the scale is already in B.
    """
    tensors = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(_HEAD) and not name.startswith(_DECODER)
    }
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer):
            (adapter,) = layer.active_adapters
            tensors[f"{name}.lora_A"] = layer.lora_A[adapter].weight
            tensors[f"{name}.lora_B"] = layer.lora_B[adapter].weight * layer.scaling[adapter]
    return {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in tensors.items()}


def save_adapter(path: str | Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write an adapter; `facts` are kept as JSON in the file's header.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})


def read_adapter(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and facts of an adapter.

    Raises:
        AudioBertInputError: the file is missing, damaged, or no such adapter.
    """
    try:
        with safe_open(path, "pt") as stored:
            facts = json.loads((stored.metadata() or {})["facts"])
            return {name: stored.get_tensor(name) for name in stored.keys()}, facts  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise AudioBertInputError(
            f"'{path}' is not a masked-LM adapter ({error}). Train one with \"audiobert train lm-adapter\"."
        ) from error


@torch.no_grad()
def apply_adapter(model: BertForMaskedLM, tensors: dict[str, torch.Tensor]) -> None:
    """Put an adapter into a model without LoRA layers, in place: the head as it is, LoRA merged into the weights.

    Raises:
        AudioBertInputError: a weight of the adapter has no place in the model, or another shape.
    """
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind == "lora_A":
            continue
        is_lora = kind == "lora_B"
        change = tensor.float() @ tensors[f"{layer}.lora_A"].float() if is_lora else tensor.float()
        target = parameters.get(f"{layer}.weight" if is_lora else name)
        if target is None or target.shape != change.shape:
            raise AudioBertInputError(f"the masked-LM adapter was made for another model: '{name}' does not fit.")
        if is_lora:
            target.add_(change)
        else:
            target.copy_(change)
