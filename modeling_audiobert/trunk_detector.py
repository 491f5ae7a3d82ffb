"""The trunk detector: a small probe on hidden states that the language model computes anyway."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from .configuration_trunk_detector import TrunkDetectorConfig
from .errors import AudioBertInputError
from .fingerprint import language_model_fingerprint


__all__ = ["TrunkDetector"]

# What probes of one detector must have in common.
_SHAPE = (
    "hidden_size",
    "layer",
    "width",
    "window",
    "attention_layers",
    "num_attention_heads",
    "id2label",
    "language_model_fingerprint",
)


class TrunkDetector(PreTrainedModel):
    """Labels the tokens that name a sound, from the hidden states of a middle layer of the language model.

    Takes hidden states of shape `(batch_size, sequence_length, hidden_size)`, gives logits of shape
    `(batch_size, sequence_length, num_labels)`; label 0 means "outside". One hidden layer over a window of tokens,
    then self-attention if the configuration asks for it. Of several probes, each learns by itself, and the logits are
    the logarithm of their mean probability.

    Args:
        config (`TrunkDetectorConfig`): the probe.
    """

    config_class = TrunkDetectorConfig
    main_input_name = "hidden_states"
    _no_split_modules = []  # noqa: RUF012 - transformers reads it from the class
    # It has no attention; without these the language model's choice of one would be refused.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    def __init__(self, config: TrunkDetectorConfig):
        super().__init__(config)
        self.probes = nn.ModuleList(_Probe(config) for _ in range(config.num_probes))
        self.post_init()

    @classmethod
    def combined(cls, detectors: Sequence["TrunkDetector"]) -> "TrunkDetector":
        """Return one detector with the probes of several, trained on the same hidden states, side by side.

        Args:
            detectors (`Sequence[TrunkDetector]`): of equal configurations, but for `num_probes` and the threshold;
                the first one's threshold is kept.

        Raises:
            AudioBertInputError: there is none, or their configurations differ.
        """
        if not detectors:
            raise AudioBertInputError("no trunk detector to combine was given; give at least one.")
        probes = [probe for detector in detectors for probe in detector.probes]
        first = detectors[0].config.to_dict()
        for detector in detectors[1:]:
            other = detector.config.to_dict()
            differing = [name for name in _SHAPE if first[name] != other[name]]
            if differing:
                raise AudioBertInputError(
                    f"trunk detectors with another {' and '.join(differing)} cannot be combined; train them by one "
                    f"recipe, with several seeds."
                )
        whole = cls(TrunkDetectorConfig(**{**first, "num_probes": len(probes)}))
        for mine, theirs in zip(whole.probes, probes, strict=True):
            mine.load_state_dict(theirs.state_dict())
        return whole.to(next(detectors[0].parameters()).device).eval()

    def forward(
        self,
        hidden_states: torch.FloatTensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        **kwargs,
    ) -> TokenClassifierOutput:
        """Return logits, and a loss if labels came.

        Args:
            hidden_states (`torch.FloatTensor` of shape `(batch_size, sequence_length, hidden_size)`):
                Those of `config.layer`, with the adapter off.
            attention_mask (`torch.Tensor` of shape `(batch_size, sequence_length)`, *optional*): 0 for padding, which
                the window then does not see.
            labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*): -100 where there is no
                loss.
            **kwargs: `num_items_in_batch` of the Trainer; the rest is not used.
        """
        each = [probe(hidden_states, attention_mask) for probe in self.probes]
        logits = each[0]
        if len(each) > 1:
            together = torch.stack(each).float().log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(each))
            logits = together.to(each[0].dtype)
        loss = None
        if labels is not None:
            losses = [
                nn.functional.cross_entropy(own.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
                for own in each
            ]
            loss = torch.stack(losses).mean()
        return TokenClassifierOutput(loss=loss, logits=logits)

    def check_language_model(self, language_model: PreTrainedModel, name: str) -> None:
        """Refuse a language model whose hidden states this probe has not learnt to read.

        Args:
            language_model (`PreTrainedModel`): without an adapter in it.
            name (`str`): of the language model, for the message.

        Raises:
            AudioBertInputError: the fingerprints differ.
        """
        found, expected = language_model_fingerprint(language_model), self.config.language_model_fingerprint
        if found != expected:
            raise AudioBertInputError(
                f"the trunk detector was trained on the hidden states of language model {expected}, but '{name}' is "
                f"{found}; it cannot read them. Train one for it: audiobert train detector detector=trunk "
                f"language_model={name}."
            )

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


class _Probe(nn.Module):
    """`(batch_size, sequence_length, hidden_size)` to logits of `(batch_size, sequence_length, num_labels)`."""

    def __init__(self, config: TrunkDetectorConfig):
        super().__init__()
        self.reach = config.window // 2
        self.norm = nn.LayerNorm(config.hidden_size)
        self.dense = nn.Linear(config.hidden_size * config.window, config.width)
        self.attention = nn.ModuleList(_AttentionLayer(config) for _ in range(config.attention_layers))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.width, config.num_labels)

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        hidden = self.norm(hidden_states.to(self.dense.weight.dtype))
        if attention_mask is not None:
            hidden = hidden * attention_mask.unsqueeze(-1).to(hidden.dtype)
        hidden = nn.functional.gelu(self.dense(self._windows(self.dropout(hidden))))
        seen = None if attention_mask is None else attention_mask.bool()[:, None, None, :]
        for layer in self.attention:
            hidden = layer(hidden, seen)
        return self.classifier(self.dropout(hidden))

    def _windows(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return each token's neighbours side by side, of shape `(batch_size, sequence_length, window * hidden_size)`;
        zeros beyond the ends."""
        if not self.reach:
            return hidden
        padded = nn.functional.pad(hidden, (0, 0, self.reach, self.reach))
        length = hidden.shape[1]
        return torch.cat([padded[:, start : start + length] for start in range(2 * self.reach + 1)], dim=-1)


class _AttentionLayer(nn.Module):
    """Self-attention and a feed-forward block, each behind a layer norm and added to its input.

    `(batch_size, sequence_length, width)` in and out.
    """

    def __init__(self, config: TrunkDetectorConfig):
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.attention_norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.attention_output = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.intermediate = nn.Linear(config.width, 2 * config.width)
        self.output = nn.Linear(2 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: torch.Tensor, seen: torch.BoolTensor | None) -> torch.Tensor:
        projected = self.query_key_value(self.attention_norm(hidden))
        heads = projected.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        context = nn.functional.scaled_dot_product_attention(*heads, attn_mask=seen)
        hidden = hidden + self.dropout(self.attention_output(context.transpose(1, 2).flatten(2)))
        return hidden + self.dropout(self.output(nn.functional.gelu(self.intermediate(self.norm(hidden)))))
