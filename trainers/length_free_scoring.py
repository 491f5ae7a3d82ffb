"""What a masked language model answers when the number of the answer's word pieces is not given away."""

from collections.abc import Sequence
from typing import Any

import torch

from audiobert.dataset_scripts.auditorybench.candidates import candidates_of

from .hearing_settings import Evidence
from .masked_questions import Question, resized
from .masked_scoring import Answer, MaskedReader, answer_questions
from .masked_sentences import GAP, answer_pieces


__all__ = ["MOST_PIECES", "answer_among_candidates", "answer_without_length"]

_Candidates = tuple[list[int], list[list[int]]]  # the numbers of candidates of one length, and their pieces

MOST_PIECES = 5
"""The longest answer that is tried, in word pieces."""


def answer_without_length(
    reader: MaskedReader, questions: Sequence[Question], max_length: int
) -> dict[str | None, list[Answer]]:
    """Return the answer to each question when its length is not given.

    Every number of mask tokens from 1 to 5 is tried; each is filled in one forward pass with the likeliest piece at
    every mask, and the number whose pieces have the highest mean log-probability is taken, the smaller of equals. The
    right answer takes no part; one of more than 5 pieces cannot be found. The pitch task compares two single words, so
    that nothing is given away there: it is answered as always.

    Args:
        questions: from `questions_of`.
        max_length (`int`): the longest input that the model reads, in tokens.

    Source:
        Jiang, Anastasopoulos, Araki, Ding and Neubig, X-FACTR: Multilingual Factual Knowledge Retrieval from
        Pretrained Language Models (EMNLP 2020), section 3: independent prediction, and the number of masks by
        confidence, normalised by length.
    """

    def filling(_: int, at_gap: torch.Tensor) -> tuple[float, list[int]]:
        log_probabilities, pieces = at_gap.float().log_softmax(dim=-1).max(dim=-1)
        return float(log_probabilities.double().mean()), pieces.tolist()

    open_places = [place for place, question in enumerate(questions) if question.choices is None]
    tried = [
        reader.read(
            [resized(questions[place], count, reader.tokenizer.mask_token_id, max_length) for place in open_places],
            filling,
        )
        for count in range(1, MOST_PIECES + 1)
    ]
    answers = _choice_answers(reader, questions)
    for name, of_setting in answers.items():
        for number, place in enumerate(open_places):
            (_, pieces), evidence = max(
                (lengths[name][number] for lengths in tried), key=lambda reading: reading[0][0]
            )
            text = reader.tokenizer.decode(pieces).strip()
            of_setting[place] = Answer(text, pieces == questions[place].answer, evidence)
    return answers


def answer_among_candidates(
    reader: MaskedReader, questions: Sequence[Question], train_answers: Sequence[str], max_length: int
) -> dict[str | None, list[Answer]]:
    """Return for each question the candidate whose word pieces have the highest mean log-probability.

    The candidates are the row's own choices, or all answers of the train split. Those of one length are scored in one
    forward pass, with as many mask tokens. A candidate with a piece that the vocabulary lacks is never taken; of
    equals the first one is. The pitch task is answered as always.

    Args:
        questions: from `questions_of`.
        train_answers (`Sequence[str]`): the candidates of rows without choices of their own.
        max_length (`int`): the longest input that the model reads, in tokens.

    Raises:
        AudioBertInputError: a row has no candidates, or is too long with them.
    """
    open_places = [place for place, question in enumerate(questions) if question.choices is None]
    pieces = _CandidatePieces(reader.tokenizer)
    candidates = {place: candidates_of(questions[place].row, train_answers) for place in open_places}
    by_length = {place: pieces.by_length(questions[place].row, candidates[place][0]) for place in open_places}
    best = _best_candidates(reader, questions, by_length, max_length)
    answers = _choice_answers(reader, questions)
    for name, of_setting in answers.items():
        for place in open_places:
            words, right = candidates[place]
            if place not in best.get(name, {}):  # the vocabulary lacks all of them
                of_setting[place] = Answer("", False, Evidence())
                continue
            _, negative_number, evidence = best[name][place]
            number = -negative_number
            of_setting[place] = Answer(words[number], right == number, evidence)
    return answers


def _best_candidates(
    reader: MaskedReader, questions: Sequence[Question], by_length: dict[int, dict[int, _Candidates]], max_length: int
) -> dict[str | None, dict[int, tuple[float, int, Evidence]]]:
    """Return setting → place of the question → score of its best candidate, its number made negative, and evidence."""
    best: dict[str | None, dict[int, tuple[float, int, Evidence]]] = {}
    for count in sorted({count for of_row in by_length.values() for count in of_row}):
        places = [place for place, of_row in by_length.items() if count in of_row]

        def scores(index: int, at_gap: torch.Tensor, places=places, count=count) -> tuple[float, int]:
            numbers, ids = by_length[places[index]][count]
            log_probabilities = at_gap.float().log_softmax(dim=-1)
            means = log_probabilities[torch.arange(count), torch.tensor(ids)].double().mean(dim=1)
            # Made negative, so that of equal scores the first candidate has the greater pair.
            return float(means.max()), -numbers[int(means.argmax())]

        asked = [resized(questions[place], count, reader.tokenizer.mask_token_id, max_length) for place in places]
        for name, readings in reader.read(asked, scores).items():
            found = best.setdefault(name, {})
            for place, (score, evidence) in zip(places, readings, strict=True):
                found[place] = max(found.get(place, (float("-inf"), 0, evidence)), (*score, evidence), key=_rank)
    return best


def _rank(found: tuple[float, int, Evidence]) -> tuple[float, int]:
    return found[:2]


def _choice_answers(reader: MaskedReader, questions: Sequence[Question]) -> dict[str | None, list[Any]]:
    """Answer the questions between two words; leave the places of the others empty."""
    places = [place for place, question in enumerate(questions) if question.choices is not None]
    names = reader.settings.names if reader.settings else [None]
    answers: dict[str | None, list[Any]] = {name: [None] * len(questions) for name in names}
    for name, given in answer_questions(reader, [questions[place] for place in places]).items():
        for place, answer in zip(places, given, strict=True):
            answers[name][place] = answer
    return answers


class _CandidatePieces:
    """The word pieces of candidates, made once for each way that a gap can follow what stands before it."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._known: dict[tuple[bool, tuple[str, ...]], dict] = {}

    def by_length(self, row: dict[str, Any], candidates: Sequence[str]) -> dict[int, _Candidates]:
        """Return number of pieces → the numbers of the candidates that have as many, and their pieces."""
        after_space = row["sentence"].partition(GAP)[0].endswith(" ")
        key = (after_space, tuple(candidates))
        if key not in self._known:
            lengths: dict[int, _Candidates] = {}
            for number, ids in enumerate(answer_pieces(self._tokenizer, row, candidates)):
                if ids and self._tokenizer.unk_token_id not in ids:
                    numbers, pieces = lengths.setdefault(len(ids), ([], []))
                    numbers.append(number)
                    pieces.append(ids)
            self._known[key] = lengths
        return self._known[key]
