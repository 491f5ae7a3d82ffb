"""The configuration of AudioBERT: the model, and nothing about data, paths or training."""

from collections.abc import Sequence

from transformers import AutoConfig, ClapTextConfig, PretrainedConfig

from .configuration_trunk_detector import TrunkDetectorConfig
from .errors import AudioBertInputError


__all__ = ["AudioBertConfig"]

INJECTIONS = ("add", "replace")
AUDIO_POOLINGS = ("mean", "trimmed_mean")
DETECTORS = ("separate", "trunk")


class AudioBertConfig(PretrainedConfig):
    """Configuration of [`AudioBertForMaskedLM`].

    Args:
        text_config (`PretrainedConfig` or `dict`, *optional*, defaults to BERT's):
            The language model: any BERT-like masked language model.
        detector_config (`PretrainedConfig` or `dict`, *optional*, defaults to BERT's with two labels):
            A token classifier over the language model's vocabulary, or a `TrunkDetectorConfig`, which holds layer,
            width and window of the probe. Label 0 means "outside".
        clap_config (`PretrainedConfig` or `dict`, *optional*, defaults to `ClapTextConfig`'s):
            CLAP's text tower; its `projection_dim` is the width of the audio bank's keys.
        audio_config (`PretrainedConfig` or `dict`, *optional*, defaults to `ASTConfig`'s):
            The audio encoder; its `hidden_size` is the width of the audio bank's values.
        detector (`str`, *optional*, defaults to the kind of `detector_config`, and to `"separate"` without one):
            The span detector: `"separate"` is a second model (section II-B1), `"trunk"` a probe on a middle layer of
            the language model itself (ours), so that a row without a span costs one pass of one model.
        lora_r (`int`, *optional*, defaults to 64), lora_alpha (`int`, *optional*, defaults to 128):
            Rank and scale of the adapter (arXiv 2409.08199, section III).
        lora_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the adapter. The paper names none.
        lora_target_modules (`list[str]`, *optional*):
            Names of the linear layers that get an adapter. By default query, key and value of the attention, under
            the names that the language model gives them.
        injection (`str`, *optional*, defaults to `"add"`):
            `"add"` (section II-B3) adds the audio embedding to the word embedding of the span's first token,
            `"replace"` (the paper's released code) puts it in its place.
        query_template (`str`, *optional*, defaults to `"{span} sound"`):
            The text that CLAP embeds for a span.
        max_spans (`int`, *optional*, defaults to 8):
            Spans heard in one row; the first ones count.
        detector_threshold (`float`, *optional*, defaults to 0.5):
            Probability from which a token belongs to a span.
        min_similarity (`float`, *optional*, defaults to -1.0):
            Cosine similarity (-1 to 1) below which a clip does not match. A span without a match is no span.
        num_clips (`int`, *optional*, defaults to 1):
            Clips retrieved for a span; above 1 their values are averaged, weighted by similarity (ours).
        audio_pooling (`str`, *optional*, defaults to `"mean"`):
            How the audio encoder's last hidden states become one embedding: `"mean"` over all of them (paper), or
            `"trimmed_mean"` without the padding of clips that are shorter than its window (ours); see `embed_sounds`.
        hearing (`bool`, *optional*, defaults to `True`):
            Whether the model hears unless a call says otherwise; off, every row equals the language model's.
        clap_fingerprint (`str`, *optional*), audio_encoder_fingerprint (`str`, *optional*):
            Digests of the encoders, which the audio bank's keys and values must have been made by.

    Raises:
        AudioBertInputError: a setting is not one of those allowed.
    """

    model_type = "audiobert"
    sub_configs = {  # noqa: RUF012 - transformers reads it from the class
        "text_config": AutoConfig,
        "detector_config": AutoConfig,
        "clap_config": ClapTextConfig,
        "audio_config": AutoConfig,
    }
    keys_to_ignore_at_inference = [  # noqa: RUF012 - transformers reads it from the class
        "span_positions",
        "clip_ids",
        "similarities",
        "hearing_off_logits",
        "hidden_states",
        "attentions",
    ]

    def __init__(  # noqa: PLR0913 - one argument a setting, as every configuration of transformers
        self,
        text_config: PretrainedConfig | dict | None = None,
        detector_config: PretrainedConfig | dict | None = None,
        clap_config: PretrainedConfig | dict | None = None,
        audio_config: PretrainedConfig | dict | None = None,
        detector: str | None = None,
        lora_r: int = 64,
        lora_alpha: int = 128,
        lora_dropout: float = 0.0,
        lora_target_modules: Sequence[str] | None = None,
        injection: str = "add",
        query_template: str = "{span} sound",
        max_spans: int = 8,
        detector_threshold: float = 0.5,
        min_similarity: float = -1.0,
        num_clips: int = 1,
        audio_pooling: str = "mean",
        hearing: bool = True,
        clap_fingerprint: str | None = None,
        audio_encoder_fingerprint: str | None = None,
        **kwargs,
    ):
        # With this the stock pipeline function finds our pipeline in a Hub repository.
        kwargs.setdefault(
            "custom_pipelines",
            {
                "audio-fill-mask": {
                    "impl": "pipeline_audiobert.AudioFillMaskPipeline",
                    "pt": ["AutoModelForMaskedLM"],
                    "type": "text",
                }
            },
        )
        super().__init__(**kwargs)
        # Not before: the parent sets the attention implementation, "not chosen", in every sub-config that it finds, so
        # a loaded language model would change its attention (transformers 5.23).
        self.text_config = _sub_config(text_config, "bert")
        self.detector_config = _detector_config(detector, detector_config, self.text_config)
        self.detector = "trunk" if self.detector_config.model_type == TrunkDetectorConfig.model_type else "separate"
        self.clap_config = _sub_config(clap_config, ClapTextConfig.model_type)
        self.audio_config = _sub_config(audio_config, "audio-spectrogram-transformer")
        if self._attn_implementation is not None:
            # Setting it hands it on to the sub-configs; the parent did so before they were there.
            self._attn_implementation = self._attn_implementation
        self.lora_r = lora_r
        self.lora_alpha = lora_alpha
        self.lora_dropout = lora_dropout
        self.lora_target_modules = None if lora_target_modules is None else list(lora_target_modules)
        self.injection = injection
        self.query_template = query_template
        self.max_spans = max_spans
        self.detector_threshold = detector_threshold
        self.min_similarity = min_similarity
        self.num_clips = num_clips
        self.audio_pooling = audio_pooling
        self.hearing = hearing
        self.clap_fingerprint = clap_fingerprint
        self.audio_encoder_fingerprint = audio_encoder_fingerprint
        self._check()

    def _check(self) -> None:
        allowed = {"injection": INJECTIONS, "audio_pooling": AUDIO_POOLINGS}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise AudioBertInputError(
                    f"{name}={getattr(self, name)!r} is not known. Use one of: {', '.join(values)}."
                )
        # format() with a stray brace or another field would fail only when the first span is heard.
        if self.query_template.count("{span}") != 1 or "{" in self.query_template.replace("{span}", ""):
            raise AudioBertInputError(
                f"query_template={self.query_template!r} must hold '{{span}}' once, and no other brace."
            )
        least = {"lora_r": 1, "max_spans": 1, "num_clips": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise AudioBertInputError(f"{name}={getattr(self, name)} is too small: at least {lowest}.")
        ranges = {"min_similarity": (-1.0, 1.0), "detector_threshold": (0.0, 1.0)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise AudioBertInputError(f"{name}={getattr(self, name)} lies outside {low} to {high}.")


def _detector_config(
    detector: str | None, config: PretrainedConfig | dict | None, text_config: PretrainedConfig
) -> PretrainedConfig:
    trunk = TrunkDetectorConfig.model_type
    model_type = config.get("model_type") if isinstance(config, dict) else getattr(config, "model_type", None)
    if detector is None:
        detector = "trunk" if model_type == trunk else "separate"
    if detector not in DETECTORS:
        raise AudioBertInputError(f"detector={detector!r} is not known. Use one of: {', '.join(DETECTORS)}.")
    if model_type is not None and (detector == "trunk") != (model_type == trunk):
        raise AudioBertInputError(
            f"detector={detector!r} does not fit its detector_config, which is of model_type '{model_type}'."
        )
    if detector == "separate":
        return _sub_config(config, "bert", num_labels=2)
    size, layers = text_config.hidden_size, text_config.num_hidden_layers
    found = _sub_config(config, trunk, hidden_size=size, layer=layers // 2)
    if found.hidden_size != size or found.layer > layers:
        raise AudioBertInputError(
            f"the trunk detector reads layer {found.layer} of width {found.hidden_size}, but the language model has "
            f"{layers} layers of width {size}."
        )
    return found


def _sub_config(config: PretrainedConfig | dict | None, default_type: str, **defaults) -> PretrainedConfig:
    if isinstance(config, PretrainedConfig):
        return config
    settings = dict(defaults if config is None else config)
    model_type = settings.pop("model_type", default_type)
    # CLAP's text tower is no model type of its own to the Auto classes of transformers 4.55.
    if model_type == ClapTextConfig.model_type:
        return ClapTextConfig(**settings)
    if model_type == TrunkDetectorConfig.model_type:
        return TrunkDetectorConfig(**settings)
    return AutoConfig.for_model(model_type, **settings)


AudioBertConfig.register_for_auto_class()
