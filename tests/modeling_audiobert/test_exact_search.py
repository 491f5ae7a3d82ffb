"""Exact search against brute force in float64, whatever the sizes, ties, blocks and the precision of products."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiobert.modeling_audiobert.exact_search import nearest_keys, rank_candidates


def units(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def brute_force(keys: torch.Tensor, queries: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Every key by itself in float64, the earlier first where two are equal."""
    queries = torch.nn.functional.normalize(queries, dim=1).double()
    cosines = torch.stack([(keys.double() * query).sum(dim=1) for query in queries])
    order = cosines.argsort(dim=1, descending=True, stable=True)[:, :count]
    return order, cosines.gather(1, order)


# Around whole groups of keys that are compared together, where a last, shorter one begins.
SIZES = st.sampled_from([1, 2, 63, 64, 65, 127, 128, 129, 200])


@given(st.integers(0, 2**31), SIZES, st.integers(1, 3), st.floats(0, 1), st.booleans())
def test_the_nearest_keys_are_those_of_brute_force(seed, num_keys, num_queries, share, with_equals):
    keys, queries = units(num_keys, 5, seed=seed), units(num_queries, 5, seed=seed + 1)
    if with_equals:
        keys = keys[torch.randint(num_keys, (num_keys,), generator=torch.Generator().manual_seed(seed)) // 4]
    count = max(1, round(share * num_keys))
    ids, cosines = nearest_keys(keys, queries, count)
    expected_ids, expected_cosines = brute_force(keys, queries, count)
    assert ids.tolist() == expected_ids.tolist()
    torch.testing.assert_close(cosines, expected_cosines)


def test_many_queries_over_many_keys_are_searched_in_blocks_with_the_same_result():
    keys, queries = units(70_000, 4), units(300, 4, seed=1)
    keys[60_000:] = keys[:10_000]  # equal keys in different blocks
    ids, cosines = nearest_keys(keys, queries, 5)
    some = torch.arange(0, 300, 29)
    expected_ids, expected_cosines = brute_force(keys, queries[some], 5)
    assert torch.equal(ids[some], expected_ids)
    torch.testing.assert_close(cosines[some], expected_cosines)


def test_a_bank_full_of_one_key_gives_the_earliest_clips():
    ids, cosines = nearest_keys(units(1, 8).expand(5000, 8), units(40, 8, seed=1), 3)
    assert ids.tolist() == [[0, 1, 2]] * 40
    assert torch.equal(cosines[:, 0], cosines[:, 2])


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
def test_the_precision_of_products_in_a_training_changes_nothing(precision, autocast):
    keys, queries = units(20_000, 64), units(256, 64, seed=1)
    expected = nearest_keys(keys, queries, 20)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = nearest_keys(keys, queries, 20)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_the_bits_of_a_similarity_depend_on_query_and_key_alone():
    keys, queries = units(3000, 48), units(3, 48, seed=1)
    order = torch.randperm(3000, generator=torch.Generator().manual_seed(2))
    ids, cosines = nearest_keys(keys, queries, 50)
    shuffled_ids, shuffled = nearest_keys(keys[order], queries, 50)
    assert torch.equal(order[shuffled_ids], ids)
    assert torch.equal(shuffled, cosines)
    alone_ids, alone = nearest_keys(keys, queries[1:2], 50)
    assert torch.equal(alone_ids[0], ids[1])
    assert torch.equal(alone[0], cosines[1])


def test_candidates_are_ranked_as_by_a_search_of_all():
    keys, queries = units(300, 6), units(4, 6, seed=1)
    every = torch.randperm(300, generator=torch.Generator().manual_seed(2)).expand(4, -1)
    for one, other in zip(rank_candidates(keys, queries, every, 7), nearest_keys(keys, queries, 7), strict=True):
        assert torch.equal(one, other)
    few = torch.tensor([[5, -1, 2], [-1, -1, -1], [2, 5, 9], [7, -1, -1]])
    ids, cosines = rank_candidates(keys, queries, few, 2)
    assert [sorted(row) for row in ids.tolist()][:2] == [[2, 5], [-1, -1]]
    assert ids[3].tolist() == [7, -1]
    assert cosines[1].tolist() == [-torch.inf] * 2


def test_no_queries_give_no_results():
    ids, cosines = nearest_keys(units(3, 4), torch.zeros(0, 4), 2)
    assert ids.shape == cosines.shape == (0, 2)
