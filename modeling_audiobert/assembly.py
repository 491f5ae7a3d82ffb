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

from .checkpoint_loading import load_part, model_type_of
from .configuration_audiobert import AudioBertConfig
from .configuration_trunk_detector import TrunkDetectorConfig
from .errors import AudioBertInputError
from .fingerprint import audio_encoder_fingerprint, clap_fingerprint
from .trunk_detector import TrunkDetector


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
        chosen = getattr(self.span_detector.config, "detector_threshold", None)
        if chosen is not None:
            config_kwargs = {"detector_threshold": chosen, **config_kwargs}
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
        AudioBertInputError: a part cannot be loaded, the span detector reads another vocabulary, or it is a trunk
            detector of another language model.
    """
    tokenizer = load_part(AutoTokenizer, language_model)
    if tokenizer.mask_token_id is None:
        raise AudioBertInputError(
            f"the tokenizer of '{language_model}' has no mask token: use a masked language model."
        )
    loaded = load_part(AutoModelForMaskedLM, language_model)
    if model_type_of(span_detector) == TrunkDetectorConfig.model_type:
        detector = load_part(TrunkDetector, span_detector)
        detector.check_language_model(loaded, str(language_model))
    else:
        detector = _separate_detector(span_detector, tokenizer, str(language_model))
    whole_clap = load_part(ClapModel, clap)
    return AudioBertParts(
        language_model=loaded,
        span_detector=detector,
        clap_text=_text_tower(whole_clap),
        audio_encoder=load_part(AutoModel, audio_encoder),
        tokenizer=tokenizer,
        clap_tokenizer=load_part(AutoTokenizer, clap),
        feature_extractor=load_part(AutoFeatureExtractor, audio_encoder),
        clap_fingerprint=clap_fingerprint(whole_clap, load_part(AutoFeatureExtractor, clap)),
    )


def _separate_detector(span_detector: str | os.PathLike, tokenizer, language_model: str) -> PreTrainedModel:
    if load_part(AutoTokenizer, span_detector).get_vocab() != tokenizer.get_vocab():
        raise AudioBertInputError(
            f"the span detector '{span_detector}' reads another vocabulary than the language model "
            f"'{language_model}'. Train one for it: audiobert train detector language_model={language_model}."
        )
    return load_part(AutoModelForTokenClassification, span_detector)


def _text_tower(clap: ClapModel) -> ClapTextModelWithProjection:
    config = clap.config.text_config
    config.projection_dim = clap.config.projection_dim
    tower = ClapTextModelWithProjection(config)
    tower.text_model = clap.text_model
    tower.text_projection = clap.text_projection
    return tower
