"""What an AudioBERT is made to hear in an evaluation: as in use, or with other spans or clips, or nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from audiobert.modeling_audiobert import AudioBertForMaskedLM
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .clip_choice import ClipChoice
from .masked_questions import Question, annotated_spans


__all__ = ["DEFAULT_SETTINGS", "SETTINGS", "Evidence", "HearingSettings", "check_settings"]

SETTINGS: dict[str, tuple[str, str] | None] = {
    "off": None,
    "on": ("detected", "retrieved"),
    "random": ("detected", "random"),
    "oracle": ("detected", "oracle"),
    "gold": ("published", "retrieved"),
    "gold-random": ("published", "random"),
    "gold-oracle": ("published", "oracle"),
}
"""Setting → which spans hear, and which clips they hear; None: nothing is heard."""

DEFAULT_SETTINGS = ("on", "off")
_NONE = -1


@dataclass(frozen=True)
class Evidence:
    """What one row heard.

    Args:
        similarity (`float`, *optional*): of its nearest retrieved clip; None where none was retrieved.
        clips (`list[str]`): ids of all clips heard.
        right_label (`bool`, *optional*):
            Whether all of them are of the right label, see [`ClipChoice`]; None where nothing was heard.
    """

    similarity: float | None = None
    clips: list[str] = field(default_factory=list)
    right_label: bool | None = None


def check_settings(names: Sequence[str]) -> None:
    """Check the names of settings.

    Raises:
        AudioBertInputError: there is no such setting, or one occurs twice, or there are none.
    """
    for name in names:
        if name not in SETTINGS:
            raise AudioBertInputError(f"there is no setting of hearing '{name}'; give one of {', '.join(SETTINGS)}.")
    if not names or len(set(names)) < len(names):
        raise AudioBertInputError(f"the settings of hearing are {', '.join(names) or 'none'}; name each wanted once.")


class HearingSettings:
    """An AudioBERT, run under several settings of hearing.

    - `off`: nothing is heard; the language model as it is.
    - `on`: as in use; spans are detected, clips retrieved.
    - `random`: the spans that hear something under `on` hear clips drawn from the whole bank instead.
    - `oracle`: they hear clips of the right label, drawn; a span for which the bank has none keeps its retrieved clip.
    - `gold`, `gold-random`, `gold-oracle`: the same with the published spans instead of the detected ones.

    Args:
        model (`AudioBertForMaskedLM`).
        tokenizer: the language model's; for the published spans a fast one.
        names (`Sequence[str]`): of the settings.
        seed (`int`): of the drawn clips.
    """

    def __init__(
        self, model: AudioBertForMaskedLM, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], seed: int
    ):
        check_settings(names)
        self.names = list(names)
        self._model = model
        self._tokenizer = tokenizer
        self._choice = ClipChoice(model.bank, seed)
        self._clip_names = model.bank.descriptions["id"].to_pylist()

    def outputs(
        self, inputs: Any, asked: Sequence[Question], padding: Sequence[int]
    ) -> Iterator[tuple[str, torch.Tensor, list[Evidence]]]:
        """Yield each setting with the logits that the model returns, and the rows' evidence.

        Args:
            inputs: what the tokenizer's `pad` returned of the questions' `input_ids`, and further inputs of the model.
            asked (`Sequence[Question]`): the rows of the batch.
            padding (`Sequence[int]`): how many tokens of padding stand before each row.
        """
        for kind in ("detected", "published"):
            wanted = {SETTINGS[name][1]: name for name in self.names if SETTINGS[name] and SETTINGS[name][0] == kind}
            off_too = kind == "detected" and "off" in self.names
            if not wanted and not off_too:
                continue
            spans = None if kind == "detected" else self._published_spans(asked, padding).to(self._model.device)
            as_in_use = self._model(**inputs, span_positions=spans, hearing=True, output_hearing_off=off_too)
            if off_too:
                yield "off", as_in_use.hearing_off_logits, [Evidence()] * len(asked)
            texts = self._model.retriever.span_texts(inputs["input_ids"], as_in_use.span_positions)
            for clips, name in wanted.items():
                output = as_in_use
                if clips != "retrieved":
                    output = self._model(**inputs, **self._chosen(clips, asked, as_in_use, texts), hearing=True)
                yield name, output.logits, self._evidence(asked, output, texts, told=clips == "retrieved")

    def _published_spans(self, asked: Sequence[Question], padding: Sequence[int]) -> torch.LongTensor:
        most = self._model.config.max_spans
        rows = [annotated_spans(question.row, question, self._tokenizer)[:most] for question in asked]
        spans = torch.full((len(rows), max(map(len, rows), default=0), 2), _NONE)
        for place, (row, shift) in enumerate(zip(rows, padding, strict=True)):
            if row:
                spans[place, : len(row)] = torch.tensor(row) + shift
        return spans

    def _chosen(self, clips: str, asked: Sequence[Question], as_in_use, texts: list[list[str]]) -> dict:
        """Return what `forward` takes for the spans that hear something to hear other clips."""
        clip_ids, similarities = as_in_use.clip_ids.clone(), as_in_use.similarities.clone()
        count = clip_ids.shape[2]
        for place, (question, of_row) in enumerate(zip(asked, texts, strict=True)):
            for number, text in enumerate(of_row):
                if not text:
                    continue
                if clips == "random":
                    drawn = self._choice.random_clips(question.row["id"], number, count)
                else:
                    drawn = self._choice.oracle_clips(question.row, number, text, count)
                if drawn:
                    padded = drawn + [_NONE] * (count - len(drawn))
                    clip_ids[place, number] = torch.tensor(padded, device=clip_ids.device)
                    similarities[place, number] = 1.0  # they count alike
        return {"span_positions": as_in_use.span_positions, "clip_ids": clip_ids, "similarities": similarities}

    def _evidence(self, asked: Sequence[Question], output, texts: list[list[str]], told: bool) -> list[Evidence]:
        rows = []
        for place, (question, of_row) in enumerate(zip(asked, texts, strict=True)):
            ids, cosines = output.clip_ids[place].tolist(), output.similarities[place].tolist()
            spans = [number for number, text in enumerate(of_row) if text]
            heard = [[clip for clip in ids[number] if clip >= 0] for number in spans]
            found = [
                cosine
                for number in spans
                for clip, cosine in zip(ids[number], cosines[number], strict=True)
                if clip >= 0
            ]
            if not found:
                rows.append(Evidence())
                continue
            right = self._choice.are_right(question.row, [of_row[number] for number in spans], heard)
            names = [self._clip_names[clip] for of_span in heard for clip in of_span]
            rows.append(Evidence(max(found) if told else None, names, right))
        return rows
