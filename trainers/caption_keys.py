"""Keys that are made from the clips' captions instead of their sounds."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm
from transformers import ClapModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.atomic_files import output_errors, staged_folder, undo_interrupted
from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_encoding import encode_tokens, text_tokens
from .bank_assembly import SKIPPED_FILE, has_caption
from .bank_encoding import single_threaded
from .bank_search import load_bank_clap
from .clap_evaluation import QUERY_TEMPLATE


__all__ = ["caption_keys", "key_by_captions", "save_keyed_by_captions", "with_caption_keys"]

logger = logging.getLogger(__name__)

# Texts whose tokens are held at once; so many also take long enough for a bar.
_BATCH = 256


def key_by_captions(bank: AudioBank | str | os.PathLike, clap: str | os.PathLike) -> AudioBank:
    """Return a bank that is searched by its clips' captions: text is compared with text, and no sound is.

    This is ours. The paper compares the query with the clips' sounds (arXiv 2409.08199, eq. 1), which stays the
    default; a CLAP that learned from few clips may find the right clip more often by its caption. What a model hears,
    the values, is the same either way.

    A clip's key is CLAP's text embedding of its caption. Where the clip has a label, it is the mean, brought to norm
    1, of that and of the embedding of "{label} sound": a query is "{span} sound", which resembles a caption less than
    it resembles the same form about the label, while the caption tells what the label does not ("roaring").

    **Equal keys.** Clips with the same caption and label have the same key, bit for bit, so a query is equally near to
    all of them. Exact search then takes the earliest in the bank, always, so that with `top_k` of 1 the others are
    never heard. An index gives candidates, of which the earliest is taken; which of the equal clips are among the
    candidates is up to the index. HNSW reaches few of many equal keys, and then refuses for want of recall.

    Args:
        bank (`AudioBank`, `str` or `Path`): or where it was saved; it stays as it is.
        clap (`str` or `Path`): the CLAP that the bank was built with, a folder or Hub id.

    Returns:
        `AudioBank`: with these keys, the `key_source` "captions", and no index.

    Raises:
        AudioBertInputError: there is no such bank or CLAP, the bank is damaged, its keys were made by another CLAP, or
            a clip has no caption.
    """
    loaded = bank if isinstance(bank, AudioBank) else AudioBank.load(bank, index="exact")
    loaded.verify()
    _check_captions(loaded, bank)
    model, tokenizer = load_bank_clap(loaded, bank, clap)
    if not len(loaded):
        return loaded.with_keys(torch.zeros_like(loaded.keys), "captions")
    return loaded.with_keys(caption_keys(loaded.descriptions, model, tokenizer), "captions")


def save_keyed_by_captions(bank: str | os.PathLike, clap: str | os.PathLike, output: str | os.PathLike) -> AudioBank:
    """Save a bank with keys from its captions into another folder; see `key_by_captions`.

    Args:
        bank (`str` or `Path`): a folder, or the id of a repository on the Hub.
        clap (`str` or `Path`): the CLAP that the bank was built with.
        output (`str` or `Path`): a new or empty folder. An index is not taken along: it is one of other keys.

    Raises:
        AudioBertInputError: as of `key_by_captions`; or the output holds something already or cannot be written to.
    """
    output = Path(output)
    with output_errors(output):
        undo_interrupted(output)
        if output.is_file() or (output.is_dir() and any(output.iterdir())):
            raise AudioBertInputError(f"'{output}' holds something already; give a new or empty folder.")
    with staged_folder(output) as stage:  # made first: whether it can be written to is soon known
        key_by_captions(bank, clap).save(stage)
        if (Path(bank) / SKIPPED_FILE).is_file():
            shutil.copyfile(Path(bank) / SKIPPED_FILE, stage / SKIPPED_FILE)
    keyed = AudioBank.load(output)
    logger.info("%d clips in %s, keyed by captions", len(keyed), output)
    return keyed


def caption_keys(clips: pa.Table, clap: ClapModel, tokenizer: PreTrainedTokenizerBase) -> torch.FloatTensor:
    """Return the keys that the captions and labels of some clips make.

    Each different text is encoded once, and by itself on one thread, so that a clip's key depends on its own caption
    and label alone.

    Args:
        clips (`pyarrow.Table`): at least one, with columns `caption` and `label`; none lacks a caption.
        clap (`ClapModel`): in evaluation mode.

    Returns:
        `torch.FloatTensor` of shape `(num_clips, key_dim)`, float32 on the CPU, norm 1.
    """
    captions, labels = (clips[name].to_pylist() for name in ("caption", "label"))
    asked = [QUERY_TEMPLATE.format(span=label) if label and label.strip() else None for label in labels]
    numbers: dict[str, int] = {}
    # A clip without a label has its caption twice, which makes a key of the same direction.
    pairs = [
        (numbers.setdefault(caption, len(numbers)), numbers.setdefault(text or caption, len(numbers)))
        for caption, text in zip(captions, asked, strict=True)
    ]
    embeddings = _encode_singly(list(numbers), clap, tokenizer)
    of_caption, of_label = torch.tensor(pairs).T
    return torch.nn.functional.normalize(embeddings[of_caption] + embeddings[of_label], dim=1)


def with_caption_keys(
    pieces: Iterable[tuple[pa.Table, np.ndarray, np.ndarray]], clap: ClapModel, tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[pa.Table, np.ndarray, np.ndarray]]:
    """Yield pieces of a bank, as `write_bank` takes them, with keys from captions in the place of theirs."""
    for clips, _, values in pieces:
        yield clips, caption_keys(clips, clap, tokenizer).numpy(), values


def _check_captions(bank: AudioBank, source: AudioBank | str | os.PathLike) -> None:
    table = bank.descriptions.select(["id", "caption"]).to_pydict()
    without = [name for name, caption in zip(*table.values(), strict=True) if not has_caption(caption)]
    if without:
        name = f"audio bank of {len(bank)} clips" if isinstance(source, AudioBank) else f"audio bank '{source}'"
        raise AudioBertInputError(
            f"clip '{without[0]}' of the {name} has no caption to make a key from ({len(without)} of {len(bank)} "
            f'clips have none). Remove them from a copy of the bank ("audiobert bank remove"), or build the bank from '
            f"a source that describes every clip."
        )


def _encode_singly(texts: Sequence[str], clap: ClapModel, tokenizer: PreTrainedTokenizerBase) -> torch.FloatTensor:
    on_cpu = next(clap.parameters()).device.type == "cpu"
    rows = []
    with (
        single_threaded() as num_threads,
        ThreadPoolExecutor(num_threads if on_cpu else 1) as pool,
        tqdm(
            total=len(texts), desc="encoding texts", unit="text", disable=None if len(texts) > _BATCH else True
        ) as bar,
    ):
        for start in range(0, len(texts), _BATCH):
            # Here, since a tokenizer serves one thread at a time.
            tokens = [text_tokens(clap, tokenizer, [text]) for text in texts[start : start + _BATCH]]
            for row in pool.map(partial(encode_tokens, clap), tokens):
                rows.append(row)
                bar.update()
    return torch.cat(rows)
