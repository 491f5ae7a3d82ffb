"""The vocabulary head at some positions alone: in training, most of a sentence's logits are of no use."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch


__all__ = ["head_at", "label_positions", "prepare_head"]


def label_positions(labels: torch.LongTensor, ignored: int = -100) -> tuple[torch.LongTensor, torch.LongTensor]:
    """Return where each row has labels, and these labels.

    Args:
        labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`): `ignored` where there is none.
        ignored (`int`, *optional*, defaults to -100).

    Returns:
        `positions` and `labels_there`, both `torch.LongTensor` of shape `(batch_size, most_labels_of_a_row)`, at least
        one wide. A row with fewer labels has further positions, with the label `ignored`.
    """
    wanted = labels != ignored
    width = max(1, int(wanted.sum(dim=1).max())) if labels.numel() else 1
    # Stable, so that the labels of a row keep their order.
    positions = (~wanted).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]
    return positions, labels.gather(1, positions)


# As with what is injected: a context variable, so that threads that share the model do not cut each other's output.
_WANTED: ContextVar[tuple[torch.nn.Module, torch.LongTensor] | None] = ContextVar("wanted_positions", default=None)


def prepare_head(language_model: torch.nn.Module) -> torch.utils.hooks.RemovableHandle:
    """Let `head_at` work on a masked language model of transformers, until what is returned is removed."""
    return language_model.base_model.register_forward_hook(_keep_wanted)


@contextmanager
def head_at(language_model: torch.nn.Module, positions: torch.LongTensor) -> Iterator[None]:
    """Let a prepared masked language model compute logits at some positions of its rows only, within the block.

    What its encoder returns is cut down to these positions before the head reads it; the heads of masked language
    models look at each position by itself. At 30 tokens a row and small width, the head is half of a training step.

    Args:
        language_model: after `prepare_head`.
        positions (`torch.LongTensor` of shape `(batch_size, num_positions)`): the logits' second dimension.
    """
    token = _WANTED.set((language_model.base_model, positions))
    try:
        yield
    finally:
        _WANTED.reset(token)


def _keep_wanted(module: torch.nn.Module, inputs: tuple, output):
    wanted = _WANTED.get()
    if wanted is None or wanted[0] is not module:
        return output
    hidden, positions = output[0], wanted[1]
    kept = hidden.gather(1, positions.to(hidden.device).unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
    if isinstance(output, tuple):
        return (kept, *output[1:])
    output[next(iter(output))] = kept
    return output
