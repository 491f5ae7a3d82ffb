"""Dynamic int8 quantisation of a frozen part."""

import copy
import warnings

import torch

from .errors import AudioBertInputError


__all__ = ["quantized"]


def quantized(part: torch.nn.Module) -> torch.nn.Module:
    """Return a copy whose linear layers multiply in int8; it shares all other weights with the original.

    Raises:
        AudioBertInputError: this PyTorch has no dynamic quantisation any more, or the part is not on a processor.
    """
    device = next(part.parameters()).device
    if device.type != "cpu":
        raise AudioBertInputError(
            f"dynamic quantisation is for processors, and the model is on {device}. Move it: model.to('cpu')."
        )
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError as error:
        raise AudioBertInputError(
            f"PyTorch {torch.__version__} has no dynamic quantisation ({error}). Use the model without it."
        ) from error
    # Named in the copy's memo, weights are shared instead of copied; those of linear layers are then replaced.
    twin = copy.deepcopy(part, {id(weight): weight for weight in part.parameters()}).eval()
    with warnings.catch_warnings():
        # torch.ao goes to a package of its own, torchao.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        return quantize_dynamic(twin, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
