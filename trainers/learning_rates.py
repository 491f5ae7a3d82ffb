"""Learning rates of their own for parts of a model."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch

from audiobert.modeling_audiobert import AudioBertForMaskedLM
from audiobert.modeling_audiobert.adapter import is_adapter_weight
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["LearningRates", "give_own_rate"]


@dataclass
class LearningRates:
    """Learning rates of AudioBERT's trained parts, where they differ from `training.learning_rate`.

    The schedule (warm-up, decay) is the same for all.

    Args:
        adapter (`float`, *optional*): of the LoRA weights.
        projection (`float`, *optional*): of the layer between audio encoder and word embeddings; there is none where
            their widths are equal.
        audio_encoder (`float`, *optional*): of the audio encoder.
    """

    adapter: float | None = None
    projection: float | None = None
    audio_encoder: float | None = None

    def of_weights(self, model: AudioBertForMaskedLM) -> list[tuple[list[torch.nn.Parameter], float]]:
        """Return the trained weights of each part that has a rate of its own, with that rate.

        Raises:
            AudioBertInputError: a rate is not above 0, or the model trains no weights of its part.
        """
        trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return [(_weights_of(part, trained, rate), rate) for part, rate in given.items() if rate is not None]


def _weights_of(part: str, trained: list[tuple[str, torch.nn.Parameter]], rate: float) -> list[torch.nn.Parameter]:
    if not rate > 0:
        raise AudioBertInputError(f"learning_rates.{part} is {rate}; give a number above 0, or leave it out.")
    own = is_adapter_weight if part == "adapter" else lambda name: name.startswith(f"{part}.")
    weights = [weight for name, weight in trained if own(name)]
    if not weights:
        reason = {
            "projection": "its audio embeddings are as wide as its word embeddings, so there is no projection",
            "audio_encoder": "its audio encoder is frozen (train_audio_encoder=false)",
        }.get(part, "it has no adapter")
        raise AudioBertInputError(
            f"learning_rates.{part} is given, but the model trains nothing of that name: {reason}. Leave it out."
        )
    return weights


def give_own_rate(
    optimizer: torch.optim.Optimizer, weights: Iterable[torch.nn.Parameter], learning_rate: float
) -> None:
    """Move weights, of an optimizer that has not stepped yet, into groups with another learning rate."""
    moving = set(weights)
    for group in list(optimizer.param_groups):
        moved = [weight for weight in group["params"] if weight in moving]
        if moved:
            group["params"] = [weight for weight in group["params"] if weight not in moving]
            optimizer.add_param_group({**group, "params": moved, "lr": learning_rate})
    # An empty group is more than some fused optimizers can take.
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
