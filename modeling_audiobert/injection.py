"""A value entering the language model at a span's first token."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch


__all__ = ["Injection", "average_clips", "injecting", "pool_audio", "prepare_for_injection", "start_projection"]


def pool_audio(last_hidden_state: torch.Tensor, pooling: str = "mean") -> torch.Tensor:
    """Return one embedding a clip.

    Args:
        last_hidden_state (`torch.FloatTensor` of shape `(num_clips, num_positions, hidden_size)`):
            What the audio encoder returns.
        pooling (`str`, *optional*, defaults to `"mean"`):
            Over all positions, the encoder's own class and distillation tokens among them.

    Returns:
        `torch.FloatTensor` of shape `(num_clips, hidden_size)`.

    Source:
        arXiv 2409.08199, section II-B3.
    """
    if pooling != "mean":
        raise ValueError(f"unknown pooling {pooling!r}")
    return last_hidden_state.mean(dim=1)


def average_clips(values: torch.Tensor, similarities: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return the mean of each span's clips, weighted by how similar they are.

    Args:
        values (`torch.FloatTensor` of shape `(batch_size, num_spans, num_clips, value_dim)`).
        similarities (`torch.FloatTensor` of shape `(batch_size, num_spans, num_clips)`):
            Cosines. The weights are `(1 + cosine) / 2`, so that they are never negative.
        found (`torch.BoolTensor` of shape `(batch_size, num_spans, num_clips)`):
            False where there is no clip.

    Returns:
        `torch.FloatTensor` of shape `(batch_size, num_spans, value_dim)`; zero for a span without a clip.
    """
    if values.shape[2] == 1:
        return values[:, :, 0] * found.to(values.dtype)
    # An opposite clip (cosine -1) is still a clip: where all weights vanish, all count alike.
    weights = ((1 + similarities) / 2).clamp(min=1e-6) * found
    weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    return (values * weights.to(values.dtype).unsqueeze(-1)).sum(dim=2)


@torch.no_grad()
def start_projection(projection: torch.nn.Linear, values: torch.Tensor, word_embeddings: torch.Tensor) -> None:
    """Let a new projection, in place, turn a bank's values into vectors of about the length of word embeddings.

    Each dimension of the values is brought to mean 0 and deviation 1 first: as part of the projection's start, so that
    nothing is left to do afterwards. Values as encoders give them are many times longer than a word embedding: added
    to a position's embedding they leave nothing of it behind the layer normalisation, and two sounds of one sentence
    cannot be told apart.

    Args:
        projection: a new one.
        values (`torch.FloatTensor` of shape `(num_clips, value_dim)`): with fewer than two clips, nothing is done.
        word_embeddings (`torch.FloatTensor` of shape `(vocab_size, embedding_size)`).

    Source:
        ours; arXiv 2409.08199 injects into embeddings as wide as the encoder's, without a projection.
    """
    if len(values) < 2:
        return
    values = values.double()
    deviations = values.std(dim=0)
    # A dimension that says all but nothing is not made louder than it is.
    deviations = deviations.clamp(min=0.01 * deviations.mean().clamp(min=1e-6))
    usual_length = word_embeddings.norm(dim=1).double().median()
    directions = torch.randn(projection.weight.shape, dtype=torch.float64, device="cpu")
    weight = directions.to(values.device) * usual_length / projection.weight.numel() ** 0.5 / deviations
    projection.weight.copy_(weight)
    projection.bias.copy_(-weight @ values.mean(dim=0))


@dataclass
class Injection:
    """What enters, and where.

    Args:
        rows (`torch.LongTensor` of shape `(num_injections,)`), positions (`torch.LongTensor` of that shape):
            Row and token of each value. Values that share a token are summed ("add") or averaged ("replace").
        values (`torch.FloatTensor` of shape `(num_injections, embedding_size)`).
        replaces (`bool`): whether the word embedding there is dropped.
    """

    rows: torch.LongTensor
    positions: torch.LongTensor
    values: torch.FloatTensor
    replaces: bool

    def apply(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return word embeddings of shape `(batch_size, sequence_length, embedding_size)` with the values in them."""
        where = (self.rows, self.positions)
        values = self.values.to(embeddings.dtype)
        if self.replaces:
            ones = torch.ones(len(values), dtype=embeddings.dtype, device=embeddings.device)
            counts = torch.zeros(embeddings.shape[:2], dtype=embeddings.dtype, device=embeddings.device)
            counts = counts.index_put(where, ones, accumulate=True)
            embeddings = embeddings.masked_fill((counts > 0).unsqueeze(-1), 0)
            values = values / counts[where].unsqueeze(-1)
        return embeddings.index_put(where, values, accumulate=True)


# A context variable, so that two threads that share the model do not inject into each other's batch; of the module,
# not of an object, so that a model can still be copied.
_PENDING: ContextVar[tuple[torch.nn.Module, Injection] | None] = ContextVar("pending_injection", default=None)


def prepare_for_injection(embedding_layer: torch.nn.Module) -> None:
    """Let `injecting` work on a word-embedding layer.

    A forward hook rather than `inputs_embeds`: given embeddings, RoBERTa numbers its positions through the padding,
    and each family has its own rules for what else is derived from `input_ids` (transformers 4.55 to 5.23).
    """
    embedding_layer.register_forward_hook(_inject)


@contextmanager
def injecting(embedding_layer: torch.nn.Module, injection: Injection) -> Iterator[None]:
    """Inject into every call of a prepared embedding layer within the block."""
    token = _PENDING.set((embedding_layer, injection))
    try:
        yield
    finally:
        _PENDING.reset(token)


def _inject(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
    pending = _PENDING.get()
    return output if pending is None or pending[0] is not module else pending[1].apply(output)
