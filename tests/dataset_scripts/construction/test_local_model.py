"""A causal language model of transformers, run in the process."""

import json

import pytest
import torch
from tiny_causal import save_causal_model

from audiobert.dataset_scripts.construction.categorize import CategorizeStep
from audiobert.dataset_scripts.construction.chat_model import Prompt, RequestRefused, Usage
from audiobert.dataset_scripts.construction.llm_settings import LlmSettings
from audiobert.dataset_scripts.construction.local_model import LocalModel
from audiobert.dataset_scripts.construction.step_run import run_step
from audiobert.modeling_audiobert.errors import AudioBertInputError


SAYS = '{"broad": "animal", "source": "dog", "kinds": []}'
MESSAGES = ({"role": "system", "content": "Sort."}, {"role": "user", "content": "a dog"})


def settings(folder, **changes):
    return LlmSettings(local_model=str(folder), max_tokens=24, concurrency=2, **changes)


def prompt(seed):
    return Prompt(MESSAGES, {}, "Category", seed)


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    return save_causal_model(tmp_path_factory.mktemp("random"))


def test_the_same_seed_says_the_same_and_leaves_the_global_state_alone(random_model):
    model, usage = LocalModel(settings(random_model)), Usage()
    before = torch.random.get_rng_state()
    answers = [model.complete(prompt(seed), usage).text for seed in (1, 1, 2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert answers[0] == answers[1] != answers[2]
    assert usage.calls == 3
    assert 3 <= usage.completion_tokens <= 3 * 24
    assert usage.unmetered_calls == 0
    greedy = LocalModel(settings(random_model, temperature=0.0))
    assert greedy.complete(prompt(1), usage).text == greedy.complete(prompt(2), usage).text


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat-template"])
def test_a_model_that_answers_in_the_form_makes_rows(tmp_path, manifest, chat):
    folder = save_causal_model(tmp_path / "model", says=SAYS, chat=chat)
    out = tmp_path / "categorized.jsonl"
    report = run_step(CategorizeStep(str(manifest), settings(folder)), out)
    assert report["rows"] == 18
    assert report["usage"]["completion_tokens"] == 2 * 18  # the sentence and the end
    row = json.loads(out.read_text().splitlines()[0])
    assert row["category"] == "animal/dog"
    assert row["provenance"]["model"] == str(folder)


def test_a_model_of_random_weights_makes_rejects_with_reasons(tmp_path, manifest, random_model):
    out = tmp_path / "categorized.jsonl"
    with pytest.raises(AudioBertInputError, match="no row came out of 18 inputs"):
        run_step(CategorizeStep(str(manifest), settings(random_model)), out)
    rejects = [json.loads(line) for line in (tmp_path / "categorized.rejects.jsonl").read_text().splitlines()]
    assert len(rejects) == 18
    assert {row["reason_kind"] for row in rejects} == {"answer"}
    assert all(row["reason"] and row["llm_text"] for row in rejects)


def test_a_prompt_longer_than_the_model_reads_is_refused(tmp_path):
    folder = save_causal_model(tmp_path / "short", longest=32)
    with pytest.raises(RequestRefused, match=r"tokens and max_tokens 24 exceed the 32 tokens"):
        LocalModel(settings(folder)).complete(prompt(1), Usage())


def test_what_is_no_causal_language_model_is_named(tmp_path):
    with pytest.raises(AudioBertInputError, match="there is no folder"):
        LocalModel(settings(tmp_path / "nowhere"))
