"""Search by comparing with every key, in bounded memory, and the exact comparison of some candidates."""

import torch


__all__ = ["SEARCH_EXACTLY", "nearest_keys", "rank_candidates"]

# The way out of every trouble with an index.
SEARCH_EXACTLY = (
    'search exactly: index="exact" of AudioBank.load, bank_index="exact" of from_pretrained, --exact of "bank search"'
)

# Queries that are compared at once, and products that are held at once: 32 MiB of float32.
_MOST_QUERIES = 256
_MOST_PRODUCTS = 2**23
# Products whose greatest stands for them all until they are looked at one by one.
_GROUP = 64
# Keys that a processor multiplies at once: what is read of them, and their products, then stay in its cache.
_KEYS_AT_ONCE = 4096
# Numbers of the keys of candidates that are held at once: 16 MiB.
_MOST_GATHERED = 2**22
# Numbers that a comparison in float64 holds at once: 512 KiB, which stay in the processor's cache.
_MOST_FLOAT64 = 2**16
# More than rounding can change a cosine of vectors of norm 1, of any width in use, by what PyTorch may do to float32
# products: nothing, TensorFloat32 on a GPU, or bfloat16.
_ROUGHNESS = {"highest": 1e-5, "high": 2e-3, "medium": 2e-2}


def nearest_keys(keys: torch.Tensor, queries: torch.Tensor, count: int) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    """Return the keys that point most nearly in each query's direction.

    The last bits of a float32 product depend on where in the matrix a key stands, so that two clips with the same key
    would not be equal. Whatever comes near the last place is therefore compared again, each by itself in float64.

    Args:
        keys (`torch.FloatTensor` of shape `(num_clips, key_dim)`): of norm 1.
        queries (`torch.FloatTensor` of shape `(num_queries, key_dim)`): of any norm, on the same device.
        count (`int`): keys per query, at most `num_clips`.

    Returns:
        Positions and cosines, both of shape `(num_queries, count)`: best first, the earlier where two are equal. Fewer
        are found, the rest being -1 and minus infinity, only among keys that are not finite.
    """
    if not len(queries):
        return _nothing(queries, count)
    found = [_nearest_of_few(keys, part, count) for part in _units(queries).split(_MOST_QUERIES)]
    ids, cosines = zip(*found, strict=True)
    return torch.cat(ids), torch.cat(cosines)


