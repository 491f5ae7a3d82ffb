"""A new small CLAP: an audio tower with random weights, and a text tower that may start from a language model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    ClapTextModel,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["ClapAudioTower", "ClapWindow", "copy_text_tower", "new_clap", "set_input_statistics", "text_tower_config"]

# Embedding rows that stand before the first position: RoBERTa, whose layout CLAP has, counts positions from the
# padding token's id + 1, BERT from 0.
_TEXT_FAMILIES = ("bert", "roberta")


@dataclass
class ClapWindow:
    """What a new CLAP's audio tower gets to see of a clip; names as in `ClapFeatureExtractor`.

    Args:
        sampling_rate (`int`): in Hz.
        max_length_s (`int`): seconds; a shorter clip is repeated, of a longer one the beginning is taken.
        hop_length (`int`): samples from frame to frame.
        fft_window_size (`int`): samples of a frame.
        feature_size (`int`): mel bins.
        frequency_min (`float`), frequency_max (`float`): of the mel bins, in Hz.
    """

    sampling_rate: int = 16_000
    max_length_s: int = 5
    hop_length: int = 320
    fft_window_size: int = 1024
    feature_size: int = 64
    frequency_min: float = 50.0
    frequency_max: float = 8_000.0


@dataclass
class ClapAudioTower:
    """The shape of a new CLAP's audio tower; names as in `ClapAudioConfig`.

    Args:
        spec_size (`int`):
            Height and width of the picture that the spectrogram is folded into; a multiple of the mel bins. It holds
            `spec_size * spec_size / feature_size` frames.
        patch_size (`int`): side of a patch, which is also the step from patch to patch.
        window_size (`int`): side of an attention window, in patches.
        patch_embeds_hidden_size (`int`): width of the first stage; each further stage is twice as wide.
        depths (`list[int]`), num_attention_heads (`list[int]`): layers and heads of each stage.
        hidden_dropout_prob (`float`), attention_probs_dropout_prob (`float`), drop_path_rate (`float`): from 0 to 1.
    """

    spec_size: int = 128
    patch_size: int = 8
    window_size: int = 8
    patch_embeds_hidden_size: int = 96
    depths: list[int] = field(default_factory=lambda: [2, 4])
    num_attention_heads: list[int] = field(default_factory=lambda: [4, 8])
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.0
    drop_path_rate: float = 0.1


def new_clap(
    text_model: str, tower: ClapAudioTower, window: ClapWindow, projection_dim: int
) -> tuple[ClapModel, PreTrainedTokenizerBase, ClapFeatureExtractor]:
    """Return a new CLAP with its tokenizer and feature extractor.

    The text tower has the weights of `text_model`, all else is drawn from torch's random state.

    Args:
        text_model (`str`): a folder or Hub id of a BERT or RoBERTa.
        projection_dim (`int`): width of the space that texts and clips share.

    Raises:
        AudioBertInputError: the language model is of another family, or the window does not fit the tower.
    """
    _check_shapes(tower, window)
    text_config = text_tower_config(load_part(AutoConfig, text_model), text_model)
    language_model = load_part(AutoModel, text_model, add_pooling_layer=False)
    # CLAP takes no token types; its tokenizer must not offer them.
    tokenizer = load_part(AutoTokenizer, text_model, model_input_names=["input_ids", "attention_mask"])
    settings = dict(vars(tower))
    settings["patch_stride"] = [tower.patch_size] * 2
    settings["hidden_size"] = tower.patch_embeds_hidden_size * 2 ** (len(tower.depths) - 1)
    # By transformers' rule weights are drawn with a deviation of 1 / sqrt(8 * hidden_size), which leaves a small tower
    # all but mute, and slow to learn; the square root of 8 gives 1 / sqrt(hidden_size).
    audio_config = ClapAudioConfig(num_mel_bins=window.feature_size, initializer_factor=8**0.5, **settings)
    clap = ClapModel(
        ClapConfig(
            text_config=text_config.to_dict(), audio_config=audio_config.to_dict(), projection_dim=projection_dim
        )
    )
    copy_text_tower(language_model, clap.text_model)
    feature_extractor = ClapFeatureExtractor(**vars(window), truncation="rand_trunc", padding="repeatpad")
    return clap, tokenizer, feature_extractor


def text_tower_config(config: PretrainedConfig, name: str) -> ClapTextConfig:
    """Return the configuration of a CLAP text tower that computes what a BERT or RoBERTa computes.

    Raises:
        AudioBertInputError: the language model is of another family; `name` is what the message calls it.
    """
    absolute = getattr(config, "position_embedding_type", None) in (None, "absolute")
    if config.model_type not in _TEXT_FAMILIES or not absolute:
        raise AudioBertInputError(
            f"CLAP's text tower cannot start from '{name}', of model_type '{config.model_type}': it takes a "
            f"{' or '.join(_TEXT_FAMILIES)} with absolute positions."
        )
    taken = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "type_vocab_size",
        "layer_norm_eps",
        "pad_token_id",
    )
    before_first = config.pad_token_id + 1 if config.model_type == "bert" else 0
    return ClapTextConfig(
        **{key: getattr(config, key) for key in taken},
        max_position_embeddings=config.max_position_embeddings + before_first,
    )


@torch.no_grad()
def copy_text_tower(language_model: PreTrainedModel, text_model: ClapTextModel) -> None:
    """Give a CLAP text tower the weights of a BERT or RoBERTa encoder; its last hidden states are then the same.

    The pooler, which masked language models lack, starts as the identity, so that the first token's state, rather
    than a random mixture of it, reaches the projection.

    Args:
        language_model (`BertModel` or `RobertaModel`): of the family and sizes that `text_tower_config` was given.
    """
    weights = dict(language_model.state_dict())
    name = "embeddings.position_embeddings.weight"
    table = text_model.embeddings.position_embeddings.weight
    before_first = torch.zeros(len(table) - len(weights[name]), table.shape[1])
    weights[name] = torch.cat([before_first, weights[name]])
    buffers = [name for name, _ in text_model.named_buffers()]
    weights = {name: tensor for name, tensor in weights.items() if name not in buffers}
    outcome = text_model.load_state_dict(weights, strict=False)
    left = [name for name in outcome.missing_keys if not name.startswith("pooler.") and name not in buffers]
    if left or outcome.unexpected_keys:
        raise RuntimeError(f"text tower and language model differ in {left + outcome.unexpected_keys}")
    torch.nn.init.eye_(text_model.pooler.dense.weight)
    torch.nn.init.zeros_(text_model.pooler.dense.bias)


@torch.no_grad()
def set_input_statistics(clap: ClapModel, features: Sequence[torch.Tensor]) -> None:
    """Give a new CLAP's input normalisation the mean and variance of each mel bin over all clips.

    Batch normalisation stands at the tower's start alone; with fixed statistics an embedding never depends on its
    batch, in training neither.

    Args:
        features (`Sequence[torch.FloatTensor]`): each `(channels, num_frames, num_mel_bins)`, on the training clips.
    """
    norm = clap.audio_model.audio_encoder.batch_norm
    total, squares = torch.zeros(2, norm.num_features, dtype=torch.float64)
    count = 0
    for index in range(len(features)):
        frames = features[index].flatten(0, 1).double()  # (channels * num_frames, num_mel_bins)
        total, squares, count = total + frames.sum(dim=0), squares + frames.square().sum(dim=0), count + len(frames)
    mean = total / count
    norm.running_mean.copy_(mean)
    norm.running_var.copy_((squares / count - mean.square()).clamp(min=0))


def _check_shapes(tower: ClapAudioTower, window: ClapWindow) -> None:
    frames = window.max_length_s * window.sampling_rate // window.hop_length + 1
    ratio = tower.spec_size // window.feature_size
    patches = tower.spec_size // tower.patch_size
    problem = None
    if tower.spec_size % window.feature_size or tower.spec_size % tower.patch_size:
        problem = f"spec_size={tower.spec_size} must be a multiple of feature_size and of patch_size"
    elif frames > tower.spec_size * ratio:
        problem = f"the window has {frames} frames, but spec_size={tower.spec_size} holds {tower.spec_size * ratio}"
    elif len(tower.depths) != len(tower.num_attention_heads) or not tower.depths:
        problem = "depths and num_attention_heads need one entry a stage"
    elif patches % 2 ** (len(tower.depths) - 1) or (patches >> (len(tower.depths) - 1)) % ratio:
        problem = f"{len(tower.depths)} stages halve {patches} patches too often"
    elif any(
        (tower.patch_embeds_hidden_size << stage) % heads for stage, heads in enumerate(tower.num_attention_heads)
    ):
        problem = "each stage's width must be a multiple of its num_attention_heads"
    elif window.frequency_max > window.sampling_rate / 2:
        problem = f"frequency_max={window.frequency_max:g} is above half of sampling_rate={window.sampling_rate}"
    if problem:
        raise AudioBertInputError(f"this CLAP cannot be built: {problem}. Change the recipe's audio_tower or window.")
