"""From token labels to spans, and between character and token positions."""

from collections.abc import Sequence

import torch


__all__ = ["decode_spans", "span_character_range", "span_token_range"]


def decode_spans(
    probabilities: torch.Tensor, eligible: torch.Tensor, threshold: float = 0.5, max_spans: int = 8
) -> torch.Tensor:
    """Return the unbroken runs of tokens that belong to a span.

    Args:
        probabilities (`torch.FloatTensor` of shape `(batch_size, sequence_length)`):
            Probability of each token to lie inside a span.
        eligible (`torch.BoolTensor` of shape `(batch_size, sequence_length)`):
            False for padding, special tokens and the mask token, which never belong to a span and end one.
        threshold (`float`, *optional*, defaults to 0.5):
            Probability from which a token belongs to a span.
        max_spans (`int`, *optional*, defaults to 8):
            Spans kept in a row: the first ones.

    Returns:
        `torch.LongTensor` of shape `(batch_size, num_spans, 2)`: half-open token ranges in the order of the sentence,
        -1 where a row has fewer. `num_spans` is that of the row with most, and may be 0.

    Source:
        arXiv 2409.08199, section II-B1.
    """
    inside = (probabilities >= threshold) & eligible
    if not inside.any():
        return torch.empty(len(inside), 0, 2, dtype=torch.long, device=inside.device)
    before = torch.nn.functional.pad(inside, (1, 0))[:, :-1]
    after = torch.nn.functional.pad(inside, (0, 1))[:, 1:]
    starts, ends = inside & ~before, inside & ~after
    # Starts and ends pair up in row order: the n-th start of a row belongs to its n-th end.
    rows, first = starts.nonzero(as_tuple=True)
    last = ends.nonzero(as_tuple=True)[1]
    rank = (starts.cumsum(dim=1) - 1)[rows, first]
    kept = rank < max_spans
    num_spans = int(rank[kept].max()) + 1 if kept.any() else 0
    spans = torch.full((len(inside), num_spans, 2), -1, dtype=torch.long, device=inside.device)
    spans[rows[kept], rank[kept]] = torch.stack([first[kept], last[kept] + 1], dim=1)
    return spans


def span_token_range(
    offsets: Sequence[tuple[int, int]], start: int, end: int, special_tokens_mask: Sequence[int] | None = None
) -> tuple[int, int] | None:
    """Return the half-open range of the tokens that touch the characters `[start, end)`.

    A span that begins or ends inside a word, or that truncation cut, gets the tokens that it touches.

    Args:
        offsets (sequence of `(int, int)`): the tokenizer's `offset_mapping` of one sentence.
        start (`int`), end (`int`): half-open character range; -1 where the span is not in the sentence.
        special_tokens_mask (sequence of `int`, *optional*): 1 for special tokens, which a span never includes.

    Returns:
        `tuple[int, int]`, or `None` if no token is touched.
    """
    if start < 0:
        return None
    touched = [
        position
        for position, (first, last) in enumerate(offsets)
        if first < end and last > start and not (special_tokens_mask and special_tokens_mask[position])
    ]
    return (touched[0], touched[-1] + 1) if touched else None


def span_character_range(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Return the half-open character range of the tokens `[start, end)`; the inverse of `span_token_range`."""
    return offsets[start][0], offsets[end - 1][1]
