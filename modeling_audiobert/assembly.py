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
    tokenizer = _load(AutoTokenizer, language_model, "language model's tokenizer")
    if tokenizer.mask_token_id is None:
        raise AudioBertInputError(
            f"the tokenizer of '{language_model}' has no mask token: use a masked language model."
        )
    detector_tokenizer = _load(AutoTokenizer, span_detector, "span detector's tokenizer")
    if detector_tokenizer.get_vocab() != tokenizer.get_vocab():
        raise AudioBertInputError(
            f"the span detector '{span_detector}' reads another vocabulary than the language model "
            f"'{language_model}'. Train one for it: audiobert train detector language_model={language_model}."
        )
    whole_clap = _load(ClapModel, clap, "CLAP")
    return AudioBertParts(
        language_model=_load(AutoModelForMaskedLM, language_model, "language model"),
        span_detector=_load(AutoModelForTokenClassification, span_detector, "span detector"),
        clap_text=_text_tower(whole_clap),
        audio_encoder=_load(AutoModel, audio_encoder, "audio encoder"),
        tokenizer=tokenizer,
        clap_tokenizer=_load(AutoTokenizer, clap, "CLAP's tokenizer"),
        feature_extractor=_load(AutoFeatureExtractor, audio_encoder, "audio encoder's feature extractor"),
        clap_fingerprint=clap_fingerprint(whole_clap, _load(AutoFeatureExtractor, clap, "CLAP's feature extractor")),
    )


def _text_tower(clap: ClapModel) -> ClapTextModelWithProjection:
    config = clap.config.text_config
    config.projection_dim = clap.config.projection_dim
    tower = ClapTextModelWithProjection(config)
    tower.text_model = clap.text_model
    tower.text_projection = clap.text_projection
    return tower


def _load(auto_class, name_or_path: str | os.PathLike, what: str):
    """Load one part, every weight of it, from safetensors."""
    is_model = hasattr(auto_class, "from_config") or auto_class is ClapModel
    try:
        if not is_model:
            return auto_class.from_pretrained(name_or_path)
        model, info = auto_class.from_pretrained(name_or_path, output_loading_info=True, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        raise AudioBertInputError(
            f"the {what} could not be loaded from '{name_or_path}': {str(error).splitlines()[0]} Give a local folder "
            f"or a Hub id that holds one."
        ) from error
    absent = [*info["missing_keys"], *info["mismatched_keys"]]
    if absent:
        raise AudioBertInputError(
            f"'{name_or_path}' is no complete {what}: {type(model).__name__} needs {len(absent)} weights that it does "
            f"not have in this shape, '{sorted(map(str, absent))[0]}' among them."
        )
    return model
