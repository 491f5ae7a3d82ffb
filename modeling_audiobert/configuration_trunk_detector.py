"""The configuration of the trunk detector."""

from transformers import PretrainedConfig

from .errors import AudioBertInputError


__all__ = ["TrunkDetectorConfig"]


class TrunkDetectorConfig(PretrainedConfig):
    """Configuration of [`TrunkDetector`].

    Args:
        hidden_size (`int`, *optional*, defaults to 768): width of the language model.
        layer (`int`, *optional*, defaults to 6):
            Layers of the language model behind which the probe reads: entry `layer` of its `hidden_states`, where 0
            are the embeddings.
        width (`int`, *optional*, defaults to 256): width of the probe's own hidden layer.
        window (`int`, *optional*, defaults to 1):
            Tokens that the probe's first layer looks at, the token itself in their middle; an odd number.
        attention_layers (`int`, *optional*, defaults to 0):
            Layers of self-attention behind that, which look at the whole sentence.
        num_attention_heads (`int`, *optional*, defaults to 4): of each of them; divides `width`.
        dropout (`float`, *optional*, defaults to 0.1): before each of its layers, in training only.
        num_probes (`int`, *optional*, defaults to 1):
            Probes of this shape side by side; the probability is the mean of theirs.
        detector_threshold (`float`, *optional*, defaults to 0.5):
            Probability from which a token belongs to a span, as it was chosen in training.
        language_model_fingerprint (`str`, *optional*):
            Digest of the language model whose hidden states the probe has learnt to read.

    Raises:
        AudioBertInputError: a setting is not one of those allowed.
    """

    model_type = "audiobert_trunk_detector"

    def __init__(  # noqa: PLR0913 - one argument a setting, as every configuration of transformers
        self,
        hidden_size: int = 768,
        layer: int = 6,
        width: int = 256,
        window: int = 1,
        attention_layers: int = 0,
        num_attention_heads: int = 4,
        dropout: float = 0.1,
        num_probes: int = 1,
        detector_threshold: float = 0.5,
        language_model_fingerprint: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size = hidden_size
        self.layer = layer
        self.width = width
        self.window = window
        self.attention_layers = attention_layers
        self.num_attention_heads = num_attention_heads
        self.dropout = dropout
        self.num_probes = num_probes
        self.detector_threshold = detector_threshold
        self.language_model_fingerprint = language_model_fingerprint
        self._check()

    def _check(self) -> None:
        least = {
            "hidden_size": 1,
            "layer": 0,
            "width": 1,
            "window": 1,
            "attention_layers": 0,
            "num_attention_heads": 1,
            "num_probes": 1,
        }
        for name, lowest in {**least, "layer": 0, "attention_layers": 0}.items():
            if getattr(self, name) < lowest:
                raise AudioBertInputError(
                    f"the trunk detector's {name}={getattr(self, name)} is too small: at least {lowest}."
                )
        if self.window % 2 == 0:
            raise AudioBertInputError(
                f"the trunk detector's window={self.window} has no middle: give an odd number of tokens."
            )
        if self.attention_layers and self.width % self.num_attention_heads:
            raise AudioBertInputError(
                f"the trunk detector's width={self.width} is no multiple of its {self.num_attention_heads} attention "
                f"heads."
            )
        for name in ("dropout", "detector_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise AudioBertInputError(f"the trunk detector's {name}={getattr(self, name)} lies outside 0 to 1.")
