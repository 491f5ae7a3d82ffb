"""Filling masks with the evidence, for sentences as users write them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert.modeling_audiobert import AudioFillMaskPipeline
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .masked_sentences import GAP, with_mask_token


__all__ = ["fill_masks"]


def fill_masks(name_or_path: str | Path, texts: Sequence[str], top_k: int = 5) -> list[dict[str, Any]]:
    """Return the predictions of a saved AudioBERT for some sentences, with hearing on and off, and what was heard.

    Args:
        name_or_path (`str` or `Path`): a folder or Hub id.
        texts (`Sequence[str]`): sentences with one or several `[MASK]`, or the model's own mask token.
        top_k (`int`, *optional*, defaults to 5): predictions for each mask.

    Returns:
        For each sentence a `dict` as of [`AudioFillMaskPipeline`], `predictions` and `hearing_off` always a list for
        each mask, with its `text` added.

    Raises:
        AudioBertInputError: the model cannot be loaded or is no AudioBERT, or a sentence has no mask or is too long.
    """
    tokenizer = load_part(AutoTokenizer, name_or_path)
    model = load_part(AutoModelForMaskedLM, name_or_path).eval()
    if model.config.model_type != "audiobert":
        raise AudioBertInputError(
            f"'{name_or_path}' is a {model.config.model_type} model, which does not hear. Make an AudioBERT of it: "
            f"audiobert train audiobert --config RECIPE language_model={name_or_path}"
        )
    sentences = [with_mask_token(text, tokenizer.mask_token)[0] for text in texts]
    for sentence in sentences:
        _check(sentence, tokenizer, model.config.get_text_config().max_position_embeddings)
    answers = AudioFillMaskPipeline(model=model, tokenizer=tokenizer, device="cpu")(sentences, top_k=top_k)
    if len(sentences) == 1:
        answers = [answers]
    return [_uniform(sentence, answer) for sentence, answer in zip(sentences, answers, strict=True)]


def _check(sentence: str, tokenizer, limit: int) -> None:
    if tokenizer.mask_token not in sentence:
        raise AudioBertInputError(
            f"'{sentence[:80]}' has no {GAP}, so there is nothing to predict. Put {GAP} in the place of one word."
        )
    length = len(tokenizer(sentence)["input_ids"])
    limit = min(limit, tokenizer.model_max_length)
    if length > limit:
        raise AudioBertInputError(
            f"'{sentence[:80]}' ... has {length} tokens, but the model reads {limit}. Shorten it."
        )


def _uniform(sentence: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Give a sentence with one mask the shape of one with several."""
    lists = {
        name: answer[name] if isinstance(answer[name][0], list) else [answer[name]]
        for name in ("predictions", "hearing_off")
    }
    return {"text": sentence, **lists, "spans": answer["spans"]}
