"""Upload to a stand-in for the Hub on 127.0.0.1, and loading from it."""

import contextlib
import subprocess
import sys

import huggingface_hub
import pytest
import yaml
from http_stand_in import serving
from hub_stand_in import COMMIT, HubState, environment_with_hub, hub_handler

from audiobert.dataset_scripts.auditorybench.benchmarks import export_by_name
from audiobert.dataset_scripts.auditorybench.hub_upload import push_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError


FROM_THE_HUB = """
import json, sys
sys.modules["audiobert"] = None  # importing it is an error from here on
from datasets import load_dataset
loaded = load_dataset("me/bench", "combined")
print(json.dumps({split: loaded[split]["id"][:] for split in loaded}))
"""


@pytest.fixture
def exported(benchmark_folder, tmp_path, monkeypatch, online):
    """An exported folder, and leave to reach 127.0.0.1 with a token."""
    # The stand-in takes large files as Git LFS does; Xet, which the real Hub also offers, is a service of its own.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    export_by_name("auditorybench", tmp_path / "out", benchmark_folder, repository="me/bench")
    return tmp_path / "out"


@contextlib.contextmanager
def hub(state: HubState):
    """The stand-in, as the Hub that huggingface_hub talks to."""
    with serving(hub_handler(state)) as address, pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        yield address


def files_of(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_pushed_is_the_export_and_loads_from_the_hub(exported, tmp_path):
    state = HubState(token="hf_right")
    with hub(state) as address:
        assert push_folder(exported, "me/bench", private=True).endswith(COMMIT)
        assert state.files == files_of(exported)
        assert state.repository["type"] == "dataset"
        assert state.repository.get("private") or state.repository.get("visibility") == "private"
        environment = environment_with_hub(address, tmp_path / "home")
        done = subprocess.run(
            [sys.executable, "-c", FROM_THE_HUB], capture_output=True, text=True, env=environment, check=False
        )
    assert done.returncode == 0, done.stderr
    assert {split: len(ids) for split, ids in yaml.safe_load(done.stdout).items()} == dict.fromkeys(
        ["train", "validation", "test", "wiki"], 42
    )


def test_data_files_of_an_earlier_upload_do_not_stay(exported):
    state = HubState(token="hf_right")
    with hub(state):
        state.files |= {"data/old/test.parquet": b"old", "notes.txt": b"mine"}
        state.repository = {"name": "bench"}
        push_folder(exported, "me/bench")
    assert state.files == files_of(exported) | {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("repository", "token", "message"),
    [
        ("me/bench", "hf_wrong", r"(?s)refused the upload to 'me/bench': .*401.* Log in with 'hf auth login'"),
        ("a/b/c", "hf_right", r"'a/b/c' is not the name of a repository"),
    ],
    ids=["wrong token", "no repository's name"],
)
def test_a_refused_upload_changes_nothing_and_says_why(exported, monkeypatch, repository, token, message):
    monkeypatch.setenv("HF_TOKEN", token)
    state = HubState(token="hf_right")
    with (
        hub(state),
        pytest.raises(AudioBertInputError, match=message),
    ):
        push_folder(exported, repository)
    assert state.files == {}


def test_a_hub_that_is_not_there_is_named_with_the_way_out(exported, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(AudioBertInputError, match=r"(?s)could not reach the Hub at http://127.0.0.1:9 .*data export"):
        push_folder(exported, "me/bench")
