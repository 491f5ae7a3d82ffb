"""The processor of AudioBERT: sentences, spans and sounds to tensors."""

from collections.abc import Sequence

import numpy as np
import torch
import transformers
from packaging.version import Version
from transformers import BatchEncoding, ProcessorMixin

from .errors import AudioBertInputError
from .span_decoding import span_token_range


__all__ = ["AudioBertProcessor"]


class AudioBertProcessor(ProcessorMixin):
    """Turns sentences, their spans and sounds into what [`AudioBertForMaskedLM`] takes.

    Args:
        tokenizer (`PreTrainedTokenizerFast`): the language model's.
        feature_extractor (`ASTFeatureExtractor` or alike): the audio encoder's.
    """

    if Version(transformers.__version__) < Version("5"):
        # transformers 5 takes them from the arguments, and warns of the names; this can go once it is the minimum.
        attributes = ["tokenizer", "feature_extractor"]
        tokenizer_class = "AutoTokenizer"
        feature_extractor_class = "AutoFeatureExtractor"

    def __init__(self, tokenizer=None, feature_extractor=None):
        super().__init__(tokenizer, feature_extractor)

    def __call__(
        self,
        text: str | Sequence[str],
        spans: Sequence[Sequence[tuple[int, int]]] | None = None,
        audio: Sequence[Sequence[np.ndarray]] | None = None,
        sampling_rate: int | None = None,
        **tokenizer_kwargs,
    ) -> BatchEncoding:
        """Return the tensors of a batch.

        Args:
            text (`str` or `list[str]`): sentences, with the tokenizer's mask token where a word is asked for.
            spans (`list[list[tuple[int, int]]]`, *optional*):
                For each sentence the half-open character ranges to hear. Left out, the model detects them. A range of
                which truncation left nothing, or that starts with -1, becomes "no span".
            audio (`list[list[np.ndarray]]`, *optional*):
                For each sentence one sound a span: float samples of shape `(num_samples,)`, mono. Needs `spans`.
            sampling_rate (`int`, *optional*): of `audio`, in Hz; must be the feature extractor's.
            **tokenizer_kwargs: passed to the tokenizer; `padding` and `truncation` default to True.

        Returns:
            `BatchEncoding` with the tokenizer's tensors; with `spans` also **span_positions** (`torch.LongTensor` of
            shape `(batch_size, num_spans, 2)`, token ranges, -1 for none); with `audio` also **audio_values**
            (`torch.FloatTensor` of shape `(num_sounds, num_frames, num_mel_bins)`) and **audio_ids**
            (`torch.LongTensor` of shape `(batch_size, num_spans)`: each span's row in `audio_values`, -1 for none).

        Raises:
            AudioBertInputError: counts of sentences, spans and sounds differ, or the sampling rate is not the
                feature extractor's.
        """
        sentences = [text] if isinstance(text, str) else list(text)
        settings = {"padding": True, "truncation": True, "return_tensors": "pt", **tokenizer_kwargs}
        if spans is None:
            if audio is not None:
                raise AudioBertInputError("audio was given without spans: say which words of the sentence it is for.")
            return self.tokenizer(sentences, **settings)
        encoding = self.tokenizer(sentences, return_offsets_mapping=True, return_special_tokens_mask=True, **settings)
        offsets = encoding.pop("offset_mapping").tolist()
        special = encoding.pop("special_tokens_mask").tolist()
        _check_counts("spans", spans, "sentences", sentences)
        encoding["span_positions"] = _token_positions(offsets, special, spans)
        if audio is not None:
            self._add_audio(encoding, audio, spans, sampling_rate)
        return encoding

    def _add_audio(self, encoding: BatchEncoding, audio: Sequence, spans: Sequence, sampling_rate: int | None) -> None:
        _check_counts("lists of sounds", audio, "sentences", spans)
        expected = self.feature_extractor.sampling_rate
        if sampling_rate != expected:
            raise AudioBertInputError(
                f"the sounds have sampling_rate={sampling_rate}, but the audio encoder hears {expected} Hz. Resample "
                f"them (librosa.resample), and pass sampling_rate={expected}."
            )
        sounds: list[np.ndarray] = []
        audio_ids = torch.full(encoding["span_positions"].shape[:2], -1, dtype=torch.long)
        for row, (row_sounds, row_spans) in enumerate(zip(audio, spans, strict=True)):
            _check_counts("sounds", row_sounds, f"spans of sentence {row}", row_spans)
            for column, sound in enumerate(row_sounds):
                if encoding["span_positions"][row, column, 0] >= 0:
                    audio_ids[row, column] = len(sounds)
                    sounds.append(np.asarray(sound, dtype=np.float32))
        if sounds:
            features = self.feature_extractor(sounds, sampling_rate=sampling_rate, return_tensors="pt")
            encoding["audio_values"] = features["input_values"]
            encoding["audio_ids"] = audio_ids


def _token_positions(offsets: list, special: list, spans: Sequence) -> torch.LongTensor:
    ranges = [
        [span_token_range(row_offsets, start, end, row_special) or (-1, -1) for start, end in row_spans]
        for row_offsets, row_special, row_spans in zip(offsets, special, spans, strict=True)
    ]
    width = max((len(row) for row in ranges), default=0)
    padded = [row + [(-1, -1)] * (width - len(row)) for row in ranges]
    return torch.tensor(padded, dtype=torch.long).reshape(len(ranges), width, 2)


def _check_counts(name: str, given: Sequence, per: str, expected: Sequence) -> None:
    if len(given) != len(expected):
        raise AudioBertInputError(f"{len(given)} {name} for {len(expected)} {per}: give one for each.")


AudioBertProcessor.register_for_auto_class()
