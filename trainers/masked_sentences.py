"""AuditoryBench's sentences, whose gap is written `[MASK]`, for a tokenizer with a mask token of its own."""

from collections.abc import Iterable, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from audiobert.dataset_scripts.auditorybench.spans import MASK_TOKEN, gap_start
from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = [
    "GAP",
    "answer_pieces",
    "require_mask_token",
    "require_matching_vocabulary",
    "with_mask_token",
]

GAP = MASK_TOKEN


def with_mask_token(
    sentence: str, mask_token: str, spans: Iterable[tuple[int, int]] = ()
) -> tuple[str, list[tuple[int, int]]]:
    """Return the sentence with `mask_token` in its gap, and its character spans moved accordingly.

    Args:
        sentence (`str`): a sentence with its gap as `[MASK]`; any number of gaps.
        mask_token (`str`): the tokenizer's.
        spans (iterable of `(int, int)`, *optional*): half-open character ranges; -1 for none stays -1.
    """
    growth = len(mask_token) - len(GAP)

    def moved(position: int) -> int:
        return position + growth * sentence.count(GAP, 0, position) if position > 0 else position

    return sentence.replace(GAP, mask_token), [(moved(start), moved(end)) for start, end in spans]


def require_mask_token(tokenizer: PreTrainedTokenizerBase, name: str) -> str:
    """Return the tokenizer's mask token.

    Raises:
        AudioBertInputError: it has none.
    """
    if tokenizer.mask_token is None:
        raise AudioBertInputError(
            f"the tokenizer of '{name}' has no mask token; give a masked language model (BERT, RoBERTa, DistilBERT, "
            f"ModernBERT ...)."
        )
    return tokenizer.mask_token


def require_matching_vocabulary(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, name: str) -> None:
    """Check that tokenizer and model have about the same number of tokens.

    Models may have some embeddings more, unused, which make the matrix a rounder size.

    Raises:
        AudioBertInputError: the tokenizer has more tokens than the model, or less than nine tenths of them.
    """
    tokens, embeddings = len(tokenizer), model.get_input_embeddings().weight.shape[0]
    if not 0.9 * embeddings <= tokens <= embeddings:
        raise AudioBertInputError(
            f"the tokenizer of '{name}' has {tokens} tokens, but its model has {embeddings}: they do not belong "
            f"together. Put the model's own tokenizer files into its folder."
        )


def answer_pieces(tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], words: Sequence[str]) -> list[list[int]]:
    """Return the word pieces of each of `words` as they read in the gap of the row's sentence.

    Byte-level vocabularies (RoBERTa's, ModernBERT's) have other pieces for a word behind a space than for one that
    begins the sentence.
    """
    start = gap_start(row)
    space = " " if row["sentence"][:start].endswith(" ") else ""
    return tokenizer([space + word for word in words], add_special_tokens=False)["input_ids"]