def rank_candidates(
    keys: torch.Tensor, queries: torch.Tensor, candidates: torch.LongTensor, count: int
) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    """Return the best of some candidates by their exact cosines, as `nearest_keys` does of all keys.

    Args:
        keys, queries, count: as in `nearest_keys`.
        candidates (`torch.LongTensor` of shape `(num_queries, num_candidates)`):
            Positions of keys, in any order, none of them twice; -1 for none.
    """
    if not candidates.numel():
        return _nothing(queries, count)
    step = max(1, _MOST_GATHERED // (candidates.shape[1] * keys.shape[1]))
    parts = zip(_units(queries).split(step), candidates.sort(dim=1).values.split(step), strict=True)
    ids, cosines = zip(*(_rank_few(keys, some, theirs, count) for some, theirs in parts), strict=True)
    return torch.cat(ids), torch.cat(cosines)


def _rank_few(
    keys: torch.Tensor, queries: torch.Tensor, candidates: torch.LongTensor, count: int
) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    with torch.autocast(queries.device.type, enabled=False):
        # Twice as quick as keys[candidates]; the same rows.
        gathered = torch.nn.functional.embedding(candidates.clamp(min=0), keys)
        products = (gathered @ queries.unsqueeze(2)).squeeze(2)
    products = products.masked_fill(candidates < 0, -torch.inf)
    # Half of the time of a search by index would otherwise go into comparing in float64 what is far off.
    least = products.topk(min(count, products.shape[1]), dim=1).values[:, -1:] - _roughness()
    rows, columns = ((products >= least) & (candidates >= 0)).nonzero(as_tuple=True)
    return _rank(keys, queries, (rows, candidates[rows, columns]), _nothing(queries, count))


def _nearest_of_few(
    keys: torch.Tensor, queries: torch.Tensor, count: int
) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    best = _nothing(queries, count)
    step = max(_GROUP, _MOST_PRODUCTS // len(queries))
    for start in range(0, len(keys), step):
        products = _products(keys[start : start + step], queries)
        rows, columns = _near_the_best(products, best[1][:, -1:].float(), count)
        best = _rank(keys, queries, (rows, start + columns), best)
    return best


def _products(keys: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Return the products of all queries with all keys, `(num_queries, num_keys)`, a row lying in one piece.

    A processor gets the keys first, and few at a time: one product with the queries first takes up to twice as long.
    """
    # Within a training in bfloat16 the product would be one, too rough to choose by.
    with torch.autocast(queries.device.type, enabled=False):
        if keys.device.type != "cpu":
            return queries @ keys.T
        products = queries.new_empty(len(queries), len(keys))
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            products[:, start : start + len(some)] = (some @ queries.T).T
    return products


def _near_the_best(
    products: torch.Tensor, least: torch.Tensor, count: int
) -> tuple[torch.LongTensor, torch.LongTensor]:
    """Return row and column of all products that may belong to their row's `count` greatest above `least`.

    Only whole groups are compared at first: the `count` greatest products lie in the `count` groups of the greatest
    maxima. That reads the matrix once, where `topk` over all of it takes several times as long.
    """
    width = products.shape[1]
    whole = width // _GROUP * _GROUP
    maxima = products[:, :whole].unflatten(1, (-1, _GROUP)).amax(dim=2)
    if whole < width:
        maxima = torch.cat([maxima, products[:, whole:].amax(dim=1, keepdim=True)], dim=1)
    if count <= width:
        groups = maxima.topk(min(count, maxima.shape[1]), dim=1).indices
        members = _members(products, torch.arange(len(products), device=products.device)[:, None], groups)[1]
        least = torch.maximum(least, members.flatten(1).topk(count, dim=1).values[:, -1:])
    least = least - _roughness()
    rows, groups = (maxima >= least).nonzero(as_tuple=True)
    columns, members = _members(products, rows, groups)
    which, offset = (members >= least[rows]).nonzero(as_tuple=True)
    return rows[which], columns[which, offset]


def _members(
    products: torch.Tensor, rows: torch.LongTensor, groups: torch.LongTensor
) -> tuple[torch.LongTensor, torch.Tensor]:
    """Return the columns and products of groups, minus infinity behind the last column."""
    columns = groups.unsqueeze(-1) * _GROUP + torch.arange(_GROUP, device=products.device)
    beyond = columns >= products.shape[1]
    members = products[rows.unsqueeze(-1), columns.clamp(max=products.shape[1] - 1)]
    return columns, members.masked_fill(beyond, -torch.inf)


def _rank(
    keys: torch.Tensor,
    queries: torch.Tensor,
    pairs: tuple[torch.LongTensor, torch.LongTensor],
    best: tuple[torch.LongTensor, torch.DoubleTensor],
) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    """Merge pairs of a query and a key, in the keys' order, into the best so far, which are of earlier keys."""
    rows, ids = pairs
    step = max(1, _MOST_FLOAT64 // max(1, keys.shape[1]))
    exact_queries = queries.double()
    cosines = [
        keys.index_select(0, some_ids).double().mul_(exact_queries.index_select(0, some_rows)).sum(dim=1)
        for some_rows, some_ids in zip(rows.split(step), ids.split(step), strict=True)
    ]
    all_rows = torch.arange(len(queries), device=rows.device).repeat_interleave(best[0].shape[1])
    rows, ids = torch.cat([all_rows, rows]), torch.cat([best[0].flatten(), ids])
    cosines = torch.cat([best[1].flatten(), *cosines])
    # Both sorts are stable, so that of two equal clips the earlier stays before the later.
    order = cosines.argsort(descending=True, stable=True)
    order = order[rows[order].argsort(stable=True)]
    ends = torch.bincount(rows, minlength=len(queries)).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    chosen = order[starts.unsqueeze(1) + torch.arange(best[0].shape[1], device=rows.device)]
    return ids[chosen], cosines[chosen]


def _nothing(queries: torch.Tensor, count: int) -> tuple[torch.LongTensor, torch.DoubleTensor]:
    shape = (len(queries), count)
    ids = torch.full(shape, -1, dtype=torch.long, device=queries.device)
    return ids, torch.full(shape, -torch.inf, dtype=torch.float64, device=queries.device)


def _roughness() -> float:
    return _ROUGHNESS[torch.get_float32_matmul_precision()]


def _units(queries: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(queries.detach().float(), dim=1)
