"""Filling masks with the evidence, for sentences as users write them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert.modeling_audiobert import AudioBertForMaskedLM, AudioFillMaskPipeline
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .masked_sentences import GAP, with_mask_token


__all__ = ["checked_sentence", "fill_masks", "hearing_pipeline", "uniform_answer"]


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
    hear = hearing_pipeline(name_or_path)
    sentences = [checked_sentence(text, hear) for text in texts]
    answers = hear(sentences, top_k=top_k)
    if len(sentences) == 1:
        answers = [answers]
    return [uniform_answer(sentence, answer) for sentence, answer in zip(sentences, answers, strict=True)]


def hearing_pipeline(name_or_path: str | Path) -> AudioFillMaskPipeline:
    """Return the pipeline of a saved AudioBERT, on the CPU.

    Raises:
        AudioBertInputError: the model cannot be loaded, or is no AudioBERT.
    """
    tokenizer = load_part(AutoTokenizer, name_or_path)
    model: AudioBertForMaskedLM = load_part(AutoModelForMaskedLM, name_or_path).eval()
    if model.config.model_type != "audiobert":
        raise AudioBertInputError(
            f"'{name_or_path}' is a {model.config.model_type} model, which does not hear. Make an AudioBERT of it: "
            f"audiobert train audiobert --config RECIPE language_model={name_or_path}"
        )
    return AudioFillMaskPipeline(model=model, tokenizer=tokenizer, device="cpu")


def checked_sentence(text: str, pipeline: AudioFillMaskPipeline) -> str:
    """Return a sentence with the tokenizer's mask token in its gaps.

    Raises:
        AudioBertInputError: it is empty, has no mask, or is longer than the model reads.
    """
    tokenizer = pipeline.tokenizer
    if not text.strip():
        raise AudioBertInputError(f"the sentence is empty. Write one with {GAP} in the place of one word.")
    sentence, _ = with_mask_token(text, tokenizer.mask_token)
    if tokenizer.mask_token not in sentence:
        raise AudioBertInputError(
            f"'{sentence[:80]}' has no {GAP}, so there is nothing to predict. Put {GAP} in the place of one word."
        )
    length = len(tokenizer(sentence)["input_ids"])
    limit = min(pipeline.model.config.get_text_config().max_position_embeddings, tokenizer.model_max_length)
    if length > limit:
        raise AudioBertInputError(
            f"'{sentence[:80]}' ... has {length} tokens, but the model reads {limit}. Shorten it."
        )
    return sentence


def uniform_answer(sentence: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Give the pipeline's answer to a sentence with one mask the shape of one with several; add the sentence."""
    lists = {
        name: answer[name] if isinstance(answer[name][0], list) else [answer[name]]
        for name in ("predictions", "hearing_off")
    }
    return {"text": sentence, **lists, "spans": answer["spans"]}
