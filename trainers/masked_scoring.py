"""What a masked language model, AudioBERT among them, puts into gaps."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.head_positions import head_at, label_positions, prepare_head

from .answer_loss import IGNORED
from .hearing_settings import Evidence, HearingSettings
from .masked_questions import Question


__all__ = ["Answer", "MaskedReader", "answer_questions", "length_batches"]


@dataclass(frozen=True)
class Answer:
    """The answer to one row.

    Args:
        predicted (`str`): the text of it.
        correct (`bool`).
        evidence (`Evidence`): what was heard for it.
    """

    predicted: str
    correct: bool
    evidence: Evidence


@dataclass(frozen=True)
class MaskedReader:
    """A masked language model with what it takes to run it.

    Args:
        model (`PreTrainedModel`), tokenizer (`PreTrainedTokenizerBase`).
        batch_size (`int`): rows at a time; changes the speed only.
        settings (`HearingSettings`, *optional*): for an AudioBERT, what it is made to hear.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_size: int
    settings: HearingSettings | None = None

    def read(
        self, questions: Sequence[Question], what: Callable[[int, torch.Tensor], Any]
    ) -> dict[str | None, list[tuple[Any, Evidence]]]:
        """Return what is read from each question's gap, with the evidence, by setting of hearing (None without).

        The rows of a batch are of similar length, and logits are computed for the gaps alone, which saves time and
        changes nothing beyond rounding.

        Args:
            questions (`Sequence[Question]`).
            what: gets the position of a question among them and the logits of its gap, of shape
                `(num_pieces, vocab_size)`.
        """
        names = self.settings.names if self.settings else [None]
        readings: dict[str | None, list] = {name: [None] * len(questions) for name in names}
        # The same few sounds occur all over a benchmark; their queries would take half of the time.
        remembering = self.model.remembered_queries() if self.settings else nullcontext()
        with remembering, torch.inference_mode(), tqdm(total=len(questions), unit="row", disable=None) as progress:
            for batch in length_batches([len(question.input_ids) for question in questions], self.batch_size):
                asked = [questions[index] for index in batch]
                for name, logits, evidence in self._outputs(asked):
                    for place, index in enumerate(batch):
                        at_gap = logits[place, : len(asked[place].gap)]
                        readings[name][index] = (what(index, at_gap), evidence[place])
                progress.update(len(batch))
        return readings

    def _outputs(self, asked: Sequence[Question]) -> Iterator[tuple[str | None, torch.Tensor, list]]:
        """Yield each setting with its logits, `(batch_size, most_pieces, vocab_size)`, and the rows' evidence."""
        inputs = self.tokenizer.pad({"input_ids": [question.input_ids for question in asked]}, return_tensors="pt")
        padding = inputs["attention_mask"].argmax(dim=1).tolist()
        gaps = torch.full_like(inputs["input_ids"], IGNORED)
        for gap, shift, question in zip(gaps, padding, asked, strict=True):
            gap[[shift + position for position in question.gap]] = 0  # any token: only where they are counts
        inputs, gaps = inputs.to(self.model.device), gaps.to(self.model.device)
        if self.settings is not None:
            asked_for = {**inputs, "labels": gaps, "asked_logits_only": True}
            yield from self.settings.outputs(asked_for, asked, padding)
            return
        with prepare_head(self.model), head_at(self.model, label_positions(gaps)[0]):
            logits = self.model(**inputs).logits
        yield None, logits, [Evidence()] * len(asked)


def answer_questions(reader: MaskedReader, questions: Sequence[Question]) -> dict[str | None, list[Answer]]:
    """Return the answer to each question, its length given: the likeliest piece of the vocabulary at every mask.

    In the pitch task it is the likelier of the two words.
    """

    def pieces(index: int, at_gap: torch.Tensor) -> list[int]:
        choices = questions[index].choices
        if choices is None:
            return at_gap.argmax(dim=-1).tolist()
        return [choices[int(at_gap[0, choices].argmax())]]

    return {
        name: [
            Answer(reader.tokenizer.decode(given).strip(), given == question.answer, evidence)
            for question, (given, evidence) in zip(questions, of_setting, strict=True)
        ]
        for name, of_setting in reader.read(questions, pieces).items()
    }


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield the positions of rows in batches of rows of similar length."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
