"""What all language models that answer for us have in common."""

import threading
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["ChatModel", "Completion", "EndpointDown", "EndpointFailure", "Prompt", "RequestRefused", "Usage"]


@dataclass(frozen=True)
class Prompt:
    """One call.

    Args:
        messages (`tuple[dict[str, str], ...]`): `role` and `content`, as the OpenAI chat format has them.
        schema (`dict`): the JSON schema that the answer must follow.
        schema_name (`str`): its name for the endpoint.
        seed (`int`): of the sampling.
    """

    messages: tuple[dict[str, str], ...]
    schema: dict[str, Any] = field(repr=False)
    schema_name: str
    seed: int


@dataclass(frozen=True)
class Completion:
    """An answer; token counts are None where the endpoint does not report them."""

    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatModel(Protocol):
    """Answers prompts; safe to call from several threads."""

    def complete(self, prompt: Prompt, usage: "Usage") -> Completion:
        """Return the answer, and add what it took to `usage`.

        Raises:
            RequestRefused: this prompt will never be answered, others may be.
            EndpointFailure: no try brought an answer, though the endpoint is there.
            AudioBertInputError: no prompt will be answered as things are.
        """
        ...


class RequestRefused(Exception):
    """The endpoint will not answer this prompt, however often it is asked (too long, not allowed, ...)."""


class EndpointFailure(Exception):
    """The endpoint failed at this prompt in every try; at another time it may not."""


class EndpointDown(AudioBertInputError):
    """Nothing can be asked at all."""


@dataclass
class Usage:
    """What answers took. Counts are exact; `unmetered_calls` had no token counts reported.

    `cached_calls` cost nothing; `failed_tries` are those that a retry followed, or an error.
    """

    calls: int = 0
    cached_calls: int = 0
    failed_tries: int = 0
    repairs: int = 0
    unmetered_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __post_init__(self):
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        """Add to the counts; several threads may."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)

    def add_call(self, completion: Completion) -> None:
        """Count a call that was answered."""
        metered = completion.prompt_tokens is not None and completion.completion_tokens is not None
        self.add(
            calls=1,
            unmetered_calls=int(not metered),
            prompt_tokens=completion.prompt_tokens or 0,
            completion_tokens=completion.completion_tokens or 0,
        )

    def to_dict(self) -> dict[str, int]:
        """Return the counts as plain values."""
        return asdict(self)
