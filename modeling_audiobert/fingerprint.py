"""The digest of the encoder, weights and preprocessing, that made keys or values."""

import hashlib
import json
from collections.abc import Mapping

import torch
from transformers import ClapModel, PreTrainedModel
from transformers.utils import is_speech_available


__all__ = ["audio_encoder_fingerprint", "clap_fingerprint", "encoder_fingerprint", "language_model_fingerprint"]

# What decides the features; the rest of a feature extractor's settings differs between versions of transformers.
_FACTS = (
    "feature_size",
    "sampling_rate",
    "hop_length",
    "num_mel_bins",
    "max_length",
    "max_length_s",
    "fft_window_size",
    "frequency_min",
    "frequency_max",
    "truncation",
    "padding",
    "padding_value",
    "top_db",
    "do_normalize",
    "mean",
    "std",
)


def encoder_fingerprint(model: torch.nn.Module, preprocessing: Mapping | None = None) -> str:
    """Return a digest of an encoder: the same weights and preprocessing give the same one, on any machine.

    Args:
        model (`torch.nn.Module`):
            The encoder. Every floating-point tensor of its state dict counts, by dtype, shape and bytes; not by name,
            since transformers 5 renamed those of several encoders.
        preprocessing (`Mapping`, *optional*):
            What else decides its embeddings, as JSON types.

    Returns:
        `str`: 16 hexadecimal digits.
    """
    digests = sorted(_tensor_digest(tensor) for tensor in model.state_dict().values() if tensor.is_floating_point())
    facts = json.dumps(preprocessing or {}, sort_keys=True)
    return hashlib.sha256("\n".join([facts, *digests]).encode()).hexdigest()[:16]


def clap_fingerprint(clap: ClapModel, feature_extractor) -> str:
    """Return the fingerprint of a whole CLAP, text and audio tower, with its feature extractor: that of the keys."""
    return encoder_fingerprint(clap, _facts(feature_extractor))


def audio_encoder_fingerprint(audio_encoder: PreTrainedModel, feature_extractor, pooling: str) -> str:
    """Return the fingerprint of an audio encoder with its feature extractor and pooling: that of the values."""
    # ASTFeatureExtractor computes its features by torchaudio where that is installed, by NumPy elsewhere, and the
    # numbers differ (transformers 4.55 to 5.23).
    facts = {"pooling": pooling, "torchaudio": is_speech_available(), **_facts(feature_extractor)}
    return encoder_fingerprint(audio_encoder, facts)


def language_model_fingerprint(language_model: PreTrainedModel) -> str:
    """Return the fingerprint of a language model without its head: that of the hidden states a probe reads.

    The dtype does not count: transformers 4.55 loads every checkpoint in float32, transformers 5 as it was saved.
    """
    tensors = language_model.base_model.state_dict().values()
    digests = sorted(_tensor_digest(tensor.float()) for tensor in tensors if tensor.is_floating_point())
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def _facts(feature_extractor) -> dict:
    return {name: getattr(feature_extractor, name) for name in _FACTS if hasattr(feature_extractor, name)}


def _tensor_digest(tensor: torch.Tensor) -> str:
    tensor = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
