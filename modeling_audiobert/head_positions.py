"""The vocabulary head at some positions alone: in training, most of a sentence's logits are of no use."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

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


@dataclass
class _Wanted:
    encoder: torch.nn.Module
    positions: torch.LongTensor
    cut: bool = False


# As with what is injected: a context variable, so that threads that share the model do not cut each other's output.
_WANTED: ContextVar[_Wanted | None] = ContextVar("wanted_positions", default=None)


def prepare_head(language_model: torch.nn.Module) -> ExitStack:
    """Let `head_at` work on a masked language model of transformers, until what is returned is closed."""
    hooks = ExitStack()
    hooks.callback(language_model.base_model.register_forward_hook(_cut_hidden).remove)
    hooks.callback(language_model.register_forward_hook(_cut_logits).remove)
    return hooks


@contextmanager
def head_at(language_model: torch.nn.Module, positions: torch.LongTensor) -> Iterator[None]:
    """Let a prepared masked language model compute logits at some positions of its rows only, within the block.

    What its encoder returns is cut down to these positions before the head reads it; the heads of masked language
    models look at each position by itself. At 30 tokens a row and small width, the head is half of a training step.

    Args:
        language_model: after `prepare_head`.
        positions (`torch.LongTensor` of shape `(batch_size, num_positions)`): the logits' second dimension.
    """
    token = _WANTED.set(_Wanted(language_model.base_model, positions))
    try:
        yield
    finally:
        _WANTED.reset(token)


def _cut_hidden(module: torch.nn.Module, inputs: tuple, output):
    wanted = _WANTED.get()
    # With flash attention some families (ModernBERT) string all rows together; then the logits are cut instead.
    if wanted is None or wanted.encoder is not module or output[0].ndim != 3:
        return output
    wanted.cut = True
    return _with_first(output, _at(output[0], wanted.positions))


def _cut_logits(module: torch.nn.Module, inputs: tuple, output):
    wanted = _WANTED.get()
    if wanted is None or wanted.encoder is not module.base_model:
        return output
    done, wanted.cut = wanted.cut, False
    return output if done else _with_first(output, _at(output[0], wanted.positions))


def _at(rows: torch.Tensor, positions: torch.LongTensor) -> torch.Tensor:
    return rows.gather(1, positions.to(rows.device).unsqueeze(-1).expand(-1, -1, rows.shape[-1]))


def _with_first(output, value: torch.Tensor):
    """Return what a module gave, a tuple or fields by name, with another first entry."""
    if isinstance(output, tuple):
        return (value, *output[1:])
    output[next(iter(output))] = value
    return output
