"""How well texts find clips, judged by the clips' labels."""

from collections.abc import Sequence

import torch


__all__ = ["label_retrieval"]


def label_retrieval(
    similarities: torch.Tensor, query_labels: Sequence[str], clip_labels: Sequence[str | None], top_k: int = 5
) -> dict[str, float]:
    """Return how often the clips found for a label's query bear that label; every clip with it is a right answer.

    Args:
        similarities (`torch.FloatTensor` of shape `(num_queries, num_clips)`): cosines.
        query_labels (`Sequence[str]`): one a query, each the label of at least one clip.
        clip_labels (`Sequence[str | None]`): one a clip; None for "not known", never right.
        top_k (`int`, *optional*, defaults to 5).

    Returns:
        `dict[str, float]`, each from 0 to 1:
            - **label_precision@1**: share of queries whose most similar clip is right;
            - **label_precision@5**: share of right clips among the first five, or among the first n of a query with
              only n < 5 right clips, mean over the queries;
            - **label_precision@1_by_clip**, **label_precision@5_by_clip**: the same, each query counted once for
              every clip with its label;
            - **audio_to_label@1**: share of labelled clips for which the most similar query is the right one;
            - **chance_precision@1**: label_precision@1 of a random order.
    """
    matches = torch.tensor([[label == query for label in clip_labels] for query in query_labels])
    ranked = matches.gather(1, similarities.argsort(dim=1, descending=True, stable=True))
    right = matches.sum(dim=1)
    cutoff = right.clamp(max=top_k)
    within = torch.arange(matches.shape[1])[None, :] < cutoff[:, None]
    first = ranked[:, 0].double()
    several = (ranked & within).sum(dim=1).double() / cutoff
    labelled = torch.tensor([label is not None for label in clip_labels])
    best_query = similarities.argmax(dim=0)
    named = matches.gather(0, best_query[None, :])[0][labelled].double()
    weights = right / right.sum()
    return {
        "label_precision@1": first.mean().item(),
        f"label_precision@{top_k}": several.mean().item(),
        "label_precision@1_by_clip": (first * weights).sum().item(),
        f"label_precision@{top_k}_by_clip": (several * weights).sum().item(),
        "audio_to_label@1": named.mean().item(),
        "chance_precision@1": (right / len(clip_labels)).double().mean().item(),
    }
