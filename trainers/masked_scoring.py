"""What a masked language model, AudioBERT among them, answers to questions whose answer's length is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .hearing_settings import Evidence, HearingSettings
from .masked_questions import Question


__all__ = ["Answer", "answer_questions", "length_batches"]


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


def answer_questions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    batch_size: int,
    settings: HearingSettings | None = None,
) -> dict[str | None, list[Answer]]:
    """Return the answer to each question, under the name of each setting of hearing; under None without settings.

    The rows of a batch are of similar length, which saves time and changes nothing else.
    """
    names = settings.names if settings else [None]
    answers: dict[str | None, list] = {name: [None] * len(questions) for name in names}
    with torch.inference_mode(), tqdm(total=len(questions), unit="row", disable=None) as progress:
        for batch in length_batches([len(question.input_ids) for question in questions], batch_size):
            asked = [questions[index] for index in batch]
            inputs = tokenizer.pad({"input_ids": [question.input_ids for question in asked]}, return_tensors="pt")
            inputs = inputs.to(model.device)
            padding = inputs["attention_mask"].argmax(dim=1).tolist()
            if settings:
                outputs = settings.outputs(inputs, asked, padding)
            else:
                outputs = [(None, model(**inputs).logits, [Evidence()] * len(batch))]
            for name, logits, evidence in outputs:
                for index, *row in zip(batch, asked, logits, padding, evidence, strict=True):
                    answers[name][index] = _answer(tokenizer, *row)
            progress.update(len(batch))
    return answers


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield the positions of rows in batches of rows of similar length."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _answer(
    tokenizer: PreTrainedTokenizerBase, question: Question, logits: torch.Tensor, padding: int, evidence: Evidence
) -> Answer:
    """Judge one row's `logits`, of shape `(sequence_length, vocabulary_size)`."""
    at_gap = logits[[padding + position for position in question.gap]]
    if question.choices is None:
        pieces = at_gap.argmax(dim=-1).tolist()
    else:
        pieces = [question.choices[int(at_gap[0, question.choices].argmax())]]
    return Answer(tokenizer.decode(pieces).strip(), pieces == question.answer, evidence)
