"""Which language model writes the benchmark, how it samples, and how its endpoint is treated."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["RESPONSE_FORMATS", "LlmSettings"]

RESPONSE_FORMATS = ("schema", "vllm", "json", "none")


@dataclass(frozen=True)
class LlmSettings:
    """A recipe of `kind: llm`: the model, its sampling, and how its endpoint is called.

    Args:
        model (`str`): the model's name, as the endpoint or the Hub calls it.
        base_url (`str`, *optional*):
            An endpoint that speaks the OpenAI chat format (vLLM, TGI, llama.cpp, ...), such as
            `http://localhost:8000/v1`. Without it, the Hub's inference providers are asked.
        provider (`str`, *optional*): the Hub's inference provider; the Hub's own choice by default.
        local_model (`str`, *optional*): a folder or Hub id of a causal language model to run here instead.
        temperature (`float`, *optional*, defaults to 0.6): of the sampling (the paper's value); 0 is greedy.
        top_p (`float`, *optional*, defaults to 0.9): nucleus sampling (the paper's value).
        max_tokens (`int`, *optional*, defaults to 512): longest answer.
        seed (`int`, *optional*, defaults to 0): of every draw; each call's seed is made from it.
        response_format (`str`, *optional*, defaults to `"schema"`):
            How the endpoint is told the JSON schema. `"schema"`: in `response_format` (at a `base_url`, in the form
            that TGI and llama.cpp read); `"vllm"`: in vLLM's `structured_outputs`; `"json"`: only that JSON is wanted;
            `"none"`: not at all. The prompt describes the form in any case, and every answer is validated.
        concurrency (`int`, *optional*, defaults to 8): calls at a time in one process.
        requests_per_minute (`float`, *optional*): most calls a minute in one process; no limit by default.
        timeout_seconds (`float`, *optional*, defaults to 120.0): for one answer.
        max_retries (`int`, *optional*, defaults to 6): tries after the first of a call that failed for a while.
        backoff_seconds (`float`, *optional*, defaults to 1.0): the first pause; each further one is twice as long,
            a minute at most. A `Retry-After` of the endpoint takes its place.
        prompt_price (`float`, *optional*): of a million tokens read, in any currency.
        completion_price (`float`, *optional*): of a million tokens written.
        cache (`str`, *optional*): folder of all answers; beside the output by default. Runs may share it.
    """

    kind: ClassVar[str] = "llm"

    model: str = "Qwen/Qwen2-72B-Instruct-AWQ"
    base_url: str | None = None
    provider: str | None = None
    local_model: str | None = None
    temperature: float = 0.6
    top_p: float = 0.9
    max_tokens: int = 512
    seed: int = 0
    response_format: str = "schema"
    concurrency: int = 8
    requests_per_minute: float | None = None
    timeout_seconds: float = 120.0
    max_retries: int = 6
    backoff_seconds: float = 1.0
    prompt_price: float | None = None
    completion_price: float | None = None
    cache: str | None = None

    def __post_init__(self):
        if self.response_format not in RESPONSE_FORMATS:
            raise AudioBertInputError(
                f"response_format is '{self.response_format}'; give one of {', '.join(RESPONSE_FORMATS)}."
            )
        address = urlsplit(self.base_url or "http://unused")
        if address.scheme not in ("http", "https") or not address.hostname:
            raise AudioBertInputError(
                f"base_url '{self.base_url}' is no address: give one such as http://localhost:8000/v1."
            )
        if self.local_model and (self.base_url or self.provider):
            raise AudioBertInputError("give local_model, or base_url or provider, not both: one model answers.")
        limits = {"temperature": 0, "max_tokens": 1, "concurrency": 1, "max_retries": 0, "backoff_seconds": 0}
        for name, least in limits.items():
            if not getattr(self, name) >= least:
                raise AudioBertInputError(f"{name} is {getattr(self, name)}; give {least} or more.")
        if not 0 < self.top_p <= 1:
            raise AudioBertInputError(f"top_p is {self.top_p}; give a number above 0, up to 1.")
        for name in ("timeout_seconds", "requests_per_minute"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise AudioBertInputError(f"{name} is {getattr(self, name)}; give more than 0.")

    @property
    def name(self) -> str:
        """The model that answers, for provenance."""
        return self.local_model or self.model

    @property
    def place(self) -> str:
        """Where it answers, for messages."""
        if self.local_model:
            return f"the local model '{self.local_model}'"
        return f"'{self.base_url}'" if self.base_url else f"the Hub's provider '{self.provider or 'auto'}'"

    def identity(self) -> dict[str, Any]:
        """Return what decides which answer a prompt gets. The address is none of it: a model may move."""
        kept = ("temperature", "top_p", "max_tokens", "response_format")
        return {"model": self.name, **{key: value for key, value in asdict(self).items() if key in kept}}
