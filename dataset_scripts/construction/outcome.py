"""What a construction step makes of one input."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from .chat_model import Usage
from .llm_settings import LlmSettings


__all__ = ["ANSWER", "ENDPOINT", "REFUSED", "SOURCE", "Outcome", "Step", "StepWorker", "reject"]

# Why something is rejected: the language model's answer, an endpoint that failed or refused, or the input itself.
ANSWER, ENDPOINT, REFUSED, SOURCE = "answer", "endpoint", "refused", "source"


@dataclass
class Outcome:
    """Rows, and what became none, with its reason; together at least one, so that nothing is lost."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)


class StepWorker(Protocol):
    """Makes rows of one input; safe to call from several threads."""

    def __call__(self, item: dict[str, Any], usage: Usage) -> Outcome: ...


class Step(Protocol):
    """A step of the pipeline. Its fields are plain values, so that it can be sent to another machine."""

    name: str
    llm: LlmSettings

    def settings(self) -> dict[str, Any]:
        """Return what decides the result, to tell whether half-finished work goes on or is another's."""
        ...

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the inputs, always the same in the same order, each with a unique `id`."""
        ...

    def worker(self, cache: str) -> StepWorker:
        """Return what makes rows of an input, keeping the language model's answers in the folder `cache`."""
        ...


def reject(row: dict[str, Any], kind: str, reason: str) -> dict[str, Any]:
    """Return a row of the rejects file: the fields that are known, and why it is no more than that."""
    return {**row, "reason": reason, "reason_kind": kind}
