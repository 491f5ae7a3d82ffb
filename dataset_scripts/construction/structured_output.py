"""Answers that follow a schema, or a reason why there is none."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from .chat_model import ChatModel, Completion, Prompt, Usage


__all__ = ["Answer", "ask", "call_seed", "pydantic_models"]

_LONGEST_ECHO = 4000
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Answer(Generic[AnswerT]):
    """What a model answered.

    Args:
        value: the validated answer; None if neither try was one.
        problems (`dict[int | None, str]`): what is wrong, by the item of the answer, None for all of it.
        text (`str`): the answer as it came.
        repaired (`bool`): whether it is the second try.
    """

    value: AnswerT | None
    problems: dict[int | None, str] = field(default_factory=dict)
    text: str = ""
    repaired: bool = False


def ask(
    model: ChatModel,
    prompt: Prompt,
    answer_class: type[AnswerT],
    check: Callable[[AnswerT], dict[int | None, str]],
    usage: Usage,
) -> Answer[AnswerT]:
    """Return the answer to a prompt; an answer with faults is sent back once, with the faults named.

    Args:
        prompt (`Prompt`): its `schema` is that of `answer_class`.
        answer_class: a pydantic model, by which the answer is validated.
        check: returns what else is wrong with an answer of this class.
        usage: what the calls took is added to it.

    Raises:
        RequestRefused, EndpointFailure, AudioBertInputError: see `ChatModel.complete`.
    """
    first = _read(model.complete(prompt, usage), answer_class, check)
    if not first.problems:
        return first
    usage.add(repairs=1)
    second = _read(model.complete(_repair_prompt(prompt, first), usage), answer_class, check)
    # The second try is no better than the first where it has as many faults.
    return replace(second, repaired=True) if _faults(second) < _faults(first) else first


def call_seed(*parts: Any) -> int:
    """Return the seed of a call, from 0 to 2^31 - 1, made of the run's seed and what the call is about."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def pydantic_models() -> Any:
    """Return the module of answers, which needs pydantic.

    Raises:
        AudioBertInputError: pydantic is not installed.
    """
    from . import answers

    return answers


def _read(completion: Completion, answer_class: Any, check: Callable) -> Answer:
    from pydantic import ValidationError

    text = completion.text
    if not text.strip():
        return Answer(None, {None: "the answer is empty"}, text)
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return Answer(None, {None: _cut_off(completion) or "the answer holds no JSON object"}, text)
    try:
        value = answer_class.model_validate_json(text[start : end + 1].encode("utf-8", "replace"), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"]))
        reason = f"{place}: {fault['msg']}" if place else fault["msg"]
        return Answer(None, {None: _cut_off(completion) or f"not the form asked for ({reason})"}, text)
    return Answer(value, check(value), text)


def _cut_off(completion: Completion) -> str | None:
    return "the answer was cut off at max_tokens" if completion.finish_reason == "length" else None


def _faults(answer: Answer) -> tuple[bool, int]:
    return answer.value is None, len(answer.problems)


def _repair_prompt(prompt: Prompt, answer: Answer) -> Prompt:
    faults = "; ".join(
        fault if index is None else f"item {index + 1}: {fault}" for index, fault in answer.problems.items()
    )
    turns = (
        {"role": "assistant", "content": answer.text[:_LONGEST_ECHO].strip() or "(nothing)"},
        {
            "role": "user",
            "content": f"That cannot be used: {faults}. Answer again with the whole corrected JSON object only.",
        },
    )
    return replace(prompt, messages=prompt.messages + turns, seed=(prompt.seed + 1) % 2**31)
