"""Saving a trained audio model with all that is needed to use it, and a card of how it was made."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from audiobert.modeling_audiobert.atomic_files import staged_folder

from .clip_sources import Clip
from .model_card import CardFacts, write_model_card
from .provenance import rows_digest
from .training_run import write_metrics


__all__ = ["clip_facts", "save_audio_model"]


def save_audio_model(folder: Path, model: PreTrainedModel, companions: Sequence[Any], card: CardFacts, metrics: dict):
    """Write a model folder: weights, `companions` (tokenizer, feature extractor), model card, `metrics.json`.

    Raises:
        AudioBertInputError: the folder cannot be written to.
    """
    model.config._name_or_path = ""  # would carry the folder of whoever trained it
    for part in ("text_config", "audio_config"):
        if hasattr(model.config, part):
            getattr(model.config, part)._name_or_path = ""
    with staged_folder(folder) as stage:
        model.save_pretrained(stage)
        for companion in companions:
            companion.save_pretrained(stage)
        write_model_card(stage, card)
    write_metrics(metrics, folder)


def clip_facts(clips: Sequence[Clip]) -> dict[str, Any]:
    """Return what a card tells of the clips: a digest of their descriptions, and their licences."""
    rows = [{"id": clip.id, "path": clip.path, "caption": clip.caption, "label": clip.label} for clip in clips]
    licences = Counter(clip.licence or "not recorded" for clip in clips).most_common()
    return {
        "sha256 of the clips' ids, paths, captions and labels": rows_digest(rows),
        "licences of the clips": dict(licences),
    }
