"""The adapter: LoRA weights inside the language model, on or off for a whole forward pass."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from .errors import AudioBertInputError


__all__ = ["adapter_off", "attention_projections", "initialize_adapter", "inject_adapter", "is_adapter_weight"]

# Query, key and value by the names that families of BERT-like models give them; the first that a model has is taken.
_PROJECTIONS = (
    ("query", "key", "value"),
    ("q_lin", "k_lin", "v_lin"),
    ("query_proj", "key_proj", "value_proj"),
    ("q_proj", "k_proj", "v_proj"),
    ("Wqkv",),
    ("q", "k", "v"),
)


def attention_projections(language_model: torch.nn.Module) -> list[str]:
    """Return the names of the linear layers that make query, key and value in a language model.

    Raises:
        AudioBertInputError: none of the known names occurs; the way out is `lora_target_modules`.
    """
    linear = {
        name.rpartition(".")[2]
        for name, module in language_model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    for names in _PROJECTIONS:
        if linear.issuperset(names):
            return list(names)
    raise AudioBertInputError(
        f"{type(language_model).__name__} names its query, key and value layers in no known way. Pass "
        f"lora_target_modules with some of its linear layers: {', '.join(sorted(linear))}."
    )


def inject_adapter(language_model: torch.nn.Module, config) -> None:
    """Put LoRA layers into `language_model`, in place, as an `AudioBertConfig` describes them.

    Raises:
        AudioBertInputError: the language model has no layer of the names in `config.lora_target_modules`.
    """
    lora = LoraConfig(
        r=config.lora_r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_target_modules),
        bias="none",
    )
    try:
        inject_adapter_in_model(lora, language_model)
    except ValueError as error:
        raise AudioBertInputError(
            f"the adapter does not fit {type(language_model).__name__}: no linear layer is named "
            f"{' or '.join(config.lora_target_modules)}. Correct lora_target_modules."
        ) from error


def initialize_adapter(language_model: torch.nn.Module, names_of_new_weights: set[str]) -> None:
    """Initialise those LoRA layers of which no weight was loaded: A at random, B zero, so that they change nothing.

    transformers re-draws every linear layer that it did not load, `lora_B` among them, which would make a fresh
    adapter change the language model at random (4.55 to 5.23).
    """
    for name, layer in _adapter_layers(language_model):
        for adapter in layer.lora_A:
            if f"{name}.lora_B.{adapter}.weight" in names_of_new_weights:
                layer.reset_lora_parameters(adapter, init_lora_weights=True)


def is_adapter_weight(name: str) -> bool:
    """Whether a parameter of that name belongs to the adapter."""
    return ".lora_A." in name or ".lora_B." in name


@contextmanager
def adapter_off(language_model: torch.nn.Module) -> Iterator[None]:
    """Run the unmodified language model within the block, bit for bit.

    Not `enable_adapters(False)`: peft then also rewrites `requires_grad` of every adapter weight (0.17 to 0.21).
    """
    layers = _found_layers(language_model)
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, was_off in zip(layers, before, strict=True):
            layer._disable_adapters = was_off


def _found_layers(module: torch.nn.Module) -> list[LoraLayer]:
    """Return the LoRA layers without their names, for which `named_modules` takes a millisecond at each forward."""
    found, waiting = [], [module]
    while waiting:
        children = list(waiting.pop().children())
        found += [child for child in children if isinstance(child, LoraLayer)]
        waiting += [child for child in children if not isinstance(child, LoraLayer)]
    return found


def _adapter_layers(language_model: torch.nn.Module) -> list[tuple[str, LoraLayer]]:
    return [(name, module) for name, module in language_model.named_modules() if isinstance(module, LoraLayer)]
