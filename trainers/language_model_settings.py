"""How the frozen language model computes while an adapter in it is trained."""

import logging
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["LanguageModelSettings"]

logger = logging.getLogger(__name__)


@dataclass
class LanguageModelSettings:
    """Settings of the language model itself, in training only; nothing of them is saved with the model.

    Args:
        dropout (`float`, *optional*): of its dropout layers, from 0 to below 1, instead of its configuration's.
            Without, a small model's step takes a fifth less time (bfloat16 on a CPU).
        attention (`str`, *optional*): its attention implementation. On a CPU without dropout, `"eager"` is to be
            chosen: half the time of a step of short rows is otherwise the gradient of PyTorch's fused attention
            (measured with 2.13, bfloat16, rows of 18 tokens).
    """

    dropout: float | None = None
    attention: str | None = None

    def apply(self, language_model: PreTrainedModel) -> None:
        """Set them, in place; an adapter's own dropout stays.

        Raises:
            AudioBertInputError: the dropout is out of range, or the model has no such attention.
        """
        if self.dropout is not None:
            if not 0 <= self.dropout < 1:
                raise AudioBertInputError(
                    f"language_model_settings.dropout is {self.dropout}; give a number from 0 to below 1."
                )
            for name, module in language_model.named_modules():
                if isinstance(module, torch.nn.Dropout) and ".lora_dropout." not in name:
                    module.p = self.dropout
        if self.attention is not None:
            self._set_attention(language_model)

    def _set_attention(self, language_model: PreTrainedModel) -> None:
        kind = type(language_model).__name__
        # Where a class cannot change it, transformers below 5 does not look at the name.
        known = ["eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()]
        if self.attention not in known and "/" not in self.attention:  # with a slash: a kernel of the Hub
            raise AudioBertInputError(
                f"language_model_settings.attention={self.attention} is refused: give one of {', '.join(known)}, or "
                f"leave it out."
            )
        try:
            language_model.set_attn_implementation(self.attention)
        except (ValueError, ImportError) as error:
            raise AudioBertInputError(
                f"language_model_settings.attention={self.attention} is refused by {kind}: {error} Leave it out."
            ) from error
        if language_model.config._attn_implementation != self.attention:
            logger.warning(
                "%s keeps its attention, %s: this version of transformers cannot change it. Training may be slower; "
                "transformers 5 can.",
                kind,
                language_model.config._attn_implementation,
            )
