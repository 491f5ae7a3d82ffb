"""A saved AudioBERT to listen with: what each span could hear, and the answer when it hears something else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.span_decoding import span_character_range, span_token_range

from .audio_features import ast_features
from .audio_loading import Sound, load_audio
from .bank_sounds import BankSounds
from .prediction import checked_sentence, hearing_pipeline, uniform_answer


__all__ = ["Choice", "Listener"]

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


@dataclass(frozen=True)
class Choice:
    """What some characters of a sentence are to hear, instead of the clip that retrieval finds for them.

    With neither a clip nor a sound, they hear nothing.

    Args:
        start (`int`), end (`int`):
            Half-open character range in the `text` of an answer: a span that the model detects, or any other words. A
            detected span that reaches into other words chosen gives way to them.
        clip (`str`, *optional*): id of a clip of the model's audio bank.
        sound (`str`, `Path` or `bytes`, *optional*): an audio file of one's own.
        name (`str`, *optional*): what to call the sound.
    """

    start: int
    end: int
    clip: str | None = None
    sound: str | Path | bytes | None = None
    name: str | None = None


@dataclass
class _SpanInput:
    """What one span could hear, and what it does: positions in the bank, or a sound."""

    tokens: tuple[int, int]
    detected: bool
    candidates: list[tuple[int, float]]
    choice: Choice | None
    heard: list[tuple[int, float]] = field(default_factory=list)


class Listener:
    """A saved AudioBERT, loaded once, that tells what it hears in a sentence and lets something else be heard.

    Args:
        name_or_path (`str` or `Path`): a folder or Hub id.
        audio_dir (`str` or `Path`, *optional*):
            The folder that the bank's paths are relative to, for playing clips that the bank does not hold itself.

    Raises:
        AudioBertInputError: the model cannot be loaded or is no AudioBERT, or `audio_dir` is no folder.
    """

    def __init__(self, name_or_path: str | Path, audio_dir: str | Path | None = None):
        self.name = str(name_or_path)
        self._pipeline = hearing_pipeline(name_or_path)
        self._sounds = BankSounds(self.model.bank, audio_dir)

    @property
    def audio_dir(self) -> Path | None:
        """The folder of the bank's clips, if one was given."""
        return self._sounds.audio_dir

    @property
    def model(self):
        """The [`AudioBertForMaskedLM`]."""
        return self._pipeline.model

    @property
    def mask_token(self) -> str:
        """How the language model's tokenizer writes a mask, and so the `text` of an answer."""
        return self._pipeline.tokenizer.mask_token

    def words(self, text: str) -> list[tuple[int, int]]:
        """Return the character ranges of the words in an answer's `text` that can be chosen to hear something."""
        words = [match.span() for match in _WORD.finditer(text)]
        masks = [match.span() for match in re.finditer(re.escape(self.mask_token), text)]
        return [word for word in words if not any(_overlap(word, mask) for mask in masks)]

    @torch.no_grad()
    def listen(
        self,
        text: str,
        choices: Sequence[Choice] = (),
        hearing: bool = True,
        top_k: int = 5,
        num_candidates: int = 4,
    ) -> dict[str, Any]:
        """Return what the model predicts for a sentence, what it hears, and what it could hear instead.

        Args:
            text (`str`): a sentence with one or several `[MASK]`.
            choices (`Sequence[Choice]`, *optional*): what to hear instead; the last for the same characters counts.
            hearing (`bool`, *optional*, defaults to `True`): off, `predictions` are the language model's own.
            top_k (`int`, *optional*, defaults to 5): predictions for each mask.
            num_candidates (`int`, *optional*, defaults to 4): clips shown for each span.

        Returns:
            `dict`: what [`fill_masks`] returns (without choices, the same predictions), and for each of the `spans`
            beside `text`, `start`, `end`: **detected** (`bool`); **clips**, the nearest of the bank, best first, as
            the pipeline gives them, each with **heard** (`bool`); **sound** (`str`, *optional*): the name of the
            sound that is heard instead.

        Raises:
            AudioBertInputError: the sentence is empty, has no mask or is too long; a choice names characters outside
                it or without a word, a clip that the bank lacks, or an audio file that cannot be used.
        """
        sentence = checked_sentence(text, self._pipeline)
        inputs = self._pipeline.tokenizer(sentence, return_tensors="pt")
        spans = self._span_inputs(sentence, inputs, choices, num_candidates)
        # Not through the pipeline's own forward, which retrieves by itself.
        output = self.model(**inputs, **self._heard(spans), hearing=hearing, output_hearing_off=True)
        shown = {
            "input_ids": inputs["input_ids"],
            "logits": output.logits,
            "hearing_off_logits": output.hearing_off_logits,
        }
        answer = uniform_answer(sentence, self._pipeline.postprocess(shown, top_k=top_k))
        offsets = self._pipeline.tokenizer(sentence, return_offsets_mapping=True)["offset_mapping"]
        answer["spans"] = [self._shown_span(sentence, offsets, span) for span in spans]
        return answer

    def clip_sound(self, clip: str) -> Sound:
        """Return the sound of a clip of the bank, see [`BankSounds.sound`]."""
        return self._sounds.sound(clip)

    def clip_file(self, clip: str) -> Path | None:
        """Return where the file of a clip lies, see [`BankSounds.file`]."""
        return self._sounds.file(clip)

    def _span_inputs(
        self, sentence: str, inputs: dict[str, torch.Tensor], choices: Sequence[Choice], num_candidates: int
    ) -> list[_SpanInput]:
        chosen = {self._tokens(sentence, choice): choice for choice in choices}
        detected = {tuple(span) for span in self.model.detect_spans(**inputs)[0].tolist()}
        kept = {span for span in detected if not any(_overlap(span, other) for other in chosen if other != span)}
        ranges = sorted({*kept, *chosen})
        if not ranges:
            return []
        texts = self.model.retriever.span_texts(inputs["input_ids"], torch.tensor([ranges]))[0]
        queries = self.model.embed_queries(texts)
        found = self.model.bank.search(queries, max(num_candidates, self.model.config.num_clips))
        spans = []
        for row, tokens in enumerate(ranges):
            pairs = zip(found.clip_ids[row].tolist(), found.similarities[row].tolist(), strict=True)
            span = _SpanInput(tokens, tokens in detected, [pair for pair in pairs if pair[0] >= 0], chosen.get(tokens))
            span.heard = self._what_is_heard(span, queries[row])
            spans.append(span)
        return spans

    def _what_is_heard(self, span: _SpanInput, query: torch.Tensor) -> list[tuple[int, float]]:
        config, bank = self.model.config, self.model.bank
        if span.choice is None:
            return [pair for pair in span.candidates[: config.num_clips] if pair[1] >= config.min_similarity]
        if span.choice.clip is None:
            return []
        position = self._sounds.position(span.choice.clip)
        similarity = torch.nn.functional.cosine_similarity(query, bank.keys[position].to(query.device), dim=0)
        return [pair for pair in span.candidates if pair[0] == position] or [(position, float(similarity))]

    def _tokens(self, sentence: str, choice: Choice) -> tuple[int, int]:
        encoding = self._pipeline.tokenizer(sentence, return_offsets_mapping=True, return_tensors="pt")
        special = ~self.model.retriever.eligible_tokens(encoding["input_ids"])[0]  # the mask token among them
        offsets = encoding["offset_mapping"][0].tolist()
        tokens = span_token_range(offsets, choice.start, choice.end, special.tolist())
        if tokens is None:
            raise AudioBertInputError(
                f"characters {choice.start} to {choice.end} of '{sentence[:80]}' hold no word that could be heard. "
                f"Choose a word of the sentence."
            )
        return tokens

    def _heard(self, spans: list[_SpanInput]) -> dict[str, torch.Tensor]:
        """Return what `forward` takes to hear exactly what each span does."""
        depth = max((len(span.heard) for span in spans), default=0) or 1
        clip_ids = torch.full((1, len(spans), depth), -1)
        similarities = torch.full((1, len(spans), depth), -1.0)
        audio_ids = torch.full((1, len(spans), depth), -1)
        sounds = []
        for number, span in enumerate(spans):
            for rank, (clip, similarity) in enumerate(span.heard):
                clip_ids[0, number, rank], similarities[0, number, rank] = clip, similarity
            if span.choice is not None and span.choice.sound is not None:
                audio_ids[0, number, 0] = len(sounds)
                sounds.append(self._features(span.choice))
        positions = torch.tensor([[span.tokens for span in spans]], dtype=torch.long).view(1, len(spans), 2)
        heard = {"span_positions": positions, "clip_ids": clip_ids, "similarities": similarities}
        return heard | {"audio_values": torch.stack(sounds), "audio_ids": audio_ids} if sounds else heard

    def _features(self, choice: Choice) -> torch.Tensor:
        extractor = self.model.retriever.feature_extractor
        return ast_features(load_audio(choice.sound, extractor.sampling_rate, choice.name), extractor)

    def _shown_span(self, sentence: str, offsets: list, span: _SpanInput) -> dict[str, Any]:
        start, end = span_character_range(offsets, *span.tokens)
        heard = {position for position, _ in span.heard}
        beside = [pair for pair in span.heard if pair not in span.candidates]
        choice = span.choice
        return {
            "text": sentence[start:end],
            "start": start,
            "end": end,
            "detected": span.detected,
            "clips": [self._shown_clip(*pair, heard=pair[0] in heard) for pair in span.candidates + beside],
            "sound": None if choice is None or choice.sound is None else choice.name or "a sound of your own",
        }

    def _shown_clip(self, position: int, similarity: float, heard: bool) -> dict[str, Any]:
        clip = self.model.bank.clip(position)
        shown = {name: clip[name] for name in ("id", "caption", "label", "licence", "path")}
        return {**shown, "similarity": similarity, "heard": heard}


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
