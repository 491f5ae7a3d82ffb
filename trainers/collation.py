"""Rows of AuditoryBench to batches that hear: answers expanded, spans placed, clips retrieved, features collated."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from tqdm import tqdm
from transformers import BatchEncoding, PreTrainedTokenizerBase

from audiobert.modeling_audiobert import AudioBertForMaskedLM

from .answer_loss import IGNORED
from .audio_features import AudioFeatureCache
from .masked_questions import annotated_spans, questions_of
from .masked_sentences import GAP


__all__ = ["AudioBertCollator", "EncodedRow", "encode_rows", "retrieve_clips"]

NONE = -1

logger = logging.getLogger(__name__)


@dataclass
class EncodedRow:
    """One row as the collator takes it.

    Args:
        input_ids (`list[int]`): with as many mask tokens as the answer has word pieces.
        labels (`list[int]`): the answer's pieces at the mask tokens, -100 everywhere else.
        span_positions (`list[tuple[int, int]]`): half-open token ranges.
        clip_ids (`list[list[int]]`, *optional*): for each span its clips' positions in the bank, -1 for none.
        similarities (`list[list[float]]`, *optional*): in the same shape.
        opposite (`int`, *optional*): in a comparison, the token id of the wrong one of the two choices.
    """

    input_ids: list[int]
    labels: list[int]
    span_positions: list[tuple[int, int]]
    clip_ids: list[list[int]] | None = None
    similarities: list[list[float]] | None = None
    opposite: int | None = None


def encode_rows(
    rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int, max_spans: int
) -> list[EncodedRow]:
    """Return the rows whose sentence has exactly one gap, tokenized, with labels and annotated spans.

    The loss belongs to the answer's word pieces alone: the released code also takes it from padding and from every
    other token. Nobody is to learn to say "unknown", so unknown pieces have no label, and a row without any other is
    left out. Spans that are not in their sentence are left out.

    Args:
        rows: of the schema in `audiobert.dataset_scripts.auditorybench`.
        tokenizer: a fast one, with a mask token.
        max_length (`int`): the longest row, in tokens.
        max_spans (`int`): spans kept of a row, the first ones, as the model does.

    Raises:
        AudioBertInputError: a row is too long, or its answer has no word pieces.

    Source:
        arXiv 2409.08199, section II-B4.
    """
    asked = [row for row in rows if row["sentence"].count(GAP) == 1]
    encoded = [
        _encode_row(row, question, tokenizer, max_spans)
        for row, question in zip(asked, questions_of(asked, tokenizer, max_length), strict=True)
    ]
    known = [row for row in encoded if any(label != IGNORED for label in row.labels)]
    if len(known) < len(encoded):
        logger.info("%d rows left out: the vocabulary has no piece of their answer", len(encoded) - len(known))
    return known


def retrieve_clips(
    model: AudioBertForMaskedLM, rows: Sequence[EncodedRow], batch_size: int = 64, num_clips: int | None = None
) -> list[EncodedRow]:
    """Return the rows with the clips that the model retrieves for their spans; CLAP is frozen, so once is enough.

    Args:
        model: with its bank; asked as in use, with queries decoded from the spans' tokens.
        rows: from `encode_rows`.
        batch_size (`int`, *optional*, defaults to 64): queries at a time.
        num_clips (`int`, *optional*): for each span; by default as many as the model hears.
    """
    texts = [_span_texts(model, row) for row in rows]
    # One query for each text: the same few sounds occur all over a benchmark.
    places: dict[str, tuple[list[int], tuple[int, int]]] = {}
    for row, of_row in zip(rows, texts, strict=True):
        for span, text in zip(row.span_positions, of_row, strict=True):
            places.setdefault(text, (row.input_ids, span))
    asked, found = sorted(places, key=len), {}  # queries of like length, so that little is computed on padding
    with tqdm(total=len(asked), desc="retrieving clips", unit="query", disable=None) as progress:
        for start in range(0, len(asked), batch_size):
            batch = asked[start : start + batch_size]
            input_ids, spans = zip(*(places[text] for text in batch), strict=True)
            clips = model.retrieve(
                _pad(input_ids, 0).to(model.device), torch.tensor(spans)[:, None].to(model.device), num_clips
            )
            clip_ids, similarities = (of_spans[:, 0].tolist() for of_spans in clips)
            found |= dict(zip(batch, zip(clip_ids, similarities, strict=True), strict=True))
            progress.update(len(batch))
    return [
        replace(row, clip_ids=[found[text][0] for text in of_row], similarities=[found[text][1] for text in of_row])
        for row, of_row in zip(rows, texts, strict=True)
    ]


class AudioBertCollator:
    """Makes batches for [`AudioBertForMaskedLM`] of encoded rows with their retrieved clips.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): the language model's; its padding side and token are used.
        features (`AudioFeatureCache`, *optional*):
            Of the bank's clips, in the bank's order. Given, a batch brings the features of its clips, each clip once,
            so that the audio encoder is trained; left out, it brings clip ids, and the bank's values are injected.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, features: AudioFeatureCache | None = None):
        self.tokenizer = tokenizer
        self.features = features

    def __call__(self, rows: Sequence[EncodedRow]) -> BatchEncoding:
        """Return `input_ids`, `attention_mask`, `labels`, `span_positions`, `clip_ids`, `similarities`, and with
        features `audio_values`, `audio_ids`; for shapes and dtypes see [`AudioBertForMaskedLM.forward`]."""
        batch = self.tokenizer.pad({"input_ids": [row.input_ids for row in rows]}, return_tensors="pt")
        batch["labels"] = torch.full_like(batch["input_ids"], IGNORED)
        for labels, mask, row in zip(batch["labels"], batch["attention_mask"], rows, strict=True):
            labels[mask.bool()] = torch.tensor(row.labels)
        shift = self._left_padding(batch, rows)
        spans = _pad_spans([row.span_positions for row in rows])
        batch["span_positions"] = torch.where(spans >= 0, spans + shift[:, None, None], NONE)
        batch["clip_ids"] = _pad_clips([row.clip_ids for row in rows], spans.shape[1], NONE, torch.long)
        batch["similarities"] = _pad_clips([row.similarities for row in rows], spans.shape[1], -1.0, torch.float32)
        if self.features is not None and (batch["clip_ids"] >= 0).any():
            found, positions = batch["clip_ids"].unique(return_inverse=True)
            offset = int(found[0] == NONE)  # unique sorts, so "none" comes first if it occurs at all
            batch["audio_ids"] = positions - offset
            batch["audio_values"] = torch.stack([self.features[clip] for clip in found[offset:].tolist()])
        return batch

    def _left_padding(self, batch: BatchEncoding, rows: Sequence[EncodedRow]) -> torch.LongTensor:
        if self.tokenizer.padding_side == "right":
            return torch.zeros(len(rows), dtype=torch.long)
        return batch["input_ids"].shape[1] - batch["attention_mask"].sum(dim=1)


