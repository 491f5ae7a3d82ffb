"""Tiny random causal language models of several classes, each with a tokenizer of whole words."""

from pathlib import Path

import torch
from tiny_models import VOCABULARY, tiny_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM


_SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
FAMILIES = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "llama": {**_SIZES, "num_key_value_heads": 1, "max_position_embeddings": 64},
    "gemma2": {**_SIZES, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64, "sliding_window": 8},
}


def save_family(folder: Path, family: str, padding_side: str = "right", start: bool = True) -> Path:
    """Save a model whose answers differ from sentence to sentence; without `start`, it has an end token only."""
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        family,
        vocab_size=len(VOCABULARY),
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
        initializer_range=0.5,
        **FAMILIES[family],
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer = tiny_tokenizer("roberta")
    tokenizer.padding_side = padding_side
    tokenizer.eos_token = "[SEP]"
    if start:
        tokenizer.bos_token = "[CLS]"
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder)
    return folder
