"""The vocabulary head at some positions alone: in training, most of a sentence's logits are of no use."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


__all__ = ["head_at", "label_positions"]


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


@contextmanager
def head_at(language_model: torch.nn.Module, positions: torch.LongTensor) -> Iterator[None]:
    """Let a masked language model compute logits at some positions of its rows only, within the block.

    What its encoder returns is cut down to these positions before the head reads it; the heads of masked language
    models look at each position by itself. At 30 tokens a row and small width, the head is half of a training step.

    Args:
        language_model: a masked language model of transformers.
        positions (`torch.LongTensor` of shape `(batch_size, num_positions)`): the logits' second dimension.
    """

    def keep(module: torch.nn.Module, inputs: tuple, output):
        hidden = output[0]
        kept = hidden.gather(1, positions.to(hidden.device).unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        if isinstance(output, tuple):
            return (kept, *output[1:])
        output[next(iter(output))] = kept
        return output

    handle = language_model.base_model.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
