"""Rows to train, validation and test, with nothing on two sides (arXiv 2409.08199, section II-A)."""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audiobert.dataset_scripts.auditorybench.overlap import sentence_key
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .near_duplicates import NEAR_DUPLICATE_SIMILARITY
from .row_groups import connected_groups, cut_group, row_links


__all__ = ["MIN_ROWS", "SHARES", "SplitRows", "split_rows"]

logger = logging.getLogger(__name__)

SHARES = {"train": 0.7, "test": 0.2, "validation": 0.1}
# Below it, 10 % of the rows are not even one.
MIN_ROWS = 10
# A larger group, as a share of a task's rows, is given its side before all others.
_LARGE_SHARE = 0.05


@dataclass(frozen=True)
class SplitRows:
    """Rows by side.

    Attributes:
        splits (`dict[str, list[dict]]`): `train`, `validation` and `test`, and `wiki` where there were such rows; each
            in the order in which the rows came.
        rejects (`list[dict]`): rows that could be on no side, each with its `reason`.
    """

    splits: dict[str, list[dict]]
    rejects: list[dict] = field(default_factory=list)


def split_rows(
    rows: Iterable[dict], wiki: Iterable[dict] = (), seed: int = 0, similarity: float = NEAR_DUPLICATE_SIMILARITY
) -> SplitRows:
    """Divide rows 70/10/20, stratified by answer, so that no sentence, clip or near duplicate is on two sides.

    Rows that share one of these, of whichever task, form a group, and a group goes to one side as a whole. Groups of
    the same answer stand in a line, in drawn order, and each goes to the side that lacks most, so that every answer is
    shared out as nearly 70/10/20 as whole groups allow. A group too large for any side is cut where that costs least:
    the rows that then stand between two sides are rejected, as are rows with a sentence of `wiki`.

    Args:
        rows (`Iterable[dict]`):
            What `filter_rows` kept: `id`, `task`, `sentence`, `answer`, `spans`, and where there are clips, `clip_ids`
            and perhaps `clip_groups` (clips of one group are cuts or copies of one recording, and stay together).
        wiki (`Iterable[dict]`, *optional*):
            Rows of the wiki split, made from facts; they go there as they are.
        seed (`int`, *optional*, defaults to 0):
            Of the order.
        similarity (`float`, *optional*, defaults to 0.8):
            Of near duplicates, as `near_duplicate_rows` takes it.

    Raises:
        AudioBertInputError: a task has fewer than 10 rows, or only one answer, or its rows cannot be parted into
            three.
    """
    wiki = list(wiki)
    reserved = {sentence_key(row["sentence"]) for row in wiki}
    free, rejects = [], []
    for row in rows:
        if sentence_key(row["sentence"]) in reserved:
            rejects.append(row | {"reason": "the sentence stands in the wiki split"})
        else:
            free.append(row)
    _check_rows(free)
    links = row_links(free, similarity)
    groups = connected_groups(links)
    random.Random(seed).shuffle(groups)
    allotment = _Allotment(free)
    large = sorted(filter(allotment.is_large, groups), key=len, reverse=True)
    for group in large:
        allotment.place_large(group, links)
    allotment.place_small([group for group in groups if not allotment.is_large(group)])
    splits = {side: [] for side in ("train", "validation", "test")}
    for index, row in enumerate(free):
        if index in allotment.sides:
            splits[allotment.sides[index]].append(row)
        else:
            rejects.append(row | {"reason": "its clips are needed on two sides"})
    _check_sides(splits, {row["task"] for row in free})
    logger.info("%s rows; %d rejected", {side: len(found) for side, found in splits.items()}, len(rejects))
    return SplitRows(splits | ({"wiki": wiki} if wiki else {}), rejects)


