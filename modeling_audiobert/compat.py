"""What differs between transformers 4.55 and 5; each shim names the version at which it can go."""

import inspect

import torch
from transformers import PreTrainedModel


__all__ = ["accepted_arguments", "initialized_flag"]


def accepted_arguments(model: PreTrainedModel, *names: str) -> set[str]:
    """Return those of `names` that the model's forward takes; families differ in `token_type_ids`."""
    return set(names) & set(inspect.signature(model.forward).parameters)


def initialized_flag(module: torch.nn.Module, parameter: torch.nn.Parameter) -> bool:
    """Whether transformers loaded a parameter: marked on its module in 4.55, on the parameter in 5.

    The look at the module can go once transformers 5 is the minimum.
    """
    return getattr(parameter, "_is_hf_initialized", False) or getattr(module, "_is_hf_initialized", False)
