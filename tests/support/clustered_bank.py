"""Banks of clustered keys, as embeddings of sounds are, and the truth about them."""

import torch
from tiny_bank import clip_table

from audiobert import AudioBank


WIDTH = 16


def clustered(count: int, seed: int, clusters: int = 40) -> torch.Tensor:
    """Unit vectors around the same few directions, whatever the seed."""
    centres = torch.randn(clusters, WIDTH, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    chosen = centres[torch.randint(clusters, (count,), generator=generator)]
    return torch.nn.functional.normalize(chosen + torch.randn(count, WIDTH, generator=generator) / 2, dim=1)


def clustered_bank(count: int = 2000, seed: int = 0) -> AudioBank:
    """A bank of such keys."""
    values = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed + 1))
    return AudioBank(clip_table(count), clustered(count, seed), values, "clap", "encoder")


def cosines(bank: AudioBank, queries: torch.Tensor) -> torch.Tensor:
    """Of every query with every key, in float64."""
    return torch.nn.functional.normalize(queries.double(), dim=1) @ bank.keys.double().T


def recall(bank: AudioBank, queries: torch.Tensor, count: int = 10) -> float:
    """Which share of the nearest clips by brute force a bank finds."""
    nearest = cosines(bank, queries).topk(count, dim=1).indices
    found = bank.search(queries, count).clip_ids
    return (nearest.unsqueeze(2) == found.unsqueeze(1)).any(dim=2).double().mean().item()
