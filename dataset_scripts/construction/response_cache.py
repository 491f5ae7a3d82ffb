"""Every answer of a language model, kept on disk under the digest of what was asked."""

import hashlib
import json
import logging
import os
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.atomic_files import staged_file

from .chat_model import ChatModel, Completion, Prompt, Usage


__all__ = ["CachedModel", "prompt_digest"]

logger = logging.getLogger(__name__)


class CachedModel:
    """Asks a model only what was never asked before, by whomever.

    One file an answer, named by the digest of the model's name, its sampling, the messages, the schema and the seed,
    and put in its place by a rename: any number of threads, processes and machines may share the folder. A file that
    cannot be read is asked for again. Failures are not kept.

    Args:
        model (`ChatModel`): who is asked.
        identity (`dict`): what decides its answers beside the prompt (see `LlmSettings.identity`).
        folder (`Path`): of the cache; made where it is missing.
    """

    def __init__(self, model: ChatModel, identity: dict[str, Any], folder: str | os.PathLike):
        self._model = model
        self._identity = identity
        self._folder = Path(folder)
        self._locks: dict[str, list] = defaultdict(lambda: [threading.Lock(), 0])
        self._guard = threading.Lock()

    def complete(self, prompt: Prompt, usage: Usage) -> Completion:
        """Return the kept answer, or the model's; see `ChatModel.complete`."""
        digest = prompt_digest(prompt, self._identity)
        path = self._folder / digest[:2] / f"{digest}.json"
        with self._alone(digest):
            kept = _read(path)
            if kept is not None:
                usage.add(cached_calls=1)
                return kept
            completion = self._model.complete(prompt, usage)
            # The request itself, for whoever looks in; instructions and examples are the same in thousands of files.
            asked = {"last_message": prompt.messages[-1]["content"], "seed": prompt.seed, **self._identity}
            entry = {"answer": asdict(completion), "asked": asked}
            with staged_file(path) as temporary:
                temporary.write_text(json.dumps(entry, ensure_ascii=True), encoding="utf-8")
            return completion

    @contextmanager
    def _alone(self, digest: str):
        """Let one thread at a time ask the same thing, so that the others find the answer."""
        with self._guard:
            entry = self._locks[digest]
            entry[1] += 1
        try:
            with entry[0]:
                yield
        finally:
            with self._guard:
                entry[1] -= 1
                if not entry[1]:
                    del self._locks[digest]


def prompt_digest(prompt: Prompt, identity: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) of all that decides the answer to a prompt."""
    text = json.dumps([asdict(prompt), identity], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _read(path: Path) -> Completion | None:
    try:
        return Completion(**json.loads(path.read_text(encoding="utf-8"))["answer"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        logger.warning("%s is not a kept answer; asking again", path)
        return None
