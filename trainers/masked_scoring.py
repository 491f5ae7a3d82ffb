"""What a masked language model, AudioBERT among them, answers to questions whose answer's length is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .masked_questions import Question


__all__ = ["Answer", "answer_questions", "length_batches"]


@dataclass(frozen=True)
class Answer:
    """The answer to one row.

    Args:
        predicted (`str`): the text of it.
        correct (`bool`).
        similarity (`float`, *optional*): of the nearest clip that was retrieved for it.
        clips (`list[str]`): ids of the clips heard.
    """

    predicted: str
    correct: bool
    similarity: float | None = None
    clips: list[str] = field(default_factory=list)


def answer_questions(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question], batch_size: int
) -> dict[str | None, list[Answer]]:
    """Return the answer to each question: under `"on"` and `"off"` for hearing, or under None.

    The rows of a batch are of similar length, which saves time and changes nothing else.
    """
    hears = model.config.model_type == "audiobert"
    answers: dict[str | None, list] = {
        hearing: [None] * len(questions) for hearing in (["on", "off"] if hears else [None])
    }
    with torch.inference_mode(), tqdm(total=len(questions), unit="row", disable=None) as progress:
        for batch in length_batches([len(question.input_ids) for question in questions], batch_size):
            asked = [questions[index] for index in batch]
            inputs = tokenizer.pad({"input_ids": [question.input_ids for question in asked]}, return_tensors="pt")
            for hearing, given in _answers(model, tokenizer, asked, inputs.to(model.device)).items():
                for index, answer in zip(batch, given, strict=True):
                    answers[hearing][index] = answer
            progress.update(len(batch))
    return answers


def length_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield the positions of rows in batches of rows of similar length."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _answers(model, tokenizer, asked: Sequence[Question], inputs) -> dict[str | None, list[Answer]]:
    padding = _left_padding(inputs)
    if model.config.model_type != "audiobert":
        logits = model(**inputs).logits
        return {None: [_answer(*row, tokenizer) for row in zip(asked, logits, padding, strict=True)]}
    output = model(**inputs, hearing=True, output_hearing_off=True)
    evidence = _evidence(model, output)
    return {
        "on": [
            _answer(*row, tokenizer, *heard)
            for *row, heard in zip(asked, output.logits, padding, evidence, strict=True)
        ],
        "off": [_answer(*row, tokenizer) for row in zip(asked, output.hearing_off_logits, padding, strict=True)],
    }


def _left_padding(inputs) -> list[int]:
    return inputs["attention_mask"].argmax(dim=1).tolist()


def _answer(
    question: Question,
    logits: torch.Tensor,
    padding: int,
    tokenizer: PreTrainedTokenizerBase,
    similarity: float | None = None,
    clips: Sequence[str] = (),
) -> Answer:
    """Judge one row's `logits`, of shape `(sequence_length, vocabulary_size)`."""
    at_gap = logits[[padding + position for position in question.gap]]
    if question.choices is None:
        pieces = at_gap.argmax(dim=-1).tolist()
    else:
        pieces = [question.choices[int(at_gap[0, question.choices].argmax())]]
    text = tokenizer.decode(pieces, skip_special_tokens=False).strip()
    return Answer(text, pieces == question.answer, similarity, list(clips))


def _evidence(model, output) -> list[tuple[float | None, list[str]]]:
    """Return, for each row, the similarity of the nearest clip heard, and the ids of all."""
    names = model.bank.descriptions["id"]
    rows = []
    for clips, similarities in zip(output.clip_ids.tolist(), output.similarities.tolist(), strict=True):
        heard = [
            (cosine, names[clip].as_py())
            for of_span in zip(clips, similarities, strict=True)
            for clip, cosine in zip(*of_span, strict=True)
            if clip >= 0
        ]
        rows.append((max(cosine for cosine, _ in heard) if heard else None, [name for _, name in heard]))
    return rows
