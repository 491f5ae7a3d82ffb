"""Looking into an audio bank: text to clips."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import ClapModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.fingerprint import clap_fingerprint

from .audio_encoding import encode_texts
from .clap_loading import load_clap


__all__ = ["load_bank_clap", "load_query_encoder", "search_bank"]


def search_bank(
    bank: AudioBank | str | os.PathLike,
    query: str,
    clap: str | os.PathLike,
    top_k: int = 5,
    index: str = "saved",
) -> list[dict[str, Any]]:
    """Return the clips of a bank that sound most like a text, best first.

    Args:
        bank (`AudioBank`, `str` or `Path`): or where it was saved.
        query (`str`): AudioBERT asks for "{span} sound".
        clap (`str` or `Path`): the CLAP that the bank was built with, a folder or Hub id.
        top_k (`int`, *optional*, defaults to 5): at most that many.
        index (`str`, *optional*, defaults to `"saved"`): see `AudioBank.load`; not used of an `AudioBank`.

    Returns:
        `list[dict]`: the columns of each clip, its sound left out, and `similarity` (cosine, -1 to 1).

    Raises:
        AudioBertInputError: the query is empty, there is no such bank or CLAP, or the bank's keys were made by
            another CLAP.
    """
    if not query.strip():
        raise AudioBertInputError('the query is empty: say what to listen for, such as "cat sound".')
    loaded = bank if isinstance(bank, AudioBank) else AudioBank.load(bank, index=index)
    found = loaded.search(load_query_encoder(loaded, bank, clap)([query]), top_k)
    pairs = zip(found.clip_ids[0].tolist(), found.similarities[0].tolist(), strict=True)
    return [{"similarity": similarity, **loaded.clip(clip_id)} for clip_id, similarity in pairs if clip_id >= 0]


def load_query_encoder(
    bank: AudioBank, source: AudioBank | str | os.PathLike, clap: str | os.PathLike
) -> Callable[[list[str]], torch.Tensor]:
    """Return what turns texts into queries for a bank.

    Args:
        bank (`AudioBank`): to search.
        source (`AudioBank`, `str` or `Path`): the bank as the user named it, for errors.
        clap (`str` or `Path`): the CLAP that the bank was built with, a folder or Hub id.

    Raises:
        AudioBertInputError: there is no such CLAP, or the bank's keys were made by another.
    """
    return partial(encode_texts, *load_bank_clap(bank, source, clap))


def load_bank_clap(
    bank: AudioBank, source: AudioBank | str | os.PathLike, clap: str | os.PathLike
) -> tuple[ClapModel, PreTrainedTokenizerBase]:
    """Return the CLAP that made a bank's keys, in evaluation mode, and its tokenizer.

    Args, Raises: see `load_query_encoder`.
    """
    model, extractor, tokenizer = load_clap(clap)
    fingerprint = clap_fingerprint(model, extractor)
    if fingerprint != bank.key_fingerprint:
        name = f"audio bank of {len(bank)} clips" if isinstance(source, AudioBank) else f"audio bank '{source}'"
        raise AudioBertInputError(
            f"the keys of the {name} were made by CLAP {bank.key_fingerprint}, but '{clap}' is {fingerprint}; "
            f'similarities between them mean nothing. Rebuild the bank with "audiobert bank build", or give the CLAP '
            f"that it was built with."
        )
    return model, tokenizer
