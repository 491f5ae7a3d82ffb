"""Which candidate rows are fit for the benchmark (arXiv 2409.08199, section II-A), and why the others are not."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from audiobert.dataset_scripts.auditorybench.overlap import sentence_key
from audiobert.dataset_scripts.auditorybench.rows import PITCH_CHOICES
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, PITCH
from audiobert.dataset_scripts.auditorybench.spans import MASK_TOKEN, NOT_FOUND, locate_span
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .near_duplicates import NEAR_DUPLICATE_SIMILARITY, near_duplicate_rows


__all__ = ["FilterSettings", "FilteredRows", "filter_rows", "pitch_difference", "read_blocked_answers"]

logger = logging.getLogger(__name__)

_BLOCKED_ANSWERS = Path(__file__).with_name("blocked_answers.txt")
_SPANS_OF_TASKS = {ANIMAL: 1, PITCH: 2}


@dataclass(frozen=True)
class FilterSettings:
    """What a row must be like.

    Attributes:
        min_difference (`float`): the relative difference of two pitches must be above it (the paper: 10 %).
        blocked_answers (`frozenset[str]`): answers that are dropped, in lower case, in the singular.
        near_duplicate_similarity (`float`): see `near_duplicate_rows`.
        dropped (`frozenset[str]`): ids of rows to drop, as a review names them.
    """

    min_difference: float = 0.1
    blocked_answers: frozenset[str] = field(default_factory=lambda: read_blocked_answers())
    near_duplicate_similarity: float = NEAR_DUPLICATE_SIMILARITY
    dropped: frozenset[str] = frozenset()

    def __post_init__(self):
        if not self.min_difference >= 0:
            raise AudioBertInputError(f"a pitch difference of {self.min_difference} is none; give 0 or more.")
        if not 0 < self.near_duplicate_similarity <= 1:
            raise AudioBertInputError(
                f"a similarity of {self.near_duplicate_similarity} cannot be; give one above 0, up to 1."
            )


@dataclass(frozen=True)
class FilteredRows:
    """What the filter decided.

    Attributes:
        kept (`list[dict]`): in their order; pitch rows with the measured `answer`, `average_pitch_hz` (one a span) and
            `pitch_difference`.
        rejects (`list[dict]`): the others, as they came, each with its `reason`, and a `detail` where there is more to
            say.
    """

    kept: list[dict] = field(default_factory=list)
    rejects: list[dict] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were rejected for what, the most frequent reason first."""
        return dict(Counter(row["reason"] for row in self.rejects).most_common())


