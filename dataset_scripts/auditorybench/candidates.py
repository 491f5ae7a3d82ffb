"""What a language model that fills no masks may answer: the candidates of a row, and the sentence with each in it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .overlap import sentence_key
from .spans import MASK_TOKEN, gap_start


__all__ = ["candidates_of", "filled_sentence", "train_answers"]


def train_answers(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the different answers of a train split, in alphabetical order.

    Answers that differ in case and white space only are one, written as they are most often.

    Args:
        rows: rows of a task's train split.
    """
    written: dict[str, Counter[str]] = {}
    for row in rows:
        answer = " ".join(row["answer"].split())
        written.setdefault(sentence_key(answer), Counter())[answer] += 1
    return [min(written[key], key=lambda form: (-written[key][form], form)) for key in sorted(written)]


def candidates_of(row: dict[str, Any], answers: Sequence[str]) -> tuple[list[str], int | None]:
    """Return what may stand in a row's gap, and the place of the right answer among it.

    Args:
        row: a row of AuditoryBench.
        answers (`Sequence[str]`): what `train_answers` gives, for rows without choices of their own.

    Returns:
        `(list[str], int | None)`: the row's own choices as they were published ("higher" and "lower" in the pitch
        task), else `answers`; and the first that equals the row's answer but for case and white space. None if there
        is none: whatever is answered is wrong then.

    Raises:
        AudioBertInputError: the row has no choices, and there are no answers.
    """
    candidates = list(row["choices"] or answers)
    if not candidates:
        raise AudioBertInputError(
            f"row '{row['id']}' has no choices, and there is no train split whose answers could be the candidates. "
            f"Give a benchmark with a train split, or rows with choices."
        )
    right = sentence_key(row["answer"])
    places = (place for place, candidate in enumerate(candidates) if sentence_key(candidate) == right)
    return candidates, next(places, None)


def filled_sentence(row: dict[str, Any], candidate: str) -> str:
    """Return the row's sentence with a candidate in its gap, nothing else changed.

    Raises:
        AudioBertInputError: the sentence has no gap, or several.
    """
    start = gap_start(row)
    return row["sentence"][:start] + candidate + row["sentence"][start + len(MASK_TOKEN) :]
