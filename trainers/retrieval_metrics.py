"""How well texts find clips, and clips texts."""

from collections.abc import Sequence

import torch

from .clip_sources import Clip


__all__ = ["label_matches", "label_retrieval", "ranking_metrics", "text_matches"]

CUTOFFS = (1, 5, 10)


def text_matches(texts: Sequence[str], clips: Sequence[Clip]) -> torch.Tensor:
    """Return which clips are a right answer for which captions.

    A clip is right for a caption if it has that caption, the label of a clip with it, or is a copy or cut (`group`)
    of a clip with it.

    Returns:
        `torch.BoolTensor` of shape `(num_texts, num_clips)`.
    """
    return _matches([[clip for clip in clips if clip.caption == text] for text in texts], clips)


def label_matches(labels: Sequence[str], clips: Sequence[Clip]) -> torch.Tensor:
    """Return which clips bear which labels, or are a copy or cut of a clip that does: `(num_labels, num_clips)`."""
    return _matches([[clip for clip in clips if clip.label == label] for label in labels], clips)


def ranking_metrics(similarities: torch.Tensor, right: torch.Tensor) -> dict[str, float]:
    """Return how early in the order of similarity each query's right answers come.

    Args:
        similarities (`torch.FloatTensor` of shape `(num_queries, num_candidates)`): where two are equal, the earlier
            candidate comes first.
        right (`torch.BoolTensor` of the same shape): a query without any right answer is left out.

    Returns:
        `dict[str, float]`:
            - **recall@1**, **recall@5**, **recall@10**: share of queries with a right answer among the first k;
            - **map@10**: mean over the queries of the average precision within the first ten: the precision at each
              right answer there, summed, and divided by the number of right answers, or ten where there are more;
            - **median_rank**: median over the queries of the place, from 1, of the first right answer;
            - **chance_recall@1**: recall@1 of a random order;
            - **queries**, **candidates**: how many.

    Raises:
        ValueError: no query has a right answer.
    """
    asked = right.any(dim=1)
    if not asked.any():
        raise ValueError("no query has a right answer among the candidates")
    similarities, right = similarities[asked], right[asked]
    ranked = right.gather(1, similarities.argsort(dim=1, descending=True, stable=True))
    first = ranked.int().argmax(dim=1) + 1
    head = ranked[:, :10].double()
    precisions = head.cumsum(dim=1) / torch.arange(1, head.shape[1] + 1)
    average = (precisions * head).sum(dim=1) / right.sum(dim=1).clamp(max=10)
    return {
        **{f"recall@{cutoff}": (first <= cutoff).double().mean().item() for cutoff in CUTOFFS},
        "map@10": average.mean().item(),
        "median_rank": first.double().quantile(0.5).item(),
        "chance_recall@1": right.double().mean().item(),
        "queries": len(right),
        "candidates": right.shape[1],
    }


def label_retrieval(similarities: torch.Tensor, matches: torch.Tensor, top_k: int = 5) -> dict[str, float]:
    """Return how often the clips found for a label's query bear that label; every clip with it is a right answer.

    Args:
        similarities (`torch.FloatTensor` of shape `(num_labels, num_clips)`): cosines.
        matches (`torch.BoolTensor` of the same shape): see `label_matches`; each label has a clip.
        top_k (`int`, *optional*, defaults to 5).

    Returns:
        `dict[str, float]`, each from 0 to 1:
            - **label_precision@1**: share of queries whose most similar clip is right;
            - **label_precision@5**: share of right clips among the first five, or among the first n of a query with
              only n < 5 right clips, mean over the queries;
            - **label_precision@1_by_clip**, **label_precision@5_by_clip**: the same, each query counted once for
              every clip with its label;
            - **audio_to_label@1**: share of labelled clips for which the most similar query is a right one;
            - **chance_precision@1**: label_precision@1 of a random order.
    """
    ranked = matches.gather(1, similarities.argsort(dim=1, descending=True, stable=True))
    right = matches.sum(dim=1)
    cutoff = right.clamp(max=top_k)
    within = torch.arange(matches.shape[1])[None, :] < cutoff[:, None]
    first = ranked[:, 0].double()
    several = (ranked & within).sum(dim=1).double() / cutoff
    best_query = similarities.argmax(dim=0)
    named = matches.gather(0, best_query[None, :])[0][matches.any(dim=0)].double()
    weights = right / right.sum()
    return {
        "label_precision@1": first.mean().item(),
        f"label_precision@{top_k}": several.mean().item(),
        "label_precision@1_by_clip": (first * weights).sum().item(),
        f"label_precision@{top_k}_by_clip": (several * weights).sum().item(),
        "audio_to_label@1": named.mean().item(),
        "chance_precision@1": matches.double().mean().item(),
    }


def _matches(named: Sequence[Sequence[Clip]], clips: Sequence[Clip]) -> torch.Tensor:
    """Return, for each of several sets of clips, which clips are alike to one of it in caption, label or group."""
    rows = []
    for others in named:
        known = {(kind, getattr(other, kind)) for other in others for kind in ("caption", "label", "group")}
        rows.append(
            [any(value is not None and (kind, value) in known for kind, value in vars(clip).items()) for clip in clips]
        )
    return torch.tensor(rows, dtype=torch.bool).reshape(len(named), len(clips))
