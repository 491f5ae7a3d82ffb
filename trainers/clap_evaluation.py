"""Measuring CLAP: how well texts find clips, and clips texts, that it was not trained on."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import ClapModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.fingerprint import clap_fingerprint

from .audio_encoding import encode_keys, encode_texts, in_batches
from .audio_features import AudioFeatureCache, clap_features
from .audio_loading import load_audio
from .audio_model_saving import clip_facts
from .clap_loading import load_clap
from .clap_recipe import ClapRecipe
from .clip_sources import Clip, ClipSource, read_clips
from .clip_splits import split_clips
from .provenance import versions
from .recipe import RECIPE_FILE, load_recipe
from .retrieval_metrics import label_matches, label_retrieval, ranking_metrics, text_matches


__all__ = ["encode_cached_keys", "evaluate_clap", "measure_retrieval"]

QUERY_TEMPLATE = "{span} sound"


def evaluate_clap(
    model: str | os.PathLike,
    clips: str | os.PathLike,
    *,
    held_out: bool | None = None,
    query_template: str = QUERY_TEMPLATE,
    batch_size: int = 32,
) -> dict[str, Any]:
    """Return how well a CLAP finds clips by text, and texts by clip.

    A clip's key depends on the clip alone, so that the numbers depend on neither its neighbours nor the batch size,
    beyond rounding.

    Args:
        model (`str` or `Path`): a `ClapModel`, fused or not: a folder or Hub id.
        clips (`str` or `Path`): captioned clips; see `read_clips`.
        held_out (`bool`, *optional*):
            Whether to measure on the clips that the model's own recipe, in its folder, held out from its training:
            by recording, and by source where it names some, each by itself. By default, where there is a recipe;
            otherwise on all clips.
        query_template (`str`, *optional*): makes the query for a label.
        batch_size (`int`, *optional*, defaults to 32): clips at a time; changes the speed only.

    Returns:
        `dict`: `model` (its fingerprint), `clips` (counts, digest, licences), `parts` (`{name: metrics}`, see
        `measure_retrieval`; the names are `held_out_recordings`, `held_out_sources` or `all`), `query_template`,
        `versions`.

    Raises:
        AudioBertInputError: the model or the clips cannot be loaded, no clip is left to measure with, clips lack
            captions, or `held_out` is True and the model's folder holds no recipe of its training.
    """
    if "{span}" not in query_template:
        raise AudioBertInputError(f"the query template '{query_template}' does not contain {{span}}.")
    source = read_clips(clips)
    parts = _parts(model, source, held_out)
    clap, extractor, tokenizer = load_clap(model)
    measured = {}
    for name, part in parts.items():
        keys = _encode(clap, extractor, part, source, batch_size)
        measured[name] = measure_retrieval(clap, tokenizer, part, keys, query_template)
    return {
        "kind": "clap_evaluation",
        "model": clap_fingerprint(clap, extractor),
        "clips": {name: {"count": len(part), **clip_facts(part)} for name, part in parts.items()},
        "query_template": query_template,
        "parts": measured,
        "versions": versions(),
    }


def measure_retrieval(
    clap: ClapModel,
    tokenizer: PreTrainedTokenizerBase,
    clips: Sequence[Clip],
    keys: torch.Tensor,
    query_template: str | None = QUERY_TEMPLATE,
) -> dict[str, float]:
    """Return how well texts and clips find each other.

    Args:
        clap (`ClapModel`): in evaluation mode.
        clips (`Sequence[Clip]`): with captions.
        keys (`torch.FloatTensor` of shape `(num_clips, projection_dim)`): theirs.
        query_template (`str`, *optional*): makes the query for a label; None for the label itself.

    Returns:
        `dict[str, float]`: `text_to_audio_...`, each different caption a query, and `audio_to_text_...`, each clip a
        query and the different captions the candidates, with the names of `ranking_metrics` and the right answers of
        `text_matches`; where clips have labels, also what `label_retrieval` gives, by the query of each label.
    """
    captions = sorted({clip.caption for clip in clips if clip.caption})
    similarities = encode_texts(clap, tokenizer, captions) @ keys.T  # (num_captions, num_clips)
    right = text_matches(captions, clips)
    found = {
        **{f"text_to_audio_{name}": value for name, value in ranking_metrics(similarities, right).items()},
        **{f"audio_to_text_{name}": value for name, value in ranking_metrics(similarities.T, right.T).items()},
    }
    labels = sorted({clip.label for clip in clips if clip.label})
    if labels:
        queries = encode_texts(clap, tokenizer, [(query_template or "{span}").format(span=label) for label in labels])
        found |= label_retrieval(queries @ keys.T, label_matches(labels, clips))
    return found


def encode_cached_keys(clap: ClapModel, features: AudioFeatureCache, batch_size: int) -> torch.Tensor:
    """Return the keys of clips whose features are on disk; see `encode_keys`."""
    return in_batches(
        lambda batch: encode_keys(clap, torch.stack(batch)),
        map(features.__getitem__, range(len(features))),
        batch_size,
    )


def _parts(model: str | os.PathLike, source: ClipSource, held_out: bool | None) -> dict[str, list[Clip]]:
    recipe_file = Path(model) / RECIPE_FILE
    known = recipe_file.is_file()
    if held_out and not known:
        raise AudioBertInputError(
            f"'{model}' holds no {RECIPE_FILE} that would tell which clips it was not trained on; it is a folder only "
            f'where "audiobert train clap" wrote it. Measure on all clips instead (--all).'
        )
    if held_out is False or not known:
        parts = {"all": list(source.clips)}
    else:
        recipe = load_recipe(ClapRecipe, recipe_file)
        split = split_clips(source.clips, recipe.validation_share, recipe.seeds[0], recipe.held_out_sources)
        parts = {"held_out_recordings": split.recordings, "held_out_sources": split.sources}
    parts = {name: part for name, part in parts.items() if part}
    if not parts:
        raise AudioBertInputError(
            f"the recipe of '{model}' holds none of the {len(source)} clips of '{source.name}' out; measure on all of "
            f"them (--all)."
        )
    for clip in (clip for part in parts.values() for clip in part):
        if not clip.caption:
            raise AudioBertInputError(
                f"clip '{clip.id}' of '{source.name}' has no caption; retrieval is measured by captions. Add it, or "
                f"leave the clip out."
            )
    return parts


def _encode(clap: ClapModel, extractor, clips: Sequence[Clip], source: ClipSource, batch_size: int) -> torch.Tensor:
    bar = tqdm(clips, desc="encoding clips", unit="clip", disable=None)
    features = (clap_features(load_audio(source.file(clip), extractor.sampling_rate), extractor) for clip in bar)
    return in_batches(lambda batch: encode_keys(clap, torch.stack(batch)), features, batch_size)
