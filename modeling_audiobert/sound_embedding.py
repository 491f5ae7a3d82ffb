"""From the audio encoder's input features to one embedding a sound, with or without its padding."""

import torch

from .compat import run_ast_layers
from .errors import AudioBertInputError
from .injection import pool_audio


__all__ = ["embed_sounds", "sound_patches"]

# Lengths are rounded up to so many patches in time, so that few different ones occur.
_STEP = 4
_CLASS_TOKENS = 2  # class and distillation token come first


def embed_sounds(audio_encoder: torch.nn.Module, audio_values: torch.Tensor, pooling: str = "mean") -> torch.Tensor:
    """Return one embedding a sound.

    `"mean"` is the paper's: the encoder sees its whole window, and the mean is over all positions, also over those
    where a clip that is shorter than the window is padding. `"trimmed_mean"` (ours) leaves the patches behind the
    sound's end out before the first layer: of 2 s in AST's window of 10.24 s, three quarters. The patches that stay
    keep their place and so their position embeddings. It is another embedding, not a faster way to the same one.

    Args:
        audio_encoder (`ASTModel`).
        audio_values (`torch.FloatTensor` of shape `(num_sounds, num_frames, num_mel_bins)`): padded to its window.
        pooling (`str`, *optional*, defaults to `"mean"`): `"mean"` or `"trimmed_mean"`.

    Returns:
        `torch.FloatTensor` of shape `(num_sounds, hidden_size)`.

    Raises:
        AudioBertInputError: `"trimmed_mean"` with another audio encoder than the audio spectrogram transformer.

    Source:
        arXiv 2409.08199, section II-B3, for `"mean"`.
    """
    if pooling != "trimmed_mean":
        return pool_audio(audio_encoder(audio_values).last_hidden_state, pooling)
    config = audio_encoder.config
    if config.model_type != "audio-spectrogram-transformer":
        raise AudioBertInputError(
            f"audio_pooling='trimmed_mean' works with the audio spectrogram transformer only, not with "
            f"{config.model_type}. Use 'mean'."
        )
    lengths = sound_patches(audio_values, config)
    hidden = audio_encoder.embeddings(audio_values)
    embedded = hidden.new_zeros(len(hidden), hidden.shape[-1])
    for length in lengths.unique().tolist():
        where = (lengths == length).nonzero(as_tuple=True)[0]
        states = run_ast_layers(audio_encoder, hidden[where][:, _positions(length, config).to(hidden.device)])
        embedded = embedded.index_copy(0, where, pool_audio(states).to(embedded.dtype))
    return embedded


def sound_patches(audio_values: torch.Tensor, config) -> torch.LongTensor:
    """Return how many patches in time hold each sound, rounded up to a multiple of four; at least one step.

    Padding is told from sound by what follows a clip's end in its features: frames that all are one and the same
    number in every bin. (Digital silence up to the very end of a clip looks the same, and is left out too.)

    Args:
        audio_values (`torch.FloatTensor` of shape `(num_sounds, num_frames, num_mel_bins)`).
        config (`ASTConfig`).

    Returns:
        `torch.LongTensor` of shape `(num_sounds,)`.
    """
    last = audio_values[:, -1:, :1]
    padding = (audio_values == last).all(dim=-1)  # (num_sounds, num_frames)
    behind = padding.flip(1).long().cumprod(dim=1).sum(dim=1)
    frames = audio_values.shape[1] - behind
    patches = frames.div(config.time_stride, rounding_mode="floor") + 1
    steps = patches.add(_STEP - 1).div(_STEP, rounding_mode="floor")
    return (steps * _STEP).clamp(max=_grid(config)[1])


def _grid(config) -> tuple[int, int]:
    """Return the numbers of patches in frequency and in time of the encoder's window."""
    in_frequency = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    return in_frequency, (config.max_length - config.patch_size) // config.time_stride + 1


def _positions(length: int, config) -> torch.LongTensor:
    """Return the positions of the class tokens, and of the first `length` patches in time of each frequency."""
    in_frequency, in_time = _grid(config)
    patches = torch.arange(in_frequency * in_time).view(in_frequency, in_time)[:, :length].flatten()
    return torch.cat([torch.arange(_CLASS_TOKENS), patches + _CLASS_TOKENS])
