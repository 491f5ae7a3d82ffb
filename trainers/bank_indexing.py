"""Making the index of a saved audio bank, tuned by texts that are asked for."""

import os
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .bank_search import load_query_encoder


__all__ = ["index_bank"]

_QUERIES = 512


def index_bank(
    bank: str | os.PathLike,
    kind: str | None = None,
    recall: float = 0.95,
    uri: str | None = None,
    clap: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Make the index of a saved bank, and save it there.

    Args:
        bank (`str` or `Path`): the folder of a bank.
        kind (`str`, *optional*), recall (`float`), uri (`str`, *optional*): see `AudioBank.build_index`.
        clap (`str` or `Path`, *optional*):
            The CLAP that the bank was built with. Given, recall is measured by the bank's own captions, or labels, as
            texts; else by its keys, as they are and turned away at random.

    Returns:
        `dict`: `clips`, `kind`, and what `IndexFacts` tells of the index, if the kind has one; `index_bytes`, its
        size, unless a server holds it.

    Raises:
        AudioBertInputError: there is no such folder; see also `AudioBank.build_index`.
    """
    if not Path(bank).is_dir():
        raise AudioBertInputError(f"there is no folder '{bank}'. An index can be saved in the folder of a bank only.")
    loaded = AudioBank.load(bank, index="exact")
    queries = None if clap is None else _text_queries(loaded, bank, clap)
    facts = loaded.build_index(kind, recall, queries, uri)
    loaded.save_index(bank)
    report = {"clips": len(loaded), "kind": loaded.index_kind}
    if facts is not None:
        report |= {name: value for name, value in asdict(facts).items() if name != "stored"}
        report["index_bytes"] = loaded.index.finder.num_bytes
    return report


def _text_queries(bank: AudioBank, name: str | os.PathLike, clap: str | os.PathLike) -> torch.Tensor:
    columns = bank.descriptions.select(["caption", "label"]).to_pydict()
    texts = {caption for caption in columns["caption"] if caption}
    texts |= {f"{label} sound" for label in columns["label"] if label}
    if len(texts) < 2:
        raise AudioBertInputError(
            f"the clips of the audio bank '{name}' have no two captions or labels to measure recall by; leave out "
            f"--clap, and it is measured by the bank's keys."
        )
    chosen = random.Random(0).sample(sorted(texts), min(_QUERIES, len(texts)))
    return load_query_encoder(bank, name, clap)(chosen)
