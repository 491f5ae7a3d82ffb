"""The pitch of clips as a second target of the audio encoder, so that what a bank keeps of a clip tells its pitch."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import ASTForAudioClassification

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .clip_sources import Clip


__all__ = ["PitchScale", "PitchedAudioClassifier", "pitch_loss", "pitch_measures", "pitch_scale"]

logger = logging.getLogger(__name__)

_SEMITONES = 12


class PitchedAudioClassifier(ASTForAudioClassification):
    """An `ASTForAudioClassification` with a head that reads the pitch from the mean over the last hidden states.

    The head serves training only; `plain` returns the model without it.
    """

    def __init__(self, config):
        super().__init__(config)
        self.pitch_head = torch.nn.Linear(config.hidden_size, 1)
        self.post_init()

    def plain(self) -> ASTForAudioClassification:
        """Return the model of transformers' own class, with equal weights."""
        model = ASTForAudioClassification(self.config)
        weights = self.state_dict()
        model.load_state_dict({name: weights[name] for name in model.state_dict()})
        return model


@dataclass(frozen=True)
class PitchScale:
    """What pitches are measured in while a model learns them: log2 Hz, standardised over the training clips.

    Args:
        mean (`float`), deviation (`float`): of log2 Hz.
    """

    mean: float
    deviation: float

    def standardized(self, clips: Sequence[Clip]) -> torch.Tensor:
        """Return the clips' pitches, of shape `(num_clips,)`; NaN where one is not known."""
        known = [math.nan if clip.average_pitch_hz is None else math.log2(clip.average_pitch_hz) for clip in clips]
        return (torch.tensor(known, dtype=torch.float32) - self.mean) / self.deviation

    def semitones(self, differences: torch.Tensor) -> torch.Tensor:
        """Return differences between standardised pitches in semitones."""
        return differences * self.deviation * _SEMITONES


def pitch_scale(clips: Sequence[Clip], name: str) -> PitchScale:
    """Return the scale of the clips that are trained on.

    Args:
        name (`str`): of the clips' source, for the message.

    Raises:
        AudioBertInputError: fewer than two different pitches are known.
    """
    known = [math.log2(clip.average_pitch_hz) for clip in clips if clip.average_pitch_hz is not None]
    if len(set(known)) < 2:
        raise AudioBertInputError(
            f"pitch_weight is above 0, but the clips of '{name}' that are trained on have {len(set(known))} different "
            f"pitches; at least 2 are needed. Fill the manifest's column 'average_pitch_hz' (see 'audiobert construct "
            f"pitch'), or set pitch_weight=0."
        )
    logger.info("pitches are known of %d of %d training clips", len(known), len(clips))
    values = torch.tensor(known, dtype=torch.float64)
    return PitchScale(values.mean().item(), values.std(correction=0).item())


def pitch_loss(predicted: torch.Tensor, pitches: torch.Tensor) -> torch.Tensor:
    """Return the smooth L1 loss over the clips whose pitch is known; 0 where there is none.

    Args:
        predicted (`torch.FloatTensor` of shape `(num_clips,)`), pitches (`torch.FloatTensor` of that shape):
            Standardised; NaN where a pitch is not known.
    """
    known = ~pitches.isnan()
    losses = torch.nn.functional.smooth_l1_loss(predicted.float()[known], pitches[known], reduction="sum")
    return losses / known.sum().clamp(min=1)


def pitch_measures(predicted: torch.Tensor, pitches: torch.Tensor, scale: PitchScale) -> dict[str, float | int | None]:
    """Return how well pitches are told, over the clips where they are known.

    Returns:
        `clips_of_known_pitch`; `median_pitch_error_semitones`; `pitch_order_accuracy`, the share of pairs of clips
        of different pitch of which the higher is told (0.5 is chance). None where nothing can be compared.
    """
    known = ~pitches.isnan()
    guesses, truths = predicted[known].double(), pitches[known].double()
    result: dict[str, float | int | None] = {"clips_of_known_pitch": len(truths)}
    error = scale.semitones((guesses - truths).abs()).median().item() if len(truths) else None
    higher = truths[:, None] > truths[None, :]
    told = (guesses[:, None] > guesses[None, :])[higher]
    order = told.double().mean().item() if len(told) else None
    return {**result, "median_pitch_error_semitones": error, "pitch_order_accuracy": order}
