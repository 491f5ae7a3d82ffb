"""What is wrong with a benchmark's rows: leaks, duplicates, misplaced spans, answers that do not fit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise

from .overlap import sentence_key
from .rows import plain_rows
from .spans import MASK_TOKEN


__all__ = ["BenchmarkReport", "SharedRows", "SplitReport", "check_benchmark"]


@dataclass(frozen=True)
class SplitReport:
    """What was found in one split. Lists hold row ids where nothing else is said.

    Attributes:
        task, split (`str`): which rows.
        rows (`int`): how many.
        sources (`list[str]`): the published files that they come from; one with a sha256 is none that we know.
        duplicates: rows that repeat the answer, spans and sentence of an earlier one.
        repeated_questions: rows that repeat the sentence and answer of an earlier one, perhaps with another span.
        misplaced_spans (`list[list[str]]`): for the first span, the second, …: rows whose sentence lacks it.
        blank_spans: rows with a span that is empty.
        overlapping_spans: rows of which two spans share characters, as the first place of each was taken.
        not_one_mask: rows whose sentence has no `[MASK]`, or several.
        answers_outside_choices: rows with choices, none of which is the answer, whatever its case.
        choice_not_answer: rows whose published choice is another text than the answer.
        no_choice: rows with choices of which none is published as the right one.
        multi_word_answers: rows whose answer has several words.
        distinct_answers (`int`): answers that differ in more than case.
        answer_counts (`dict[str, int]`): the ten most frequent of them, in lower case.
        majority_share (`float`): the share of rows, 0 to 1, whose answer is the most frequent one.
    """

    task: str
    split: str
    rows: int
    sources: list[str]
    duplicates: list[str]
    repeated_questions: list[str]
    misplaced_spans: list[list[str]]
    blank_spans: list[str]
    overlapping_spans: list[str]
    not_one_mask: list[str]
    answers_outside_choices: list[str]
    choice_not_answer: list[str]
    no_choice: list[str]
    multi_word_answers: list[str]
    distinct_answers: int
    answer_counts: dict[str, int]
    majority_share: float


@dataclass(frozen=True)
class SharedRows:
    """What two splits of one task share.

    Attributes:
        task (`str`), splits (`tuple[str, str]`): which rows.
        sentences (`int`): different sentences that stand in both, to the letter.
        sentences_ignoring_case (`int`): the same, whatever their case and white space.
        rows (`list[str]`): ids of the second split's rows with such a sentence, ignoring case and white space.
        triples (`list[str]`): those whose answer, spans and sentence are all the same in the first split.
    """

    task: str
    splits: tuple[str, str]
    sentences: int
    sentences_ignoring_case: int
    rows: list[str]
    triples: list[str]

    @property
    def is_leak(self) -> bool:
        """Whether something that is evaluated was trained on."""
        return self.splits[0] == "train" and bool(self.rows)


@dataclass(frozen=True)
class BenchmarkReport:
    """All findings: a report for each split, and one for each pair of splits of a task."""

    splits: list[SplitReport]
    shared: list[SharedRows]

    @property
    def has_leak(self) -> bool:
        """Whether a train split shares sentences with a split that is evaluated."""
        return any(pair.is_leak for pair in self.shared)

    def to_dict(self) -> dict:
        """Return everything as JSON types."""
        return {
            "has_leak": self.has_leak,
            "splits": [asdict(report) for report in self.splits],
            "shared": [asdict(pair) | {"splits": list(pair.splits), "is_leak": pair.is_leak} for pair in self.shared],
        }


def check_benchmark(tasks: Mapping[str, Mapping[str, Iterable[dict]]]) -> BenchmarkReport:
    """Return what is wrong with the rows of each task and split.

    Args:
        tasks (`Mapping`):
            Task → split → rows of the schema; `load_auditorybench_splits` gives the inner mapping. A split named
            `"train"` is trained on, all others are evaluated.
    """
    reports, shared = [], []
    for task, splits in tasks.items():
        rows = {split: plain_rows(split_rows) for split, split_rows in splits.items()}
        reports += [_check_split(task, split, split_rows) for split, split_rows in rows.items()]
        # The train split first, so that a leak always reads from it.
        order = sorted(rows, key=lambda split: split != "train")
        shared += [_compare(task, pair, rows) for pair in combinations(order, 2)]
    return BenchmarkReport(reports, shared)


def _check_split(task: str, split: str, rows: list[dict]) -> SplitReport:
    answers = Counter(row["answer"].casefold() for row in rows)
    with_choices = [row for row in rows if row["choices"]]
    most = answers.most_common(10)
    return SplitReport(
        task=task,
        split=split,
        rows=len(rows),
        sources=sorted({row["source"] for row in rows}),
        duplicates=_repeats(rows, _triple),
        repeated_questions=_repeats(rows, lambda row: (row["sentence"], row["answer"])),
        misplaced_spans=_misplaced(rows),
        blank_spans=_ids(row for row in rows if any(not span["text"] for span in row["spans"])),
        overlapping_spans=_ids(row for row in rows if _overlap(row["spans"])),
        not_one_mask=_ids(row for row in rows if row["sentence"].count(MASK_TOKEN) != 1),
        answers_outside_choices=_ids(row for row in with_choices if not _is_choice(row)),
        choice_not_answer=_ids(row for row in with_choices if _chosen_otherwise(row)),
        no_choice=_ids(row for row in with_choices if row["answer_index"] is None),
        multi_word_answers=_ids(row for row in rows if len(row["answer"].split()) > 1),
        distinct_answers=len(answers),
        answer_counts=dict(most),
        majority_share=most[0][1] / len(rows) if rows else 0.0,
    )


def _compare(task: str, pair: tuple[str, str], rows: Mapping[str, list[dict]]) -> SharedRows:
    first, second = (rows[split] for split in pair)
    sentences = {sentence_key(row["sentence"]) for row in first}
    triples = {_triple(row) for row in first}
    common = [row for row in second if sentence_key(row["sentence"]) in sentences]
    return SharedRows(
        task=task,
        splits=pair,
        sentences=len({row["sentence"] for row in first} & {row["sentence"] for row in second}),
        sentences_ignoring_case=len({sentence_key(row["sentence"]) for row in common}),
        rows=_ids(common),
        triples=_ids(row for row in common if _triple(row) in triples),
    )


def _ids(rows: Iterable[dict]) -> list[str]:
    return [row["id"] for row in rows]


def _triple(row: dict) -> tuple:
    return row["answer"], tuple(span["text"] for span in row["spans"]), row["sentence"]


def _repeats(rows: list[dict], key) -> list[str]:
    """The rows of whose key an earlier row has the same."""
    seen, found = set(), []
    for row in rows:
        if key(row) in seen:
            found.append(row["id"])
        seen.add(key(row))
    return found


def _misplaced(rows: list[dict]) -> list[list[str]]:
    count = max((len(row["spans"]) for row in rows), default=0)
    return [
        _ids(row for row in rows if len(row["spans"]) > place and _is_misplaced(row["spans"][place]))
        for place in range(count)
    ]


def _is_misplaced(span: dict) -> bool:
    return bool(span["text"]) and span["start"] < 0


def _overlap(spans: list[dict]) -> bool:
    found = sorted((span["start"], span["end"]) for span in spans if span["start"] >= 0)
    return any(earlier[1] > later[0] for earlier, later in pairwise(found))


def _is_choice(row: dict) -> bool:
    return row["answer"].casefold() in {choice.casefold() for choice in row["choices"]}


def _chosen_otherwise(row: dict) -> bool:
    index = row["answer_index"]
    return index is not None and row["choices"][index].casefold() != row["answer"].casefold()
