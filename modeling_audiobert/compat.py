"""What differs between transformers 4.55 and 5; each shim names the version at which it can go."""

import inspect

import torch
import transformers
from packaging.version import Version
from transformers import PreTrainedModel


__all__ = [
    "accepted_arguments",
    "current_loading_arguments",
    "declare_tied_weights",
    "initialized_flag",
    "run_ast_layers",
]


def accepted_arguments(model: PreTrainedModel, *names: str) -> set[str]:
    """Return those of `names` that the model's forward takes; families differ in `token_type_ids`."""
    return set(names) & set(inspect.signature(model.forward).parameters)


def current_loading_arguments(kwargs: dict) -> dict:
    """Return the keywords of `from_pretrained` under the names of the installed transformers.

    `dtype` was `torch_dtype` until 4.55; this can go once 4.56 is the minimum.
    """
    if "dtype" in kwargs and Version(transformers.__version__) < Version("4.56"):
        kwargs = {**kwargs, "torch_dtype": kwargs["dtype"]}
        del kwargs["dtype"]
    return kwargs


def initialized_flag(module: torch.nn.Module, parameter: torch.nn.Parameter) -> bool:
    """Whether transformers loaded a parameter: marked on its module in 4.55, on the parameter in 5.

    The look at the module can go once transformers 5 is the minimum.
    """
    return getattr(parameter, "_is_hf_initialized", False) or getattr(module, "_is_hf_initialized", False)


def declare_tied_weights(model: PreTrainedModel, part_name: str) -> None:
    """Tell transformers 4.55 which weights of a part are tied, or it refuses to save the whole.

    transformers 5 collects them itself; this can go once it is the minimum.
    """
    keys = getattr(model, part_name)._tied_weights_keys
    if isinstance(keys, list):
        # Patterns: some are written for the ends of names, without the part's own prefixes.
        model._dynamic_tied_weights_keys = [rf"{part_name}\..*{key}" for key in keys]


def run_ast_layers(audio_encoder: PreTrainedModel, embeddings: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states of an `ASTModel` for embeddings of patches, of which any number may be left out.

    transformers 4.55 keeps the layers in an encoder of their own; the look at it can go once 5 is the minimum.
    """
    if hasattr(audio_encoder, "encoder"):
        return audio_encoder.layernorm(audio_encoder.encoder(embeddings).last_hidden_state)
    for layer in audio_encoder.layers:
        embeddings = layer(embeddings, None)
    return audio_encoder.layernorm(embeddings)
