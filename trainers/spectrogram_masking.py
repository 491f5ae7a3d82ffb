"""Random masks and shifts of log-mel features while an audio model is trained."""

from dataclasses import dataclass

import torch


__all__ = ["SpectrogramMasking", "augment"]


@dataclass
class SpectrogramMasking:
    """How much of each clip is hidden from an audio model while it is trained, drawn anew each time.

    Args:
        time_share (`float`): longest stretch of time, as a share of all frames; 0 for none.
        frequency_share (`float`): widest band, as a share of all mel bins; 0 for none.
        shift (`bool`): whether to move the clip round in time by any number of frames, what leaves at the end coming
            in at the start; for features of repeated clips (CLAP's `repeatpad`).

    Source:
        SpecAugment (arXiv 1904.08779), with one mask of each kind.
    """

    time_share: float = 0.2
    frequency_share: float = 0.2
    shift: bool = False


def augment(features: torch.Tensor, settings: SpectrogramMasking) -> torch.Tensor:
    """Return features with masked stretches, which hold the clip's mean.

    Draws from torch's global random state, which the Trainer saves and restores with each checkpoint.

    Args:
        features (`torch.FloatTensor` of shape `(num_clips, ..., num_frames, num_mel_bins)`): unchanged.
    """
    frames, bins = features.shape[-2:]
    if settings.shift:
        steps = torch.randint(frames, (len(features),)).tolist()
        features = torch.stack([clip.roll(step, dims=-2) for clip, step in zip(features, steps, strict=True)])
    hidden = _stretches(len(features), frames, settings.time_share)[:, :, None]  # (num_clips, num_frames, 1)
    hidden = hidden | _stretches(len(features), bins, settings.frequency_share)[:, None, :]
    hidden = hidden.to(features.device)
    while hidden.ndim < features.ndim:
        hidden = hidden.unsqueeze(1)
    means = features.flatten(1).mean(dim=1).reshape(-1, *[1] * (features.ndim - 1))
    return torch.where(hidden, means, features)


def _stretches(num_clips: int, size: int, share: float) -> torch.Tensor:
    """Return, in shape `(num_clips, size)`, True within one random stretch a clip of up to `share` of the size."""
    lengths = (torch.rand(num_clips, 1) * share * size).round()
    starts = torch.rand(num_clips, 1) * (size - lengths)
    positions = torch.arange(size)
    return (positions >= starts.floor()) & (positions < starts.floor() + lengths)
