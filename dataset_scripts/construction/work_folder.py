"""The folder in which a step works: its inputs in shards, and the result of each shard once it is whole."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.atomic_files import output_errors, staged_file, staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .chat_model import Usage
from .jsonl import write_jsonl
from .outcome import ENDPOINT, REFUSED, Outcome, Step


__all__ = ["WorkFolder"]

_PLAN, _ROWS, _REJECTS = "plan.json", "rows.jsonl", "rejects.jsonl"
# The last by name: `staged_folder` moves it in when the other two are there.
_USAGE = "usage.json"


@dataclass(frozen=True)
class WorkFolder:
    """What a step has done so far, beside its output file; any number of processes may add shards.

    A shard's result appears as a whole or not at all, so that a kill at any moment loses no more than the shard at
    work, whose answers are in the cache all the same.

    Args:
        out (`Path`): the step's output file; all of ours is in the folder `OUT.work`.
    """

    out: Path

    @property
    def folder(self) -> Path:
        return self.out.with_name(f"{self.out.name}.work")

    @property
    def cache(self) -> str:
        """Where answers are kept, if the settings name no other folder."""
        return str(self.folder / "answers")

    @property
    def rejects_file(self) -> Path:
        return self.out.with_name(f"{self.out.stem}.rejects{self.out.suffix}")

    @property
    def report_file(self) -> Path:
        return self.out.with_name(f"{self.out.stem}.report.json")

    def plan(self, step: Step, shard_size: int) -> int:
        """Write the step's inputs in shards, if that is still to be done, and return how many shards there are.

        Raises:
            AudioBertInputError: the folder holds work of other settings, there is no input, or an id is there twice.
        """
        wanted = {"step": step.name, "settings": step.settings()}
        path = self.folder / _PLAN
        if path.is_file():
            planned = _json_file(path)
            self._check_same(planned, wanted)
            return planned["shards"]
        with output_errors(self.out):
            shutil.rmtree(self.folder / "inputs", ignore_errors=True)  # of a plan that was broken off
            shards = 0
            for shards, rows in enumerate(_batches(_unique(step.items()), shard_size), 1):
                write_jsonl(self._input(shards - 1), rows)
            if not shards:
                raise AudioBertInputError(f"there is nothing to {step.name}: the source is empty.")
            with staged_file(path) as temporary:
                temporary.write_text(json.dumps({**wanted, "shards": shards}, indent=2), encoding="utf-8")
        return shards

    def pending(self, shards: int, retry_failed: bool = False) -> list[int]:
        """Return the shards still to be done; with `retry_failed`, also those in which the endpoint failed."""
        return [index for index in range(shards) if not self.is_done(index) or (retry_failed and self._failed(index))]

    def is_done(self, index: int) -> bool:
        """Return whether the result of a shard is there."""
        return (self._done(index) / _USAGE).is_file()

    def inputs(self, index: int) -> list[dict[str, Any]]:
        """Return the inputs of a shard."""
        return list(_rows(self._input(index)))

    def finish(self, index: int, outcomes: Iterable[Outcome], usage: Usage) -> None:
        """Write the result of a shard, in the order of its inputs."""
        outcomes = list(outcomes)
        # A shard that is done again is not done until all its files are the new ones.
        with suppress(FileNotFoundError):
            (self._done(index) / _USAGE).unlink()
        with staged_folder(self._done(index)) as fresh:
            write_jsonl(fresh / _ROWS, (row for outcome in outcomes for row in outcome.rows))
            write_jsonl(fresh / _REJECTS, (row for outcome in outcomes for row in outcome.rejects))
            (fresh / _USAGE).write_text(json.dumps(usage.to_dict()), encoding="utf-8")

    def merge(self, shards: int) -> dict[str, Any]:
        """Write rows and rejects of all shards, in order, to one file each, and return their numbers.

        Returns:
            `dict`: `rows`, `rejects`, `reasons` (the ten most frequent, with their numbers), `usage`.
        """
        counts, reasons, usage = {}, Counter(), Counter()
        for name, target in ((_ROWS, self.out), (_REJECTS, self.rejects_file)):
            counts[name] = 0
            with staged_file(target) as temporary, temporary.open("wb") as stream:
                for index in range(shards):
                    with (self._done(index) / name).open("rb") as part:
                        shutil.copyfileobj(part, stream)
            for row in _rows(target):
                counts[name] += 1
                if name == _REJECTS:
                    reasons[row["reason"][:160]] += 1
        for index in range(shards):
            usage.update(_json_file(self._done(index) / _USAGE))
        return {
            "rows": counts[_ROWS],
            "rejects": counts[_REJECTS],
            "reasons": dict(reasons.most_common(10)),
            "usage": dict(usage),
        }

    def _input(self, index: int) -> Path:
        return self.folder / "inputs" / f"{index:05d}.jsonl"

    def _done(self, index: int) -> Path:
        return self.folder / "done" / f"{index:05d}"

    def _failed(self, index: int) -> bool:
        return any(row["reason_kind"] in (ENDPOINT, REFUSED) for row in _rows(self._done(index) / _REJECTS))

    def _check_same(self, planned: dict[str, Any], wanted: dict[str, Any]) -> None:
        before, now = ({"step": facts["step"], **facts["settings"]} for facts in (planned, wanted))
        changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if changed:
            name = changed[0]
            raise AudioBertInputError(
                f"'{self.folder}' holds work done with {name} {before.get(name)!r}, not {now.get(name)!r}. Give "
                f"another --out (with cache={self.cache}, nothing is asked twice), or delete that folder."
            )


def _unique(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    seen = set()
    for item in items:
        if item["id"] in seen:
            raise AudioBertInputError(f"the id '{item['id']}' is there twice; ids must be unique. Rename one of them.")
        seen.add(item["id"])
        yield item


def _batches(items: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(items, size)):
        yield batch


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _json_file(path: str | os.PathLike) -> dict[str, Any]:
    return json.loads(Path(path).read_text(encoding="utf-8"))