def _encode_row(row: dict[str, Any], question, tokenizer: PreTrainedTokenizerBase, max_spans: int) -> EncodedRow:
    labels = [IGNORED] * len(question.input_ids)
    for position, piece in zip(question.gap, question.answer, strict=True):
        labels[position] = piece if piece >= 0 else IGNORED
    wrong = [piece for piece in question.choices or () if piece != question.answer[0]]
    spans = annotated_spans(row, question, tokenizer)[:max_spans]
    return EncodedRow(question.input_ids, labels, spans, opposite=wrong[0] if wrong else None)


def _span_texts(model: AudioBertForMaskedLM, row: EncodedRow) -> list[str]:
    spans = _pad_spans([row.span_positions])
    return model.retriever.span_texts(torch.tensor([row.input_ids]), spans)[0]


def _pad(sequences: Sequence[Sequence[int]], value: int) -> torch.LongTensor:
    return torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(sequence) for sequence in sequences], batch_first=True, padding_value=value
    )


def _pad_spans(spans: Sequence[Sequence[tuple[int, int]]]) -> torch.LongTensor:
    width = max(map(len, spans), default=0)
    padded = [[*row, *[(NONE, NONE)] * (width - len(row))] for row in spans]
    return torch.tensor(padded, dtype=torch.long).reshape(len(spans), width, 2)


def _pad_clips(clips: Sequence[Sequence[Sequence]], width: int, value: float, dtype: torch.dtype) -> torch.Tensor:
    depth = max((len(span) for row in clips for span in row), default=1)
    padded = [[*row, *[[value] * depth] * (width - len(row))] for row in clips]
    return torch.tensor(padded, dtype=dtype).reshape(len(clips), width, depth)
