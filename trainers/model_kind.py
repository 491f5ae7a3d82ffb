"""Whether a checkpoint is a masked or a causal language model, as its configuration tells."""

from pathlib import Path

from transformers import AutoConfig, PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["AUDIOBERT", "CAUSAL", "MASKED", "model_kind"]

AUDIOBERT, MASKED, CAUSAL = "audiobert", "masked", "causal"


def model_kind(name_or_path: str | Path) -> str:
    """Return `"audiobert"`, `"masked"` or `"causal"`.

    The class that saved the checkpoint decides, by the end of its name; where that is no language model's (a bare
    encoder, say), the first of the two kinds that transformers can load this model type as.

    Args:
        name_or_path (`str` or `Path`): a folder or Hub id.

    Raises:
        AudioBertInputError: it is neither, or its configuration cannot be read.
    """
    config: PretrainedConfig = load_part(AutoConfig, name_or_path)
    if config.model_type == AUDIOBERT:
        return AUDIOBERT
    saved_by = config.architectures or []
    if any(name.endswith("ForMaskedLM") for name in saved_by):
        return MASKED
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in saved_by):
        return CAUSAL
    if not getattr(config, "is_encoder_decoder", False):
        if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            return MASKED
        if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return CAUSAL
    raise AudioBertInputError(
        f"'{name_or_path}' is a checkpoint of model_type '{config.model_type}'{_saved_by(saved_by)}, neither a masked "
        f"nor a causal language model. Give one of these (BERT, RoBERTa ...; GPT-2, LLaMA, Gemma ...) or an AudioBERT."
    )


def _saved_by(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""
