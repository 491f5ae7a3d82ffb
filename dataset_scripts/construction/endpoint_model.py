"""A language model behind an endpoint that speaks the OpenAI chat format, asked through huggingface_hub."""

import email.utils
import json
import logging
import os
import random
import threading
import time
from typing import Any

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from audiobert.dataset_scripts.compat import TRANSPORT_ERRORS, timed_out
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .chat_model import Completion, EndpointDown, EndpointFailure, Prompt, RequestRefused, Usage
from .llm_settings import LlmSettings


__all__ = ["API_KEY_VARIABLE", "EndpointModel"]

logger = logging.getLogger(__name__)

API_KEY_VARIABLE = "AUDIOBERT_API_KEY"
_LONGEST_PAUSE_SECONDS = 60.0
# An endpoint that says "come back tomorrow" is one to be told of, not one to wait for.
_LONGEST_RETRY_AFTER_SECONDS = 600.0
_FATAL = {
    401: f"it refused the key. Set the environment variable {API_KEY_VARIABLE} (for the Hub's providers, HF_TOKEN)",
    402: "it wants to be paid first. Settle that with whoever runs it",
    403: f"the key may not use this model. Set {API_KEY_VARIABLE} to one that may",
    404: "it does not know the model '{model}', or the address is wrong. Look up both; many servers list their models "
    "under /v1/models",
}


class EndpointModel:
    """Asks an endpoint; retries what fails for a while, and keeps to its rate limits.

    The key is read from the environment variable `AUDIOBERT_API_KEY` and written nowhere. Without it, an endpoint
    given by address gets no key at all: a Hub token never goes to a place that is not the Hub.
    """

    def __init__(self, settings: LlmSettings):
        self.settings = settings
        key = os.environ.get(API_KEY_VARIABLE, "").strip() or None
        # Left to itself, the client would send the saved Hub token to any address.
        self._client = InferenceClient(
            base_url=settings.base_url,
            provider=settings.provider,
            api_key=(key or "none") if settings.base_url else key,
            timeout=settings.timeout_seconds,
        )
        self._pace = _Pace(settings.requests_per_minute)
        self._jitter = random.Random()  # spreads retries over time; no result depends on it

    def complete(self, prompt: Prompt, usage: Usage) -> Completion:
        """Return the endpoint's answer; see `ChatModel.complete`."""
        last: Exception | None = None
        for attempt in range(self.settings.max_retries + 1):
            self._pace.wait()
            try:
                completion = self._ask(prompt)
            except OfflineModeIsEnabled as error:
                raise EndpointDown(
                    f"HF_HUB_OFFLINE is set, which forbids every request, also one to {self.settings.place}. Unset it "
                    "for this command."
                ) from error
            except HfHubHTTPError as error:
                self._raise_if_lasting(error)
                last, pause = error, _retry_after(error)
            except (*TRANSPORT_ERRORS, _NoAnswer) as error:
                last, pause = error, None
            except ValueError as error:  # the client's own: no key, no such provider
                raise EndpointDown(f"{self.settings.place} cannot be asked: {_one_line(error)}") from error
            else:
                usage.add_call(completion)
                return completion
            usage.add(failed_tries=1)
            logger.info("%s: try %d failed: %s", self.settings.place, attempt + 1, _one_line(last))
            if attempt < self.settings.max_retries:
                self._pace.pause(self._backoff(attempt) if pause is None else pause, everyone=pause is not None)
        raise self._given_up(last) from last

    def _ask(self, prompt: Prompt) -> Completion:
        settings = self.settings
        try:
            answer = self._client.chat_completion(
                list(prompt.messages),
                model=settings.model,
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=settings.max_tokens,
                seed=prompt.seed,
                **_format_arguments(prompt, settings),
            )
            choice, usage = answer.choices[0], getattr(answer, "usage", None)
            return Completion(
                text=choice.message.content or "",
                finish_reason=choice.finish_reason,
                prompt_tokens=getattr(usage, "prompt_tokens", None),
                completion_tokens=getattr(usage, "completion_tokens", None),
            )
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, IndexError, KeyError, TypeError) as error:
            raise _NoAnswer(f"its reply is not one of the OpenAI chat format ({_one_line(error)})") from error

    def _raise_if_lasting(self, error: HfHubHTTPError) -> None:
        status = error.response.status_code
        if status in _FATAL:
            advice = _FATAL[status].format(model=self.settings.model)
            raise EndpointDown(f"{self.settings.place} answered {status}: {advice}. What was answered before is kept.")
        if 400 <= status < 500 and status not in (408, 409, 425, 429):
            raise RequestRefused(f"the endpoint answered {status}: {_said(error)}") from error

    def _given_up(self, last: Exception) -> Exception:
        tries = f"{self.settings.max_retries + 1} tries"
        if isinstance(last, HfHubHTTPError):
            return EndpointFailure(f"the endpoint answered {last.response.status_code} in the last of {tries}")
        if timed_out(last):
            return EndpointFailure(f"no answer within {self.settings.timeout_seconds:g} s in the last of {tries}")
        if isinstance(last, _NoAnswer):
            return EndpointFailure(f"{last}, in the last of {tries}")
        return EndpointDown(
            f"{self.settings.place} cannot be reached ({_one_line(last)}), in {tries}. Start it or correct the "
            "address, then give the same command again: what was answered before is kept."
        )

    def _backoff(self, attempt: int) -> float:
        longest = min(self.settings.backoff_seconds * 2**attempt, _LONGEST_PAUSE_SECONDS)
        return longest * self._jitter.uniform(0.5, 1.0)


class _NoAnswer(Exception):
    """The endpoint said "200" and sent something else than an answer."""


class _Pace:
    """Spaces calls evenly, and holds all of them back while the endpoint asks for it."""

    def __init__(self, requests_per_minute: float | None):
        self._interval = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + self._interval if self._interval else self._next
        _sleep_until(start)

    def pause(self, seconds: float, everyone: bool) -> None:
        until = time.monotonic() + seconds
        if everyone:
            with self._lock:
                self._next = max(self._next, until)
        _sleep_until(until)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _format_arguments(prompt: Prompt, settings: LlmSettings) -> dict[str, Any]:
    if settings.response_format == "none":
        return {}
    if settings.response_format == "json":
        return {"response_format": {"type": "json_object"}}
    if settings.response_format == "vllm":
        return {"extra_body": {"structured_outputs": {"json": prompt.schema}}}
    if settings.base_url:
        # huggingface_hub turns "json_schema" into this for every address; "schema" is where llama.cpp looks.
        return {"response_format": {"type": "json_object", "value": prompt.schema, "schema": prompt.schema}}
    schema = {"name": prompt.schema_name, "schema": prompt.schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _retry_after(error: HfHubHTTPError) -> float | None:
    """Return the seconds that the endpoint asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    text = error.response.headers.get("Retry-After")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    if seconds > _LONGEST_RETRY_AFTER_SECONDS:
        raise AudioBertInputError(
            f"the endpoint answered {error.response.status_code} and asks to wait {seconds:.0f} s. Give the same "
            "command again then: what was answered before is kept."
        )
    return max(0.0, seconds)


def _said(error: HfHubHTTPError) -> str:
    """Return what the endpoint gave as its reason."""
    try:
        body = error.response.json()
    except Exception:  # noqa: BLE001 - whatever the HTTP library raises for a body that it has not read or cannot decode
        return _one_line(error)
    detail = body.get("error", body) if isinstance(body, dict) else body
    message = detail.get("message", detail) if isinstance(detail, dict) else detail
    return " ".join(str(message).split())[:300]


def _one_line(error: Exception | None) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
