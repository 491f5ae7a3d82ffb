"""Checkpoints of the laion-clap package (`630k-audioset-fusion-best.pt` and its siblings), made into safe folders."""

import json
import os
import zipfile
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - the error's class alone
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["LAION_CLAP", "LAION_TOKENIZER", "TOKENIZER_FOLDER", "convert_laion_clap"]

# The model_type of a converted folder.
LAION_CLAP = "laion_clap"
TOKENIZER_FOLDER = "tokenizer"
# Whose tokenizer the published checkpoints were trained with.
LAION_TOKENIZER = "FacebookAI/roberta-base"
# laion-clap's names for its audio towers, by their width.
_AUDIO_MODELS = {96: "HTSAT-tiny", 128: "HTSAT-base", 256: "HTSAT-large"}
_TEXT = "text_branch."


def convert_laion_clap(
    checkpoint: str | os.PathLike, output: str | os.PathLike, tokenizer: str | os.PathLike = LAION_TOKENIZER
) -> dict[str, Any]:
    """Write a checkpoint of laion-clap as a folder that can be given wherever a bank is built or searched.

    The folder holds `model.safetensors`, `config.json` and the tokenizer. Afterwards nothing reads the checkpoint
    again; laion-clap itself is not needed for this.

    Args:
        checkpoint (`str` or `Path`):
            A `.pt` file with a CLAP of HTSAT and RoBERTa, fused or not. It is a pickle, but read by torch's restricted
            reader, which builds tensors and plain values and runs no code from the file.
        output (`str` or `Path`): a new or empty folder.
        tokenizer (`str` or `Path`, *optional*): RoBERTa's, a folder or Hub id.

    Returns:
        `dict`: what stands in `config.json`.

    Raises:
        AudioBertInputError: the checkpoint is missing, damaged, holds anything but tensors and plain values, or is of
            another model; the tokenizer has another vocabulary; or the folder holds something or cannot be written.
    """
    output = Path(output)
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise AudioBertInputError(f"'{output}' holds something already; give a new or empty folder.")
    weights = _weights(_read_checkpoint(Path(checkpoint)), Path(checkpoint))
    config = _describe(weights, Path(checkpoint))
    loaded = load_part(AutoTokenizer, tokenizer)
    if len(loaded) > config["text_config"]["vocab_size"]:
        raise AudioBertInputError(
            f"the tokenizer '{tokenizer}' has {len(loaded)} tokens, but the text tower of '{checkpoint}' knows "
            f"{config['text_config']['vocab_size']}; give the tokenizer that it was trained with ({LAION_TOKENIZER})."
        )
    config["text_config"]["pad_token_id"] = loaded.pad_token_id
    with staged_folder(output) as stage:
        save_file(weights, stage / "model.safetensors", metadata={"format": "pt"})
        (stage / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        loaded.save_pretrained(stage / TOKENIZER_FOLDER)
    return config


def _read_checkpoint(path: Path) -> Any:
    if not path.is_file():
        raise AudioBertInputError(f"there is no checkpoint file '{path}'.")
    # Numbers of the training run stand beside the weights as NumPy scalars, under the names of NumPy 1 or 2.
    scalar = np.float64(0).__reduce__()[0]
    numbers = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    kinds = [np.dtype, *{type(np.dtype(name)) for name in ("float64", "float32", "int64")}]
    try:
        with torch.serialization.safe_globals([*numbers, *kinds]):
            # The one place where a pickle is read: the published checkpoints are nothing else. weights_only refuses
            # everything but tensors, containers and the numbers above, so that no code of the file is run.
            return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except UnpicklingError as error:
        raise AudioBertInputError(
            f"'{path}' cannot be read safely: it holds more than tensors and plain values, or is no checkpoint of "
            f"PyTorch. Nothing of it was run. Give a checkpoint of laion-clap as it was published."
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise AudioBertInputError(f"the checkpoint '{path}' is damaged: {str(error).splitlines()[0]}") from error


def _weights(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the CLAP's tensors under the names that `laion_clap` gives them."""
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise AudioBertInputError(f"'{path}' is not a checkpoint of laion-clap: it holds no model's weights.")
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    # Positions that newer versions of transformers count by themselves.
    state.pop(f"{_TEXT}embeddings.position_ids", None)
    return {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}


def _describe(weights: dict[str, torch.Tensor], path: Path) -> dict[str, Any]:
    """Return the shape of a CLAP, told from its weights."""
    patches = weights.get("audio_branch.patch_embed.proj.weight")
    words = weights.get(f"{_TEXT}embeddings.word_embeddings.weight")
    if patches is None or words is None or len(patches) not in _AUDIO_MODELS:
        raise AudioBertInputError(
            f"'{path}' is not a CLAP of HTSAT ({', '.join(_AUDIO_MODELS.values())}) and RoBERTa; only these of "
            f"laion-clap's checkpoints can be used."
        )
    layers = {name.split(".")[3] for name in weights if name.startswith(f"{_TEXT}encoder.layer.")}
    positions = weights[f"{_TEXT}embeddings.position_embeddings.weight"]
    return {
        "model_type": LAION_CLAP,
        "audio_model": _AUDIO_MODELS[len(patches)],
        "enable_fusion": any(name.startswith("audio_branch.patch_embed.fusion_model.") for name in weights),
        "text_config": {
            "vocab_size": len(words),
            "hidden_size": words.shape[1],
            "num_hidden_layers": len(layers),
            "num_attention_heads": max(words.shape[1] // 64, 1),
            "intermediate_size": len(weights[f"{_TEXT}encoder.layer.0.intermediate.dense.weight"]),
            "max_position_embeddings": len(positions),
            "type_vocab_size": len(weights[f"{_TEXT}embeddings.token_type_embeddings.weight"]),
            "layer_norm_eps": 1e-5,
        },
    }
