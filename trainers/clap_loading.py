"""Loading whatever makes keys and queries: a `ClapModel`, or a converted CLAP of the laion-clap package."""

import os
from typing import Any

from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.checkpoint_loading import load_part, model_type_of

from .laion_clap_checkpoint import LAION_CLAP


__all__ = ["load_clap"]


def load_clap(name_or_path: str | os.PathLike) -> tuple[ClapModel, Any, PreTrainedTokenizerBase]:
    """Return a CLAP in evaluation mode, its feature extractor, and its tokenizer.

    Args:
        name_or_path (`str` or `Path`): a folder or Hub id of a `ClapModel`, or a folder of `convert_laion_clap`.

    Raises:
        AudioBertInputError: it cannot be loaded, is of another kind, or needs laion-clap, which is not installed.
    """
    if model_type_of(name_or_path) == LAION_CLAP:
        from .laion_clap_adapter import load_laion_clap

        return load_laion_clap(name_or_path)
    clap = load_part(ClapModel, name_or_path).eval()
    return clap, load_part(AutoFeatureExtractor, name_or_path), load_part(AutoTokenizer, name_or_path)
