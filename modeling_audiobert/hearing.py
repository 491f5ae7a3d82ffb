"""What a batch hears: spans detected, clips retrieved, sounds encoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from .audio_bank import AudioBank
from .errors import AudioBertInputError
from .injection import average_clips
from .retrieval import AudioBertRetriever, longest_query
from .sound_embedding import embed_sounds
from .span_detection import SpanDetectionMixin


__all__ = ["Heard", "HearingMixin"]


@dataclass
class Heard:
    """The evidence of a batch, and what it injects.

    Args:
        span_positions (`torch.LongTensor` of shape `(batch_size, num_spans, 2)`): -1 for none.
        clip_ids (`torch.LongTensor` of shape `(batch_size, num_spans, num_clips)`): -1 for none.
        similarities (`torch.FloatTensor` of that shape, *optional*): cosines.
        found (`torch.BoolTensor` of shape `(batch_size, num_spans)`): whether the span has a sound.
        values (`torch.FloatTensor` of shape `(batch_size, num_spans, value_dim)`): before the projection.
    """

    span_positions: torch.LongTensor
    clip_ids: torch.LongTensor
    similarities: torch.FloatTensor | None
    found: torch.BoolTensor
    values: torch.FloatTensor

    @property
    def rows(self) -> torch.BoolTensor:
        """Whether each row has a span with a sound; of shape `(batch_size,)`."""
        return self.found.any(dim=1)


class HearingMixin(SpanDetectionMixin):
    """The stages before the language model: detect, query, search, encode.

    Expects `clap_text` and `audio_encoder` on the model, beside what detection needs.
    """

    _remembered: dict[int, dict[str, tuple[torch.LongTensor, torch.FloatTensor]]] | None = None

    @contextmanager
    def remembered_queries(self) -> Iterator[None]:
        """Within it, each span text is asked of the bank once, however many batches it occurs in.

        For an evaluation: CLAP, bank and settings have to stay as they are.
        """
        before, self._remembered = self._remembered, {}
        try:
            yield
        finally:
            self._remembered = before

    @torch.no_grad()
    def embed_queries(self, span_texts: list[str]) -> torch.FloatTensor:
        """Return CLAP text embeddings, of shape `(num_spans, key_dim)`, of the queries for some span texts."""
        device = next(self.clap_text.parameters()).device
        config = self.config.clap_config
        if not span_texts:
            return torch.zeros(0, config.projection_dim, device=device)
        retriever = self._require_retriever("retrieve clips")
        encoding = retriever.encode_queries(span_texts, self.config.query_template, longest_query(config))
        return self.clap_text(**encoding.to(device)).text_embeds

    def encode_audio(self, audio_values: torch.FloatTensor) -> torch.FloatTensor:
        """Return the audio encoder's embeddings of some sounds.

        Args:
            audio_values (`torch.FloatTensor` of shape `(num_sounds, num_frames, num_mel_bins)`): input features.

        Returns:
            `torch.FloatTensor` of shape `(num_sounds, value_dim)`.
        """
        audio_values = audio_values.to(self.audio_encoder.dtype)
        return embed_sounds(self.audio_encoder, audio_values, self.config.audio_pooling)

    @property
    def bank(self) -> AudioBank:
        """The audio bank; assigning one made by other encoders is an `AudioBertInputError`."""
        return self._require_retriever("use an audio bank").bank

    @bank.setter
    def bank(self, bank: AudioBank) -> None:
        retriever = self._require_retriever("use an audio bank")
        self._note_encoder_changes()
        retriever.check_fingerprints(self.config, bank)
        retriever.bank = bank

    def _hear(
        self,
        inputs: dict,
        span_positions: torch.LongTensor | None,
        audio: tuple[torch.FloatTensor | None, torch.LongTensor | None],
        clips: tuple[torch.LongTensor | None, torch.FloatTensor | None],
    ) -> Heard:
        """Compute whatever of the evidence was not given."""
        spans = self.detect_spans(**inputs) if span_positions is None else span_positions
        _check_spans(spans, inputs["input_ids"])
        audio_values, audio_ids = audio
        clip_ids, similarities = clips
        if audio_values is not None:
            return self._hear_sounds(spans, audio_values, audio_ids, clip_ids, similarities)
        retriever = self._require_retriever("hear")
        if not spans.shape[1] and clip_ids is None:  # ordinary text asks nothing of the bank
            return _nothing_heard(spans, self.config.num_clips, retriever.bank.values)
        self._note_encoder_changes()
        retriever.check_fingerprints(self.config)
        if clip_ids is None:
            clip_ids, similarities = self.retrieve(inputs["input_ids"], spans)
        return self._hear_clips(spans, clip_ids, similarities)

    @torch.no_grad()
    def retrieve(
        self, input_ids: torch.LongTensor, spans: torch.LongTensor, num_clips: int | None = None
    ) -> tuple[torch.LongTensor, torch.FloatTensor]:
        """Return the clips that the bank holds for some spans.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`).
            spans (`torch.LongTensor` of shape `(batch_size, num_spans, 2)`): token ranges, -1 for none.
            num_clips (`int`, *optional*, defaults to `config.num_clips`): for each span, the best first.

        Returns:
            `clip_ids` (`torch.LongTensor`) and `similarities` (`torch.FloatTensor`), both of shape
            `(batch_size, num_spans, num_clips)`; -1 where there is no span or no clip that is similar enough.
        """
        retriever = self._require_retriever("retrieve clips")
        num_clips = num_clips or self.config.num_clips
        texts = [text for row in retriever.span_texts(input_ids, spans) for text in row]
        # One query for each text: in the pitch task the same few sounds occur all over a batch.
        order = {text: index for index, text in enumerate(dict.fromkeys(text for text in texts if text))}
        found_ids, found_similarities = self._clips_of(list(order), num_clips)
        shape = (*spans.shape[:2], num_clips)
        clip_ids = torch.full((len(texts), shape[2]), -1, dtype=torch.long, device=input_ids.device)
        similarities = torch.full((len(texts), shape[2]), -1.0, device=input_ids.device)
        asked = torch.tensor([bool(text) for text in texts], dtype=torch.bool, device=input_ids.device)
        which = torch.tensor([order[text] for text in texts if text], dtype=torch.long, device=input_ids.device)
        if len(which):
            clip_ids[asked] = found_ids.to(input_ids.device)[which]
            similarities[asked] = found_similarities.to(input_ids.device)[which]
        return clip_ids.view(shape), similarities.view(shape)

    def _clips_of(self, texts: list[str], num_clips: int) -> tuple[torch.LongTensor, torch.FloatTensor]:
        """Return clip ids and similarities of the texts, of shape `(num_texts, num_clips)`."""
        known = {} if self._remembered is None else self._remembered.setdefault(num_clips, {})
        new = [text for text in texts if text not in known]
        found = self.retriever.bank.search(self.embed_queries(new), num_clips, self.config.min_similarity)
        if self._remembered is None or not texts:
            return found.clip_ids, found.similarities
        known.update(zip(new, zip(found.clip_ids, found.similarities, strict=True), strict=True))
        clip_ids, similarities = zip(*(known[text] for text in texts), strict=True)
        return torch.stack(clip_ids), torch.stack(similarities)

    def _hear_clips(
        self, spans: torch.LongTensor, clip_ids: torch.LongTensor, similarities: torch.FloatTensor | None
    ) -> Heard:
        clip_ids = _as_three_dimensional("clip_ids", clip_ids, spans)
        return _heard(spans, clip_ids, similarities, clip_ids >= 0, self._clip_values(clip_ids))

    def _clip_values(self, clip_ids: torch.LongTensor) -> torch.FloatTensor:
        bank = self.retriever.bank
        if clip_ids.numel() and int(clip_ids.max()) >= len(bank):
            raise AudioBertInputError(
                f"clip_ids names clip {int(clip_ids.max())}, but the audio bank has {len(bank)} clips (from 0). Use "
                f"-1 for no clip."
            )
        # A bank without clips has no row to look up for "none" either.
        values = bank.values if len(bank) else bank.values.new_zeros(1, bank.values.shape[1])
        return values.to(clip_ids.device)[clip_ids.clamp(min=0)]

    def _hear_sounds(
        self,
        spans: torch.LongTensor,
        audio_values: torch.FloatTensor,
        audio_ids: torch.LongTensor | None,
        clip_ids: torch.LongTensor | None,
        similarities: torch.FloatTensor | None,
    ) -> Heard:
        if audio_values.ndim == 4:
            if audio_values.shape[:2] != spans.shape[:2]:
                raise AudioBertInputError(
                    f"audio_values of shape {tuple(audio_values.shape)} do not fit span_positions of shape "
                    f"{tuple(spans.shape)}: give one sound for each span."
                )
            audio_ids = torch.arange(spans.shape[0] * spans.shape[1], device=spans.device).view(spans.shape[:2])
            audio_values = audio_values.flatten(0, 1)
        elif audio_ids is None:
            raise AudioBertInputError("three-dimensional audio_values need audio_ids: which span hears which sound.")
        audio_ids = _as_three_dimensional("audio_ids", audio_ids, spans)
        if audio_ids.numel() and int(audio_ids.max()) >= len(audio_values):
            raise AudioBertInputError(
                f"audio_ids names sound {int(audio_ids.max())}, but audio_values holds {len(audio_values)} (from 0)."
            )
        values = self.encode_audio(audio_values)[audio_ids.clamp(min=0)]
        if clip_ids is None:
            clip_ids = torch.full_like(audio_ids, -1)
        clip_ids = _as_three_dimensional("clip_ids", clip_ids, spans)
        found = audio_ids >= 0
        if bool(((clip_ids >= 0) & ~found).any()):
            self._note_encoder_changes()
            self._require_retriever("hear clips").check_fingerprints(self.config)
            values = torch.where(found.unsqueeze(-1), values, self._clip_values(clip_ids).to(values.dtype))
            found = found | (clip_ids >= 0)
        return _heard(spans, clip_ids, similarities, found, values)

    def _require_retriever(self, purpose: str) -> AudioBertRetriever:
        if self.retriever is None:
            raise AudioBertInputError(
                f"this AudioBERT has no tokenizers and no audio bank, so it cannot {purpose}. Load it with "
                f"from_pretrained or from_parts, or pass span_positions and audio_values."
            )
        return self.retriever


def _nothing_heard(spans: torch.LongTensor, num_clips: int, values: torch.Tensor) -> Heard:
    shape = (len(spans), 0, num_clips)
    return Heard(
        spans,
        clip_ids=torch.empty(shape, dtype=torch.long, device=spans.device),
        similarities=torch.empty(shape, device=spans.device),
        found=torch.empty(shape[:2], dtype=torch.bool, device=spans.device),
        values=torch.empty(len(spans), 0, values.shape[1], dtype=values.dtype, device=spans.device),
    )


def _heard(
    spans: torch.LongTensor,
    clip_ids: torch.LongTensor,
    similarities: torch.FloatTensor | None,
    found: torch.BoolTensor,
    values: torch.FloatTensor,
) -> Heard:
    found = found & (spans[..., :1] >= 0)
    weights = torch.ones_like(found, dtype=torch.float32) if similarities is None else similarities
    weights = weights.view(found.shape).to(values.device)
    return Heard(spans, clip_ids, similarities, found.any(dim=-1), average_clips(values, weights, found))


def _as_three_dimensional(name: str, ids: torch.LongTensor, spans: torch.LongTensor) -> torch.LongTensor:
    ids = ids.to(spans.device)
    ids = ids.unsqueeze(-1) if ids.ndim == 2 else ids
    if ids.ndim != 3 or ids.shape[:2] != spans.shape[:2]:
        raise AudioBertInputError(
            f"{name} of shape {tuple(ids.shape)} does not fit span_positions of shape {tuple(spans.shape)}: give one "
            f"for each span."
        )
    return ids


def _check_spans(spans: torch.LongTensor, input_ids: torch.LongTensor) -> None:
    if spans.ndim != 3 or spans.shape[0] != input_ids.shape[0] or spans.shape[2] != 2:
        raise AudioBertInputError(
            f"span_positions has shape {tuple(spans.shape)}; for this batch it must be ({input_ids.shape[0]}, "
            f"num_spans, 2)."
        )
    start, end = spans.unbind(dim=-1)
    fits = (start == -1) | ((start >= 0) & (start < end) & (end <= input_ids.shape[1]))
    if not fits.all():
        row, column = (~fits).nonzero()[0].tolist()
        raise AudioBertInputError(
            f"span {column} of row {row} is given as tokens {int(start[row, column])} to {int(end[row, column])}, but "
            f"the row has {input_ids.shape[1]} tokens. Use -1 for a span that truncation cut off."
        )
