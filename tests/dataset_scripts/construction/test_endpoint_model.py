"""Asking an endpoint: what it is sent, and what is done when it does not answer as it should."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest
from chat_stand_in import KEY, Misdeeds

from audiobert.dataset_scripts.construction.chat_model import EndpointFailure, Prompt, RequestRefused, Usage
from audiobert.dataset_scripts.construction.endpoint_model import EndpointModel
from audiobert.dataset_scripts.construction.llm_settings import LlmSettings
from audiobert.dataset_scripts.construction.prompt_file import load_prompt
from audiobert.dataset_scripts.construction.response_cache import CachedModel
from audiobert.modeling_audiobert.errors import AudioBertInputError


SCHEMA = {"type": "object"}


def prompt(caption="a dog barking", seed=3):
    request = {"caption": caption, "tags": [], "description": ""}
    return Prompt(load_prompt("categorize").messages(request), SCHEMA, "Category", seed)


def first_times(count, value):
    return lambda data, times: value if times < count else None


def test_the_request_carries_model_sampling_seed_and_schema(chat):
    state, settings = chat()
    usage = Usage()
    answer = EndpointModel(settings).complete(prompt(), usage)
    assert '"dog"' in answer.text
    (request,) = state.requests
    assert request["path"] == "/v1/chat/completions"
    assert [request[name] for name in ("temperature", "top_p", "seed", "max_tokens")] == [0.6, 0.9, 3, 512]
    assert request["response_format"]["value"] == request["response_format"]["schema"] == SCHEMA
    assert [turn["role"] for turn in request["messages"][:3]] == ["system", "user", "assistant"]
    assert usage.calls == 1
    assert usage.prompt_tokens > 100
    assert usage.completion_tokens > 0
    assert usage.unmetered_calls == usage.failed_tries == 0


@pytest.mark.parametrize(
    ("response_format", "sent"),
    [
        ("vllm", {"structured_outputs": {"json": SCHEMA}}),
        ("json", {"response_format": {"type": "json_object"}}),
        ("none", {}),
    ],
)
def test_the_schema_can_be_told_in_other_ways(chat, response_format, sent):
    state, settings = chat(response_format=response_format)
    EndpointModel(settings).complete(prompt(), Usage())
    told = {
        name: state.requests[0][name]
        for name in ("structured_outputs", "response_format")
        if name in state.requests[0]
    }
    assert told == sent


@pytest.mark.parametrize("status", [429, 500, 502, 503, 200], ids=lambda status: f"{status}")
def test_what_fails_for_a_while_is_tried_again(chat, status):
    state, settings = chat(Misdeeds(status=first_times(2, status)))
    usage = Usage()
    assert EndpointModel(settings).complete(prompt(), usage).text
    assert len(state.requests) == 3
    assert (usage.calls, usage.failed_tries) == (1, 2)


def test_an_endpoint_that_says_nothing_is_asked_again(chat):
    hang = Misdeeds(hang_seconds=lambda data, times: 0.6 if times == 0 else 0)
    state, settings = chat(hang, timeout_seconds=0.2)
    usage = Usage()
    assert EndpointModel(settings).complete(prompt(), usage).text
    assert len(state.requests) == 2
    assert usage.failed_tries == 1


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_the_wait_that_the_endpoint_asks_for_is_kept_by_all_threads(chat, as_date):
    until = time.time() + 2 if as_date else None
    wait = formatdate(until, usegmt=True) if as_date else "0.7"
    misdeeds = Misdeeds(status=lambda data, times: 429 if "dog" in data and not times else None, retry_after=wait)
    _, settings = chat(misdeeds, backoff_seconds=0)
    model = EndpointModel(settings)
    start = time.monotonic()
    thread = threading.Thread(target=model.complete, args=(prompt(), Usage()))
    thread.start()
    time.sleep(0.3)  # the other thread was told to wait by now
    model.complete(prompt("a cat meowing"), Usage())
    other = time.monotonic() - start
    thread.join()
    # A date has whole seconds: "in two seconds" can be little more than one.
    assert other >= (0.9 if as_date else 0.65)
    assert time.monotonic() - start < 5


def test_a_wait_of_hours_is_told_instead_of_waited_for(chat):
    _, settings = chat(Misdeeds(status=first_times(9, 429), retry_after="7200"))
    with pytest.raises(AudioBertInputError, match=r"asks to wait 7200 s\. Give the same command again then"):
        EndpointModel(settings).complete(prompt(), Usage())


def test_the_rate_limit_spaces_the_calls(chat):
    state, settings = chat(requests_per_minute=600)
    model = EndpointModel(settings)
    start = time.monotonic()
    threads = [threading.Thread(target=model.complete, args=(prompt(seed=seed), Usage())) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.requests) == 6
    assert time.monotonic() - start >= 5 * 60 / 600


def test_what_fails_in_every_try_is_told_with_its_cause(chat):
    _, settings = chat(Misdeeds(status=first_times(9, 500)), max_retries=1)
    usage = Usage()
    with pytest.raises(EndpointFailure, match="answered 500 in the last of 2 tries"):
        EndpointModel(settings).complete(prompt(), usage)
    assert (usage.calls, usage.failed_tries) == (0, 2)
    _, settings = chat(Misdeeds(hang_seconds=lambda data, times: 0.3), max_retries=0, timeout_seconds=0.1)
    with pytest.raises(EndpointFailure, match=r"no answer within 0\.1 s"):
        EndpointModel(settings).complete(prompt(), Usage())
    _, settings = chat(Misdeeds(status=first_times(9, 200)), max_retries=0)
    with pytest.raises(EndpointFailure, match="not one of the OpenAI chat format"):
        EndpointModel(settings).complete(prompt(), Usage())


def test_a_prompt_that_is_too_long_is_refused_once_with_the_endpoints_words(chat):
    state, settings = chat(Misdeeds(status=first_times(9, 400)))
    with pytest.raises(RequestRefused, match="400: maximum context length exceeded"):
        EndpointModel(settings).complete(prompt(), Usage())
    assert len(state.requests) == 1


def test_a_wrong_key_and_an_unknown_model_end_at_once(chat, monkeypatch):
    state, settings = chat()
    state.key = KEY
    monkeypatch.setenv("AUDIOBERT_API_KEY", "another")
    with pytest.raises(AudioBertInputError, match=r"answered 401: it refused the key\. Set .*AUDIOBERT_API_KEY"):
        EndpointModel(settings).complete(prompt(), Usage())
    monkeypatch.setenv("AUDIOBERT_API_KEY", KEY)
    assert EndpointModel(settings).complete(prompt(), Usage()).text
    _, settings = chat(model="no/such")
    with pytest.raises(AudioBertInputError, match="answered 404: it does not know the model 'no/such'"):
        EndpointModel(settings).complete(prompt(), Usage())
    assert len(state.requests) == 2


def test_a_hub_token_is_not_sent_to_an_address(chat, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.delenv("AUDIOBERT_API_KEY", raising=False)
    state, settings = chat()
    EndpointModel(settings).complete(prompt(), Usage())
    assert "hf_secret" not in str(state.requests)


def test_an_endpoint_that_is_down_or_forbidden_is_named(chat, monkeypatch):
    settings = LlmSettings(base_url="http://127.0.0.1:9/v1", max_retries=1, backoff_seconds=0)
    chat()  # requests are allowed
    with pytest.raises(AudioBertInputError, match=r"'http://127\.0\.0\.1:9/v1' cannot be reached"):
        EndpointModel(settings).complete(prompt(), Usage())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    # In a thread of its own: older versions look once a thread.
    with ThreadPoolExecutor(1) as pool, pytest.raises(AudioBertInputError, match=r"HF_HUB_OFFLINE is set.*Unset it"):
        pool.submit(EndpointModel(settings).complete, prompt(), Usage()).result()


def test_a_provider_that_does_not_exist_is_named(chat):
    chat()
    with pytest.raises(AudioBertInputError, match=r"provider 'nobody' cannot be asked: .*not supported"):
        EndpointModel(LlmSettings(provider="nobody")).complete(prompt(), Usage())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"temperature": -1.0}, "temperature is -1.0; give 0 or more"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"concurrency": 0}, "concurrency is 0; give 1 or more"),
        ({"requests_per_minute": 0.0}, "requests_per_minute is 0.0"),
        ({"response_format": "xml"}, "response_format is 'xml'; give one of schema"),
        ({"base_url": "localhost:8000"}, "'localhost:8000' is no address"),
        ({"base_url": "http://h/v1", "local_model": "gpt2"}, "not both"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, said):
    with pytest.raises(AudioBertInputError, match=said):
        LlmSettings(**changes)


def test_answers_are_kept_and_shared_by_all_who_ask(chat, tmp_path):
    state, settings = chat()
    usage = Usage()

    def ask(seed):
        model = CachedModel(EndpointModel(settings), settings.identity(), tmp_path / "cache")
        return model.complete(prompt(seed=seed), usage)

    shared = CachedModel(EndpointModel(settings), settings.identity(), tmp_path / "cache")
    threads = [threading.Thread(target=shared.complete, args=(prompt(), usage)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(state.requests) == 1
    assert (usage.calls, usage.cached_calls) == (1, 7)
    assert ask(3) == ask(3)
    assert len(state.requests) == 1
    ask(4)
    assert len(state.requests) == 2
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text(file.read_text()[:40])  # as a crash of the machine may leave it
    assert ask(3).text
    assert len(state.requests) == 3


def test_failures_are_not_kept(chat, tmp_path):
    state, settings = chat(Misdeeds(status=first_times(1, 500)), max_retries=0)
    model = CachedModel(EndpointModel(settings), settings.identity(), tmp_path / "cache")
    with pytest.raises(EndpointFailure):
        model.complete(prompt(), Usage())
    assert model.complete(prompt(), Usage()).text
    assert len(state.requests) == 2
