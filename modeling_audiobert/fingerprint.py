"""The digest of the encoder, weights and preprocessing, that made keys or values."""

import hashlib
import json
from collections.abc import Mapping

import torch


__all__ = ["encoder_fingerprint"]


def encoder_fingerprint(model: torch.nn.Module, preprocessing: Mapping | None = None) -> str:
    """Return a digest of an encoder: the same weights and preprocessing give the same one, on any machine.

    Args:
        model (`torch.nn.Module`):
            The encoder. Every tensor of its state dict counts, by name, dtype, shape and bytes.
        preprocessing (`Mapping`, *optional*):
            What else decides its embeddings, as JSON types: `feature_extractor.to_dict()`, the pooling.

    Returns:
        `str`: 16 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(preprocessing or {}, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
