"""Loading the parts of an AudioBERT from checkpoints of the standard classes."""

import os
from dataclasses import dataclass

from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    ClapModel,
    ClapTextModelWithProjection,
    PreTrainedModel,
)

from .checkpoint_loading import load_part
from .configuration_audiobert import AudioBertConfig
from .errors import AudioBertInputError
from .fingerprint import audio_encoder_fingerprint, clap_fingerprint


__all__ = ["AudioBertParts", "load_parts"]


@dataclass
class AudioBertParts:
    """Loaded modules and tokenizers, and the fingerprints of the encoders they came from."""

    language_model: PreTrainedModel
    span_detector: PreTrainedModel
    clap_text: ClapTextModelWithProjection
    audio_encoder: PreTrainedModel
    tokenizer: object
    clap_tokenizer: object
    feature_extractor: object
    clap_fingerprint: str

    def config(self, audio_pooling: str = "mean", **config_kwargs) -> AudioBertConfig:
        """Return the configuration of a model made of these parts."""
        return AudioBertConfig(
            text_config=self.language_model.config,
            detector_config=self.span_detector.config,
            clap_config=self.clap_text.config,
            audio_config=self.audio_encoder.config,
            audio_pooling=audio_pooling,
            clap_fingerprint=self.clap_fingerprint,
            audio_encoder_fingerprint=audio_encoder_fingerprint(
                self.audio_encoder, self.feature_extractor, audio_pooling
            ),
            **config_kwargs,
        )


def load_parts(
    language_model: str | os.PathLike,
    span_detector: str | os.PathLike,
    clap: str | os.PathLike,
    audio_encoder: str | os.PathLike,
) -> AudioBertParts:
    """Load the parts; see [`AudioBertForMaskedLM.from_parts`].

    Raises:
        AudioBertInputError: a part cannot be loaded, or the span detector reads another vocabulary.
    """
    tokenizer = load_part(AutoTokenizer, language_model)
    if tokenizer.mask_token_id is None:
        raise AudioBertInputError(
            f"the tokenizer of '{language_model}' has no mask token: use a masked language model."
        )
    detector_tokenizer = load_part(AutoTokenizer, span_detector)
    if detector_tokenizer.get_vocab() != tokenizer.get_vocab():
        raise AudioBertInputError(
            f"the span detector '{span_detector}' reads another vocabulary than the language model "
            f"'{language_model}'. Train one for it: audiobert train detector language_model={language_model}."
        )
    whole_clap = load_part(ClapModel, clap)
    return AudioBertParts(
        language_model=load_part(AutoModelForMaskedLM, language_model),
        span_detector=load_part(AutoModelForTokenClassification, span_detector),
        clap_text=_text_tower(whole_clap),
        audio_encoder=load_part(AutoModel, audio_encoder),
        tokenizer=tokenizer,
        clap_tokenizer=load_part(AutoTokenizer, clap),
        feature_extractor=load_part(AutoFeatureExtractor, audio_encoder),
        clap_fingerprint=clap_fingerprint(whole_clap, load_part(AutoFeatureExtractor, clap)),
    )


def _text_tower(clap: ClapModel) -> ClapTextModelWithProjection:
    config = clap.config.text_config
    config.projection_dim = clap.config.projection_dim
    tower = ClapTextModelWithProjection(config)
    tower.text_model = clap.text_model
    tower.text_projection = clap.text_projection
    return tower
