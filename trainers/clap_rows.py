"""Captioned clips as CLAP's training rows, and rows as batches."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from .audio_features import AudioFeatureCache
from .clip_sources import Clip


__all__ = ["CaptionRows", "ClapCollator", "are_class_like", "caption_spans"]

_HEARD = re.compile(r"\b[a-z]{3,}ing\b")


class CaptionRows(Dataset):
    """One row for each text of each clip: its caption, and the queries that its label and caption make.

    Args:
        features (`AudioFeatureCache`): of clips with captions.
        query_template (`str`, *optional*): with `{span}` for the label, or for what the caption says is heard.
    """

    def __init__(self, features: AudioFeatureCache, query_template: str | None):
        self.features = features
        numbers: dict[str, int] = {}
        self.rows: list[tuple[int, str, tuple[int, int]]] = []
        for index, clip in enumerate(features.clips):
            meaning = numbers.setdefault(clip.label or clip.caption, len(numbers))
            texts = [clip.caption]
            if query_template:
                texts += [query_template.format(span=span) for span in caption_spans(clip)]
            for text in dict.fromkeys(texts):
                self.rows.append((index, text, (meaning, numbers.setdefault(text, len(numbers)))))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> dict[str, Any]:
        index, text, same = self.rows[position]
        return {"input_features": self.features[index], "text": text, "same": same}


def caption_spans(clip: Clip) -> list[str]:
    """Return what of a clip a sentence might name: its label, and the caption's words in -ing ("roaring")."""
    words = _HEARD.findall(clip.caption.lower()) if clip.caption else []
    return [span for span in dict.fromkeys([clip.label, *words]) if span]


def are_class_like(clips: Sequence[Clip]) -> bool:
    """Return whether captions name kinds of sound, not single clips: on average at least two clips share one."""
    return 2 * len({clip.caption for clip in clips}) <= len(clips)


@dataclass
class ClapCollator:
    """Rows to a batch: `input_ids`, `attention_mask`, `input_features`, and `same` of shape `(batch_size, 2)`, with
    equal numbers in a column for rows of one label (without labels, one caption), and for rows of one text.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        tokens = self.tokenizer(
            [row["text"] for row in rows],
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        return {
            **tokens,
            "input_features": torch.stack([row["input_features"] for row in rows]),
            "same": torch.tensor([row["same"] for row in rows]),
        }
