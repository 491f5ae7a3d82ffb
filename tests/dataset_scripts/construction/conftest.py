"""A language model behind HTTP, and clips for it to write on."""

import contextlib

import pytest
from chat_stand_in import MODEL, ChatState, chat_handler
from http_stand_in import serving
from tiny_clips import CAPTIONS, write_manifest

from audiobert.dataset_scripts.construction.llm_settings import LlmSettings


@pytest.fixture
def chat(online):
    """Return a function that starts a server with some misdeeds and returns its state and settings to ask it."""
    with contextlib.ExitStack() as servers:

        def start(misdeeds=None, **changes):
            state = ChatState(*([misdeeds] if misdeeds else []))
            address = servers.enter_context(serving(chat_handler(state)))
            settings = {"model": MODEL, "base_url": f"{address}/v1", "backoff_seconds": 0.01, "max_retries": 3}
            return state, LlmSettings(**{**settings, **changes})

        yield start


@pytest.fixture
def manifest(tmp_path):
    """A manifest of eighteen clips of ten animals, four instruments and four things, with their (empty) files."""
    return write_manifest(tmp_path / "clips", CAPTIONS)
