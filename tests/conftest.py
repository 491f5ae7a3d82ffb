"""Session fixtures: tiny parts on disk, and where the real inputs lie."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest


# All before any Hugging Face import. The tests must pass, and fail, the same way on a machine with a network, and
# leave nothing in the caches of whoever runs them.
os.environ["HF_HUB_OFFLINE"] = "1"
_CACHES = tempfile.TemporaryDirectory(prefix="audiobert-tests-")
os.environ["HF_HUB_CACHE"] = f"{_CACHES.name}/hub"
os.environ["HF_DATASETS_CACHE"] = f"{_CACHES.name}/datasets"
os.environ["HF_MODULES_CACHE"] = f"{_CACHES.name}/modules"

import huggingface_hub.constants  # noqa: E402 - reads these settings when imported
import huggingface_hub.utils  # noqa: E402
from tiny_models import (  # noqa: E402 - reads these settings when imported
    LANGUAGE_MODELS,
    save_audio_encoder,
    save_clap,
    save_language_model,
    save_span_detector,
)


# A deadline would fail a right answer on a busy machine; what is drawn is the same in every run.
hypothesis.settings.register_profile("audiobert", deadline=None, derandomize=True)
hypothesis.settings.load_profile("audiobert")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass
class Parts:
    """Folders of the tiny checkpoints that an AudioBERT is assembled from."""

    language_models: dict[str, Path]
    span_detector: Path
    clap: Path
    audio_encoder: Path

    @property
    def language_model(self) -> Path:
        return self.language_models["bert"]


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> Parts:
    """The tiny parts, saved once a session; tests only read them."""
    folder = tmp_path_factory.mktemp("parts")
    return Parts(
        language_models={name: save_language_model(folder / name, name) for name in LANGUAGE_MODELS},
        span_detector=save_span_detector(folder / "span_detector"),
        clap=save_clap(folder / "clap"),
        audio_encoder=save_audio_encoder(folder / "audio_encoder"),
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real inputs beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"the real inputs are not here: put the project's shared folder at {SHARED}")
    return SHARED


@pytest.fixture
def online(monkeypatch):
    """Leave for huggingface_hub to send requests, which a stand-in on 127.0.0.1 answers."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # Before huggingface_hub 1, sessions are kept by thread number: those made offline refuse, those made here do not.
    forget_sessions = getattr(huggingface_hub.utils, "reset_sessions", lambda: None)
    forget_sessions()
    yield
    forget_sessions()


@pytest.fixture(autouse=True)
def precision_of_its_own(monkeypatch):
    """Each test computes as it says: transformers 4.55 leaves a training's bf16 behind for all later ones."""
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
