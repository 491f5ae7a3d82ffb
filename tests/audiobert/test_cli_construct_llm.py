"""The commands that ask a language model: what they print, exit with, and leave on disk."""

import json

import pytest
from chat_stand_in import MODEL, ChatState, Misdeeds, chat_handler
from http_stand_in import serving
from tiny_clips import CAPTIONS, write_manifest
from typer.testing import CliRunner

from audiobert.cli import app


@pytest.fixture
def state():
    return ChatState()


@pytest.fixture
def options(state, online):
    with serving(chat_handler(state)) as address:
        yield ["--base-url", f"{address}/v1", "--model", MODEL, "backoff_seconds=0.01", "max_retries=1"]


@pytest.fixture
def manifest(tmp_path):
    return write_manifest(tmp_path / "clips", CAPTIONS)


def run(*command):
    return CliRunner().invoke(app, ["construct", *map(str, command)])


def test_the_two_steps_make_candidates_and_say_what_they_took(options, state, manifest, tmp_path):
    clips, out = tmp_path / "clips.jsonl", tmp_path / "candidates.jsonl"
    done = run("categorize", manifest, "--out", clips, *options, "prompt_price=1", "completion_price=2")
    assert done.exit_code == 0, done.stderr
    assert f"{clips}: 18 rows, 0 rejects; 18 calls (0 more from the cache)" in done.stdout
    assert "cost 0.01" in done.stdout
    done = run("generate", clips, "--out", out, "--items", 2, *options, "seed=7", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["rows"] == len(out.read_text().splitlines()) > 30
    assert report["settings"]["seed"] == 7
    assert set(report["settings"]["prompts"]) == {"animal_sound_recognition", "sound_pitch_comparison"}
    calls = len(state.requests)
    again = run("generate", clips, "--out", out, "--items", 2, *options, "seed=7", "--json")
    assert json.loads(again.stdout) == report
    assert len(state.requests) == calls


def test_rejects_are_counted_by_reason(options, state, manifest, tmp_path):
    state.misdeeds = Misdeeds(status=lambda data, times: 400 if "fridge" in data else None)
    done = run("categorize", manifest, "--out", tmp_path / "clips.jsonl", *options)
    assert done.exit_code == 0
    assert "17 rows, 1 rejects" in done.stdout
    assert "1 rejected: the endpoint answered 400: maximum context length exceeded" in done.stderr


def test_a_prompt_of_ones_own_is_sent_and_recorded(options, state, manifest, tmp_path):
    prompt = tmp_path / "mine.md"
    prompt.write_text("---\nname: mine\nversion: 4b\n---\n# System\n\nSort into a tree of categories, tersely.\n")
    out = tmp_path / "clips.jsonl"
    assert run("categorize", manifest, "--out", out, "--prompt", prompt, *options).exit_code == 0
    provenance = json.loads(out.read_text().splitlines()[0])["provenance"]
    assert (provenance["prompt"], provenance["prompt_version"]) == ("mine", "4b")
    assert state.requests[0]["messages"][0]["content"] == "Sort into a tree of categories, tersely."


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["categorize", "{manifest}", "--out", "x.json"], "'x.json' is no name for the output"),
        (
            ["categorize", "{manifest}", "--out", "{tmp}/x.jsonl", "--model", "no/such"],
            "does not know the model 'no/such'",
        ),
        (["categorize", "{tmp}/none.csv", "--out", "{tmp}/x.jsonl"], "cannot read the manifest"),
        (["categorize", "{manifest}", "--out", "{tmp}/x.jsonl", "temprature=1"], "did you mean 'temperature'"),
        (["categorize", "{manifest}", "--out", "{tmp}/x.jsonl", "--prompt", "none.md"], "cannot read the prompt"),
        (["categorize", "{manifest}", "--out", "{tmp}/x.jsonl", "--prompt", "{manifest}"], "cannot read the prompt"),
        (
            ["categorize", "{manifest}", "--out", "{tmp}/x.jsonl", "--executor", "none.yaml"],
            "cannot read the executor",
        ),
        (
            ["generate", "{tmp}/none.jsonl", "--out", "{tmp}/x.jsonl"],
            "Give the file that 'audiobert construct categorize'",
        ),
        (["generate", "{manifest}", "--out", "{tmp}/x.jsonl"], "line 1 is no clip with id"),
        (["generate", "{manifest}", "--out", "{tmp}/x.jsonl", "--task", "smell"], "there is no task 'smell'"),
        (["generate", "{manifest}", "--out", "{tmp}/x.jsonl", "--items", "9"], "give 1 to 8"),
    ],
)
def test_what_the_user_got_wrong_is_one_line_and_leaves_nothing(options, manifest, tmp_path, command, said):
    filled = [part.format(manifest=manifest, tmp=tmp_path) for part in command]
    done = run(*filled, *(options[:2] if "no/such" in filled else options))
    assert done.exit_code == 2, done.stdout
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.jsonl").exists()


def test_an_endpoint_that_is_down_is_one_line_and_the_same_command_goes_on(options, state, manifest, tmp_path):
    out = tmp_path / "clips.jsonl"
    down = ["--base-url", "http://127.0.0.1:9/v1", *options[2:]]
    done = run("categorize", manifest, "--out", out, *down)
    assert done.exit_code == 2
    assert "'http://127.0.0.1:9/v1' cannot be reached" in done.stderr
    assert "give the same command again" in done.stderr
    assert run("categorize", manifest, "--out", out, *options).exit_code == 0  # at another address
    assert len(out.read_text().splitlines()) == 18