def read_blocked_answers(path: str | Path | None = None) -> frozenset[str]:
    """Return the answers of a block list: one a line, `#` before comments.

    Args:
        path (`str` or `Path`, *optional*):
            By default, the list that comes with the package: what no recording can be of, such as "zombie".

    Raises:
        AudioBertInputError: the file cannot be read as UTF-8 text.
    """
    try:
        text = Path(path or _BLOCKED_ANSWERS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise AudioBertInputError(f"cannot read the block list '{path}': {reason}. Give another file.") from error
    lines = (line.partition("#")[0].strip().casefold() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def pitch_difference(first_hz: float, second_hz: float) -> float:
    """Return how far two pitches are apart, as a share of the first: `difference_percentage` of the first release."""
    return abs(first_hz - second_hz) / first_hz


def filter_rows(
    rows: Iterable[dict], pitches: Iterable[Mapping] | None = None, settings: FilterSettings | None = None
) -> FilteredRows:
    """Sort out the candidate rows that a benchmark can do without.

    A row is kept if its sentence has exactly one `[MASK]`, its spans stand in the sentence (one in the animal task,
    two that do not overlap in the pitch task), its answer is neither blank, nor in a span or elsewhere in the
    sentence, nor blocked, it repeats no earlier row in nearly the same words, and, in the pitch task, both clips have
    a pitch, their relative difference is large enough, and the language model's answer agrees with it.

    Args:
        rows (`Iterable[dict]`):
            Candidates: `id`, `task`, `sentence`, `answer` and `spans` (texts), and for pitch rows `clip_ids` (one a
            span); the language model's answer is `llm_answer`, or where that is missing, `answer`.
        pitches (`Iterable[Mapping]`, *optional*):
            `id` of a clip and its `average_pitch_hz`, None for no pitch; what `measure_clips` returns. Needed where
            rows compare pitches.
        settings (`FilterSettings`, *optional*):
            The thresholds.

    Returns:
        `FilteredRows`: every row is in exactly one of its lists.

    Raises:
        AudioBertInputError: a row lacks a field or has a wrong one, an id stands twice, a task is unknown, or there
            are pitch rows without `pitches`.
    """
    rows, settings = list(rows), settings or FilterSettings()
    _check_fields(rows)
    known = None if pitches is None else {pitch["id"]: pitch["average_pitch_hz"] for pitch in pitches}
    if known is None and any(row["task"] == PITCH for row in rows):
        raise AudioBertInputError("there are rows that compare pitches: give the clips' pitches ('construct pitch').")
    fit, rejects = [], {}
    for row in rows:
        measured = _measured(row, known) if row["task"] == PITCH else row
        fault = _fault(row, settings) or (_pitch_fault(measured, settings) if row["task"] == PITCH else None)
        if fault:
            rejects[row["id"]] = row | fault
        else:
            fit.append(measured)
    kept = []
    repeats = _repeats(fit, settings.near_duplicate_similarity)
    originals = {row["id"]: row for row in rows}
    for row in fit:
        if row["id"] in repeats:
            fault = {"reason": "nearly the same as an earlier row", "detail": repeats[row["id"]]}
            rejects[row["id"]] = originals[row["id"]] | fault
        else:
            kept.append(row)
    result = FilteredRows(kept, [rejects[row["id"]] for row in rows if row["id"] in rejects])
    logger.info("%d of %d rows kept; rejected: %s", len(kept), len(rows), result.reasons)
    return result


def _fault(row: dict, settings: FilterSettings) -> dict | None:
    """Return why the text of a row is unfit, or None."""
    sentence, answer, spans = row["sentence"], row["answer"].strip(), row["spans"]
    masks, places = sentence.count(MASK_TOKEN), [locate_span(sentence, span) for span in spans]
    text = sentence.replace(MASK_TOKEN, " ")
    checks = (
        (row["id"] in settings.dropped, "dropped in a review", None),
        (masks != 1, "not exactly one [MASK]", f"{masks}"),
        (not answer, "the answer is blank", None),
        (len(spans) != _SPANS_OF_TASKS[row["task"]], "wrong number of spans", f"{len(spans)}"),
        (NOT_FOUND in places, "a span is not in the sentence", _first_missing(spans, places)),
        (_overlap(places), "the spans overlap", None),
        (_names(answer, " ".join(spans)), "the answer is in a span", answer),
        (_names(answer, text), "the answer is in the sentence", answer),
        (_is_blocked(answer, settings.blocked_answers), "the answer is blocked", answer),
    )
    return _first(checks)


def _pitch_fault(row: dict, settings: FilterSettings) -> dict | None:
    """Return why the measured pitches speak against a row that compares them, or None."""
    if None in row["average_pitch_hz"]:
        clip = row["clip_ids"][row["average_pitch_hz"].index(None)]
        return {"reason": "a clip has no pitch", "detail": clip}
    difference = row["pitch_difference"]
    said = str(row.get("llm_answer") or "").strip().lower()
    checks = (
        (difference <= settings.min_difference, "the pitches are too near", f"{100 * difference:.2f} %"),
        (said not in PITCH_CHOICES, "the language model says neither higher nor lower", said),
        (said != row["answer"], "the language model contradicts the measurement", f"{said}, {row['answer']}"),
    )
    return _first(checks)


def _measured(row: dict, known: Mapping[str, float | None]) -> dict:
    """Return a pitch row with what was measured; the difference is None where a pitch is."""
    pitches = [known.get(clip) for clip in row["clip_ids"]]
    found = {"average_pitch_hz": pitches, "pitch_difference": None, "llm_answer": row.get("llm_answer", row["answer"])}
    if None not in pitches:
        first, second = pitches
        found |= {"pitch_difference": pitch_difference(first, second)}
        found |= {"answer": PITCH_CHOICES[0] if first > second else PITCH_CHOICES[1]}
    return row | found


def _first(checks: Sequence[tuple[bool, str, str | None]]) -> dict | None:
    for is_faulty, reason, detail in checks:
        if is_faulty:
            return {"reason": reason} | ({} if detail is None else {"detail": detail})
    return None


def _first_missing(spans: Sequence[str], places: Sequence[tuple[int, int]]) -> str | None:
    return next((span for span, place in zip(spans, places, strict=True) if place == NOT_FOUND), None)


def _overlap(places: Sequence[tuple[int, int]]) -> bool:
    ordered = sorted(place for place in places if place != NOT_FOUND)
    return any(second[0] < first[1] for first, second in pairwise(ordered))


def _names(answer: str, text: str) -> bool:
    """Whether a text has the answer as whole words, in the singular or a regular plural."""
    return re.search(rf"(?<!\w){re.escape(answer)}(?:e?s)?(?!\w)", text, re.IGNORECASE) is not None


def _is_blocked(answer: str, blocked: frozenset[str]) -> bool:
    """Whether the whole answer is on the list, in the singular or a regular plural: a Tasmanian devil is no devil."""
    return answer.casefold() in blocked or answer.casefold().removesuffix("s") in blocked


def _repeats(rows: Sequence[dict], similarity: float) -> dict[str, str]:
    """Return row id → the id of the earlier row that it repeats, which itself repeats none."""
    seen: dict[str, int] = {}
    pairs = []
    for index, row in enumerate(rows):
        if row["task"] == PITCH:  # asked of other clips, the same sentence would have another answer
            first = seen.setdefault(sentence_key(row["sentence"]), index)
            pairs += [(first, index)] if first != index else []
    repeated: dict[int, int] = {}
    for first, second in sorted([*pairs, *near_duplicate_rows(rows, similarity)], key=lambda pair: pair[::-1]):
        if first not in repeated:
            repeated.setdefault(second, first)
    return {rows[index]["id"]: rows[first]["id"] for index, first in repeated.items()}


def _check_fields(rows: Sequence[dict]) -> None:
    seen = set()
    for number, row in enumerate(rows, 1):
        place = f"row {number} (id '{row.get('id')}')"
        for name in ("id", "task", "sentence", "answer"):
            if not isinstance(row.get(name), str):
                raise AudioBertInputError(f"{place}: '{name}' is {row.get(name)!r}, not a text. Correct the row.")
        for name in ("spans", "clip_ids") if row["task"] == PITCH else ("spans",):
            if not _are_texts(row.get(name)):
                raise AudioBertInputError(f"{place}: '{name}' is {row.get(name)!r}, not a list of texts. Correct it.")
        if row["task"] not in _SPANS_OF_TASKS:
            raise AudioBertInputError(f"{place}: no task '{row['task']}'; give one of {', '.join(_SPANS_OF_TASKS)}.")
        if row["task"] == PITCH and len(row["clip_ids"]) != 2:
            raise AudioBertInputError(f"{place} compares {len(row['clip_ids'])} clips, not two. Correct 'clip_ids'.")
        if row["id"] in seen:
            raise AudioBertInputError(f"{place}: the id stands twice. Give every row an id of its own.")
        seen.add(row["id"])


def _are_texts(value) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
