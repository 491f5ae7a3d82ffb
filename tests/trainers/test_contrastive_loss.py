"""CLAP's loss: the paper's equations, rows of one meaning, and the directions' temperatures."""

import pytest
import torch

from audiobert.trainers.contrastive_loss import contrastive_loss


def by_hand(audio, text, scale, same):
    """Equations 1 to 3 as sums, one row after the other."""
    total = 0.0
    for one, other in ((audio, text), (text, audio)):
        for row in range(len(one)):
            rivals = [i for i in range(len(one)) if i == row or same[i] != same[row]]
            exponentials = [torch.exp(scale * one[row] @ other[i]) for i in rivals]
            total -= torch.log(torch.exp(scale * one[row] @ other[row]) / sum(exponentials))
    return total / (2 * len(audio))


def test_the_loss_is_the_papers_and_rows_of_one_meaning_are_no_rivals():
    torch.manual_seed(0)
    audio, text = (torch.nn.functional.normalize(torch.randn(5, 8), dim=1) for _ in range(2))
    all_different = list(range(5))
    assert contrastive_loss(audio, text, (10.0, 10.0)) == pytest.approx(by_hand(audio, text, 10.0, all_different))
    same = [0, 1, 0, 2, 1]
    expected = by_hand(audio, text, 10.0, same)
    columns = torch.tensor([[number, row] for row, number in enumerate(same)])
    assert contrastive_loss(audio, text, (10.0, 10.0), columns) == pytest.approx(expected)
    assert contrastive_loss(audio, text, (10.0, 10.0), columns.flip(1)) == pytest.approx(expected)
    assert expected < by_hand(audio, text, 10.0, all_different)


def test_the_loss_is_symmetric_and_each_direction_has_its_temperature():
    torch.manual_seed(0)
    audio, text = (torch.nn.functional.normalize(torch.randn(5, 8), dim=1) for _ in range(2))
    assert contrastive_loss(audio, text, (3.0, 9.0)) == pytest.approx(contrastive_loss(text, audio, (9.0, 3.0)))
    assert contrastive_loss(audio, text, (3.0, 9.0)) != pytest.approx(contrastive_loss(audio, text, (9.0, 3.0)))
