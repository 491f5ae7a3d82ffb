"""Clips to keys and values: each clip by itself, so that its bits depend on nothing else."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoFeatureExtractor, AutoModel, ClapModel

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.configuration_audiobert import AUDIO_POOLINGS
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.fingerprint import audio_encoder_fingerprint, clap_fingerprint

from .audio_encoding import encode_keys, encode_values
from .audio_loading import MAX_DURATION_SECONDS
from .clap_loading import load_clap
from .clip_preparation import PreparedClip
from .thread_limits import limited_threads


__all__ = [
    "BankEncoders",
    "BankOptions",
    "encode_prepared",
    "load_bank_encoders",
    "single_threaded",
]


@dataclass
class BankEncoders:
    """The models that make keys and values, in evaluation mode, with their feature extractors and CLAP's tokenizer."""

    clap: ClapModel
    clap_extractor: object
    clap_tokenizer: object
    audio_encoder: torch.nn.Module
    audio_extractor: object
    pooling: str = "mean"

    def fingerprints(self) -> tuple[str, str]:
        """Return the fingerprints of keys and values."""
        return (
            clap_fingerprint(self.clap, self.clap_extractor),
            audio_encoder_fingerprint(self.audio_encoder, self.audio_extractor, self.pooling),
        )

    def to(self, device: torch.device | str) -> "BankEncoders":
        """Move both models to `device`, in place; return the encoders."""
        self.clap.to(device)
        self.audio_encoder.to(device)
        return self


@dataclass(frozen=True)
class BankOptions:
    """How a bank is built.

    Args:
        strict (`bool`): refuse a source with clips that cannot be used; by default they are left out and reported.
        embed_audio (`bool`): keep the files' bytes in the bank, so that it can be played without them.
        keep_duplicates (`bool`): keep clips whose samples are those of an earlier one; by default the first is kept.
        batch_size (`int`): clips of a forward pass; see `encode_prepared` for what it changes.
        chunk_size (`int`): clips that are saved at once, and lost at most when interrupted.
        max_duration_seconds (`float`): see `load_audio`.
        feature_cache (`Path`, *optional*): where features are kept, as training keeps them: about 1.5 MB a clip with
            the published encoders. What is there is not decoded again, for other weights of the same kind of encoder.
        num_proc (`int`): processes that decode and compute features; with 1, threads of this process do.
    """

    strict: bool = False
    embed_audio: bool = False
    keep_duplicates: bool = False
    batch_size: int = 1
    chunk_size: int = 64
    max_duration_seconds: float = MAX_DURATION_SECONDS
    feature_cache: Path | None = None
    num_proc: int = 1

    def __post_init__(self):
        for name in ("batch_size", "chunk_size", "num_proc"):
            if getattr(self, name) < 1:
                raise AudioBertInputError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def load_bank_encoders(
    clap: str | os.PathLike, audio_encoder: str | os.PathLike, pooling: str = "mean"
) -> BankEncoders:
    """Load CLAP and audio encoder from local folders or the Hub, in evaluation mode.

    Args:
        pooling (`str`, *optional*, defaults to `"mean"`): `audio_pooling` of the AudioBERT that is to hear the bank.

    Raises:
        AudioBertInputError: one of them cannot be loaded, or is of another kind, or the pooling is unknown.
    """
    if pooling not in AUDIO_POOLINGS:
        raise AudioBertInputError(f"audio pooling '{pooling}' is not known. Use one of: {', '.join(AUDIO_POOLINGS)}.")
    loaded, clap_extractor, clap_tokenizer = load_clap(clap)
    return BankEncoders(
        clap=loaded,
        clap_extractor=clap_extractor,
        clap_tokenizer=clap_tokenizer,
        audio_encoder=load_part(AutoModel, audio_encoder).eval(),
        audio_extractor=load_part(AutoFeatureExtractor, audio_encoder),
        pooling=pooling,
    )


def encode_prepared(
    prepared: Sequence[PreparedClip], encoders: BankEncoders, batch_size: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return keys and values of at most `batch_size` clips, in one forward pass of each encoder.

    The last bits of a matrix product depend on its shape. With `batch_size` 1 a clip therefore has one result,
    whatever its neighbours, the window and the chunk. Above 1 a smaller batch is filled up with copies, so that the
    shape at least is always the same; the result of a clip may then depend on its place in the batch, by rounding.

    Args:
        prepared (`Sequence[PreparedClip]`): without problems; for fused CLAP all long or all short, since it takes
            another way through long ones.

    Returns:
        `(num_clips, key_dim)` of norm 1 and `(num_clips, value_dim)`, float32 on the CPU.
    """
    filled = [*prepared, *[prepared[-1]] * (batch_size - len(prepared))]
    keys = encode_keys(encoders.clap, torch.stack([clip.clap_features for clip in filled]))
    values = encode_values(
        encoders.audio_encoder, torch.stack([clip.ast_features for clip in filled]), encoders.pooling
    )
    keys = keys[: len(prepared)]
    norms = keys.norm(dim=1, keepdim=True)
    # As AudioBank does: what is of norm 1 to float32's precision stays as it is.
    return torch.where((norms - 1).abs() <= 1e-6, keys, keys / norms), values[: len(prepared)]


def single_threaded() -> AbstractContextManager[int]:
    """Let each computation on the CPU use one thread in this block; yield how many it used before.

    How a matrix product is cut among threads changes its last bits, so a bank would depend on the number of cores.
    Clips are computed side by side instead, which is also faster.
    """
    return limited_threads(1)
