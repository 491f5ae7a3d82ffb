"""Embeddings of clips and texts by CLAP, and of clips by the audio encoder, the same wherever they are needed."""

from collections.abc import Callable, Iterable, Sequence

import torch
from transformers import BatchEncoding, ClapModel, PreTrainedModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.retrieval import longest_query
from audiobert.modeling_audiobert.sound_embedding import embed_sounds

from .audio_features import is_longer


__all__ = [
    "clap_audio_embeddings",
    "clap_text_embeddings",
    "encode_keys",
    "encode_texts",
    "encode_tokens",
    "encode_values",
    "in_batches",
    "text_length",
    "text_tokens",
]


def clap_audio_embeddings(
    clap: ClapModel, input_features: torch.Tensor, longer: torch.Tensor | None = None
) -> torch.Tensor:
    """Return CLAP's audio embeddings, of norm 1.

    Args:
        clap (`ClapModel`):
            As it is: in evaluation mode for keys, in training mode while it is trained.
        input_features (`torch.FloatTensor` of shape `(num_clips, channels, num_frames, num_mel_bins)`):
            From `clap_features`.
        longer (`torch.BoolTensor` of shape `(num_clips, 1)`, *optional*):
            Only fused CLAP looks at it; by default told from the features, each clip by itself.

    Returns:
        `torch.FloatTensor` of shape `(num_clips, projection_dim)`.
    """
    if longer is None:
        longer = torch.tensor([[is_longer(features)] for features in input_features])
    # Not get_audio_features: it returns a tensor in transformers 4 and an output object in 5.
    output = clap.audio_model(input_features=input_features, is_longer=longer.to(input_features.device))
    return torch.nn.functional.normalize(clap.audio_projection(output.pooler_output), dim=-1)


def clap_text_embeddings(clap: ClapModel, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return CLAP's text embeddings, of norm 1.

    Args:
        input_ids, attention_mask (`torch.LongTensor` of shape `(num_texts, sequence_length)`).

    Returns:
        `torch.FloatTensor` of shape `(num_texts, projection_dim)`.
    """
    output = clap.text_model(input_ids=input_ids, attention_mask=attention_mask)
    return torch.nn.functional.normalize(clap.text_projection(output.pooler_output), dim=-1)


@torch.no_grad()
def encode_keys(clap: ClapModel, input_features: torch.Tensor) -> torch.Tensor:
    """Return the keys of some clips: float32 on the CPU, shape `(num_clips, projection_dim)`, norm 1.

    Args:
        clap (`ClapModel`): in evaluation mode.
        input_features (`torch.FloatTensor` of shape `(num_clips, channels, num_frames, num_mel_bins)`).
    """
    _require_evaluation(clap)
    parameter = next(clap.parameters())
    longer = torch.tensor([[is_longer(features)] for features in input_features])
    return clap_audio_embeddings(clap, input_features.to(parameter.device, parameter.dtype), longer).float().cpu()


@torch.no_grad()
def encode_values(encoder: PreTrainedModel, input_values: torch.Tensor, pooling: str = "mean") -> torch.Tensor:
    """Return the values of some clips, before the model's projection: float32 on the CPU, `(num_clips, hidden_size)`.

    Args:
        encoder (`ASTModel`): in evaluation mode, without a classification head.
        input_values (`torch.FloatTensor` of shape `(num_clips, num_frames, num_mel_bins)`): from `ast_features`.
        pooling (`str`, *optional*, defaults to `"mean"`): see `embed_sounds`.
    """
    _require_evaluation(encoder)
    parameter = next(encoder.parameters())
    return embed_sounds(encoder, input_values.to(parameter.device, parameter.dtype), pooling).float().cpu()


def encode_texts(clap: ClapModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> torch.Tensor:
    """Return the embeddings of some texts: float32 on the CPU, shape `(num_texts, projection_dim)`, norm 1."""

    def encode(batch: list[str]) -> torch.Tensor:
        return encode_tokens(clap, text_tokens(clap, tokenizer, batch))

    return in_batches(encode, list(texts), 64)


@torch.no_grad()
def encode_tokens(clap: ClapModel, tokens: BatchEncoding) -> torch.Tensor:
    """Return what `encode_texts` does for texts whose tokens, of `text_tokens`, are there already."""
    _require_evaluation(clap)
    return clap_text_embeddings(clap, tokens["input_ids"], tokens["attention_mask"]).float().cpu()


def text_tokens(clap: ClapModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> BatchEncoding:
    """Return `input_ids` and `attention_mask` of some texts, on CLAP's device; what is too long for it is cut."""
    tokens = tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        max_length=text_length(clap),
        return_tensors="pt",
        return_token_type_ids=False,
    )
    return tokens.to(next(clap.parameters()).device)


def text_length(clap: ClapModel) -> int:
    """Return how many tokens the text tower has positions for; it starts counting behind its padding token's id."""
    return longest_query(clap.config.text_config)


def in_batches(function: Callable[[list], torch.Tensor], entries: Iterable, batch_size: int) -> torch.Tensor:
    """Return the rows that `function` gives for lists of at most `batch_size` entries, one under the other."""
    results, batch = [], []
    for entry in entries:
        batch.append(entry)
        if len(batch) == batch_size:
            results.append(function(batch))
            batch = []
    if batch:
        results.append(function(batch))
    return torch.cat(results)


def _require_evaluation(model: torch.nn.Module) -> None:
    # Dropout and batch statistics would make an embedding depend on chance and on its neighbours.
    assert not model.training, f"{type(model).__name__} must be in evaluation mode to make embeddings"
