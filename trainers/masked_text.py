"""Plain text for masked language modelling: lines read, gathered into batches, masked, and guessed again."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["MaskedTextCollator", "Masking", "TextBatches", "masked_token_accuracy", "read_lines"]

IGNORED = -100
_WINDOW = 4096


@dataclass
class Masking:
    """Which tokens are to be guessed, and what stands in their place.

    Args:
        share (`float`): of the tokens of a batch that are guessed, special tokens not counted.
        mask (`float`): share of those that become the mask token.
        random (`float`): share of those that become another token; the rest stays.
    """

    share: float = 0.2
    mask: float = 0.85
    random: float = 0.08


def read_lines(path: str | Path) -> list[str]:
    """Return the texts of a file, one a line, plain or gzipped; blank lines are left out.

    Raises:
        AudioBertInputError: the file is missing, is no UTF-8 text, or has no line.
    """
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as stream:
            lines = [line.strip() for line in stream if line.strip()]
    except FileNotFoundError as error:
        raise AudioBertInputError(
            f"there is no text file '{path}': give one with a text a line (.txt or .gz)."
        ) from error
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise AudioBertInputError(f"the text file '{path}' cannot be read: {error}. Save it as UTF-8 text.") from error
    if not lines:
        raise AudioBertInputError(f"the text file '{path}' has no lines: give one with a text a line.")
    return lines


class TextBatches(Dataset):
    """Batches of texts of similar length, so that little of a batch is padding; an entry is a batch.

    Args:
        texts (`Sequence[list[int]]`): token ids, special tokens included.
        tokens_per_batch (`int`): of the longest text times their number, at most; a longer text stands alone.
        seed (`int`): decides which texts come together.
    """

    def __init__(self, texts: Sequence[list[int]], tokens_per_batch: int, seed: int):
        order = np.random.default_rng(seed).permutation(len(texts)).tolist()
        self.batches: list[list[list[int]]] = []
        for start in range(0, len(order), _WINDOW):
            window = sorted((texts[index] for index in order[start : start + _WINDOW]), key=len)
            batch: list[list[int]] = []
            for text in window:
                if batch and len(text) * (len(batch) + 1) > tokens_per_batch:
                    self.batches.append(batch)
                    batch = []
                batch.append(text)
            if batch:
                self.batches.append(batch)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> list[list[int]]:
        return self.batches[index]


class MaskedTextCollator:
    """Entries of `TextBatches` to `input_ids`, `attention_mask`, and `labels` (-100 where nothing is guessed).

    Args:
        tokenizer (`PreTrainedTokenizerBase`): with padding and mask token.
        masking (`Masking`): what is hidden.
        generator (`torch.Generator`, *optional*): of the draws; torch's global one by default, as training needs it
            to resume exactly.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, masking: Masking, generator: torch.Generator | None = None):
        self.tokenizer = tokenizer
        self.masking = masking
        self.generator = generator
        self.special = torch.tensor(sorted(tokenizer.all_special_ids))

    def __call__(self, batches: Sequence[list[list[int]]]) -> dict[str, torch.Tensor]:
        texts = [text for batch in batches for text in batch]
        inputs = self.tokenizer.pad({"input_ids": texts}, return_tensors="pt")
        input_ids = inputs["input_ids"]
        plain = ~torch.isin(input_ids, self.special)
        guessed = plain & (self._draw(input_ids.shape) < self.masking.share)
        labels = input_ids.masked_fill(~guessed, IGNORED)
        fate = self._draw(input_ids.shape)
        becomes_mask = guessed & (fate < self.masking.mask)
        becomes_random = guessed & ~becomes_mask & (fate < self.masking.mask + self.masking.random)
        others = (self._draw(input_ids.shape) * len(self.tokenizer)).long()
        input_ids = torch.where(becomes_random, others, input_ids)
        input_ids = input_ids.masked_fill(becomes_mask, self.tokenizer.mask_token_id)
        return {"input_ids": input_ids, "attention_mask": inputs["attention_mask"], "labels": labels}

    def _draw(self, shape: torch.Size) -> torch.Tensor:
        return torch.rand(shape, generator=self.generator)


@torch.inference_mode()
def masked_token_accuracy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    lines: Sequence[str],
    masking: Masking,
    max_length: int = 128,
) -> dict[str, float | int]:
    """Return how many hidden tokens a masked language model guesses right; the same tokens for every model.

    Args:
        model: any masked language model of the tokenizer's vocabulary.
        lines (`Sequence[str]`): texts.
        masking (`Masking`): drawn with a fixed seed, so that models of one tokenizer are asked the same.
        max_length (`int`, *optional*, defaults to 128): tokens of a text; the rest is cut.

    Returns:
        `accuracy`, `cross_entropy` (nats), `tokens` (guessed) and `lines`.
    """
    model.eval()
    texts = tokenizer(list(lines), truncation=True, max_length=max_length)["input_ids"]
    collate = MaskedTextCollator(tokenizer, masking, torch.Generator().manual_seed(0))
    right, loss, count = 0, 0.0, 0
    for batch in tqdm(TextBatches(texts, 4096, seed=0), desc="guessing hidden tokens", unit="batch", disable=None):
        inputs = {name: tensor.to(model.device) for name, tensor in collate([batch]).items()}
        labels = inputs.pop("labels")
        wanted = labels != IGNORED
        logits = model(**inputs).logits[wanted].float()
        right += int((logits.argmax(dim=-1) == labels[wanted]).sum())
        loss += float(torch.nn.functional.cross_entropy(logits, labels[wanted], reduction="sum"))
        count += int(wanted.sum())
    if not count:
        raise AudioBertInputError("none of the lines has a token to hide: give longer texts.")
    return {"accuracy": right / count, "cross_entropy": loss / count, "tokens": count, "lines": len(lines)}
