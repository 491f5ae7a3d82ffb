"""Retrieval metrics: cases worked by hand, and scikit-learn where it has the metric."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, top_k_accuracy_score

from audiobert.trainers.clip_sources import Clip
from audiobert.trainers.retrieval_metrics import label_matches, label_retrieval, ranking_metrics, text_matches


def test_ranking_agrees_with_a_case_worked_by_hand():
    # Ranks of the right answers, from 1: {1, 3}; {6}; {2, 11, 12}; the last query has none and is left out.
    places = [[1, 3], [6], [2, 11, 12], []]
    similarities = -torch.arange(12.0).repeat(4, 1)
    right = torch.zeros(4, 12, dtype=torch.bool)
    for row, ranks in enumerate(places):
        right[row, [rank - 1 for rank in ranks]] = True
    measured = ranking_metrics(similarities, right)
    assert measured["recall@1"] == pytest.approx(1 / 3)
    assert measured["recall@5"] == pytest.approx(2 / 3)
    assert measured["recall@10"] == 1.0
    assert measured["map@10"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 6 + (1 / 2) / 3) / 3)
    assert measured["median_rank"] == 2.0
    assert measured["chance_recall@1"] == pytest.approx((2 + 1 + 3) / 36)
    assert (measured["queries"], measured["candidates"]) == (3, 12)


def test_ranking_agrees_with_scikit_learn():
    draws = np.random.default_rng(0)
    similarities = torch.tensor(draws.normal(size=(30, 9)))
    right = torch.tensor(draws.random((30, 9)) < 0.3)
    right[:, 0] |= ~right.any(dim=1)
    measured = ranking_metrics(similarities, right)
    pairs = list(zip(right.numpy(), similarities.numpy(), strict=True))
    assert measured["map@10"] == pytest.approx(np.mean([average_precision_score(*pair) for pair in pairs]))
    ranking = label_ranking_average_precision_score(right.numpy(), similarities.numpy())
    assert measured["map@10"] == pytest.approx(ranking)
    one_right = torch.nn.functional.one_hot(torch.arange(30) % 9, 9).bool()
    measured = ranking_metrics(similarities, one_right)
    for cutoff in (1, 5):
        expected = top_k_accuracy_score(np.arange(30) % 9, similarities.numpy(), k=cutoff)
        assert measured[f"recall@{cutoff}"] == pytest.approx(expected)
    assert measured["recall@10"] == 1.0


def test_the_order_of_queries_and_candidates_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    similarities = torch.randn(8, 20, generator=generator)
    right = torch.rand(8, 20, generator=generator) < 0.2
    rows, columns = torch.randperm(8, generator=generator), torch.randperm(20, generator=generator)
    assert ranking_metrics(similarities[rows][:, columns], right[rows][:, columns]) == pytest.approx(
        ranking_metrics(similarities, right)
    )


def test_queries_that_nothing_can_answer_are_refused():
    with pytest.raises(ValueError, match="no query has a right answer"):
        ranking_metrics(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool))


CLIPS = [
    Clip("a", "p", "a cat meowing", "cat"),
    Clip("b", "p", "a kitten mewing", "cat"),
    Clip("c", "p", "the sound of a fiddle", "fiddle", group="g"),
    Clip("d", "p", "the sound of a violin", "violin", group="g"),
    Clip("e", "p", "a cat meowing"),
]


def test_a_clip_is_right_for_a_caption_of_its_own_of_its_label_and_of_copies_of_it():
    matches = text_matches(["a cat meowing", "a kitten mewing", "the sound of a violin"], CLIPS)
    assert matches.int().tolist() == [[1, 1, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]
    assert label_matches(["cat", "violin"], CLIPS).int().tolist() == [[1, 1, 0, 0, 1], [0, 0, 1, 1, 0]]


def test_retrieval_by_label_agrees_with_a_case_worked_by_hand():
    similarities = torch.tensor([[0.9, 0.1, 0.8, 0.2], [0.3, 0.7, 0.6, 0.5]])
    cat, dog = [True, False, False, False], [False, True, True, False]
    measured = label_retrieval(similarities, torch.tensor([cat, dog]))
    assert measured["label_precision@1"] == 1.0
    assert measured["label_precision@5"] == 1.0
    assert measured["audio_to_label@1"] == pytest.approx(2 / 3)
    assert measured["chance_precision@1"] == pytest.approx((1 / 4 + 2 / 4) / 2)
    measured = label_retrieval(similarities, torch.tensor([dog, cat]))
    assert measured["label_precision@1"] == 0.0
    assert measured["label_precision@5"] == pytest.approx((1 / 2 + 0) / 2)
    assert measured["label_precision@5_by_clip"] == pytest.approx((2 * 1 / 2 + 0) / 3)