class _Allotment:
    """Gives groups of rows to sides.

    Attributes:
        sides (`dict[int, str]`): position of a row → its side; rows on none are missing.
    """

    def __init__(self, rows: Sequence[dict]):
        self._rows = rows
        self._all = Counter(row["task"] for row in rows)
        self._usable = Counter(self._all)
        self._given = {side: Counter() for side in SHARES}
        self.sides: dict[int, str] = {}

    def is_large(self, group: Sequence[int]) -> bool:
        """Whether a group would decide the size of a split by itself."""
        return any(count > max(1, _LARGE_SHARE * self._all[task]) for task, count in self._tasks(group).items())

    def place_large(self, group: Sequence[int], links: Sequence[Sequence[int]]) -> None:
        """Give a group to the side that lacks most; one that even this cannot hold is cut into three."""
        tasks = self._tasks(group)
        lacking = {side: sum(self._lack(side, task) for task in tasks) for side in SHARES}
        side = max(SHARES, key=lacking.get)
        fits = lacking[side] >= (1 - _LARGE_SHARE) * len(group)
        pieces = {side: list(group)} if fits else cut_group(group, links, SHARES) or {side: list(group)}
        for piece_side, piece in pieces.items():
            self._give(piece, piece_side)
        self._usable -= self._tasks([index for index in group if index not in self.sides])

    def place_small(self, groups: Iterable[Sequence[int]]) -> None:
        """Share out the groups, answer by answer; what a side got too much or too little of is carried on."""
        shares = {task: self._shares_left(task) for task in self._all}
        due = {task: dict.fromkeys(SHARES, 0.0) for task in self._all}
        strata = defaultdict(list)
        for group in groups:
            strata[self._stratum(group)].append(group)
        for group in (group for stratum in strata.values() for group in stratum):
            tasks = self._tasks(group)
            for task, count in tasks.items():
                for side in SHARES:
                    due[task][side] += count * shares[task][side]
            side = max(SHARES, key=lambda side: sum(due[task][side] for task in tasks))
            for task, count in tasks.items():
                due[task][side] -= count
            self._give(group, side)

    def _lack(self, side: str, task: str) -> float:
        return SHARES[side] * self._usable[task] - self._given[side][task]

    def _shares_left(self, task: str) -> dict[str, float]:
        """How the small groups have to be divided, so that all rows are as `SHARES` says."""
        lacking = {side: max(0.0, self._lack(side, task)) for side in SHARES}
        total = sum(lacking.values())
        return {side: lack / total for side, lack in lacking.items()} if total else SHARES

    def _stratum(self, group: Sequence[int]) -> tuple[str, str]:
        """The task and answer of most of the rows."""
        answers = Counter((self._rows[index]["task"], self._rows[index]["answer"].casefold()) for index in group)
        return answers.most_common(1)[0][0]

    def _tasks(self, group: Sequence[int]) -> Counter:
        return Counter(self._rows[index]["task"] for index in group)

    def _give(self, group: Sequence[int], side: str) -> None:
        self._given[side] += self._tasks(group)
        self.sides |= dict.fromkeys(group, side)


def _check_rows(rows: Sequence[dict]) -> None:
    answers = defaultdict(Counter)
    for row in rows:
        answers[row["task"]][row["answer"].casefold()] += 1
    if not answers:
        raise AudioBertInputError("no row is left to split. The rejects say why; give more clips, or other rows.")
    for task, counts in answers.items():
        if counts.total() < MIN_ROWS:
            raise AudioBertInputError(
                f"{task} has {counts.total()} rows; to be split 70/10/20, it needs {MIN_ROWS} or more. The rejects "
                f"say why others were left out; give more clips."
            )
        if len(counts) == 1:
            raise AudioBertInputError(
                f"every answer of {task} is '{next(iter(counts))}': a benchmark of one answer measures nothing. Give "
                f"clips of more than one kind."
            )


def _check_sides(splits: Mapping[str, Sequence[dict]], tasks: Iterable[str]) -> None:
    for task in sorted(tasks):
        for side, rows in splits.items():
            if not any(row["task"] == task for row in rows):
                raise AudioBertInputError(
                    f"no row of {task} is left for {side}: its rows hang together by the clips or sentences that they "
                    f"share. Generate rows from more clips, each clip in fewer of them."
                )
