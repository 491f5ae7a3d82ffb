"""Categories of clips: caption, tags and description, sorted into a tree by a language model (paper, section II-A)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .chat_model import ChatModel, EndpointFailure, Prompt, RequestRefused, Usage
from .clip_records import clip_fault, clip_records, source_digest
from .language_model import open_model
from .llm_settings import LlmSettings
from .outcome import ANSWER, ENDPOINT, REFUSED, SOURCE, Outcome, reject
from .prompt_file import PromptFile, load_prompt
from .structured_output import ask, call_seed, pydantic_models


__all__ = ["CategorizeStep", "clip_texts"]

# What a prompt shows of each text; a category needs no more, and a page pasted into a caption must cost no more.
_LONGEST = {"caption": 500, "description": 1000}
_MOST_TAGS, _LONGEST_TAG = 20, 40


@dataclass(frozen=True)
class CategorizeStep:
    """Gives every clip its category, such as "animal/dog/pomeranian".

    Args:
        source (`str`): of the clips; see `clip_records`.
        llm (`LlmSettings`): who sorts.
        prompt (`str`, *optional*): a prompt file of one's own.
        split, audio_dir: of a dataset; see `clip_records`.
    """

    source: str
    llm: LlmSettings
    prompt: str = "categorize"
    split: str = "train"
    audio_dir: str | None = None
    name: str = field(default="categorize", init=False)

    def settings(self) -> dict[str, Any]:
        """Return what decides the result; see `Step.settings`."""
        return {
            "source": self.source,
            "source_digest": source_digest(self.source),
            "split": self.split,
            "seed": self.llm.seed,
            **load_prompt(self.prompt).facts(),
            **self.llm.identity(),
        }

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the clips, each with its `fault` where nothing can be made of it."""
        for clip in clip_records(self.source, self.split, self.audio_dir):
            yield {**clip, "fault": clip_fault(clip)}

    def worker(self, cache: str) -> "_Categorizer":
        """Return what categorizes a clip; see `Step.worker`."""
        return _Categorizer(open_model(self.llm, cache), load_prompt(self.prompt), self.llm)


def clip_texts(clip: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what prompts show of a clip, and the names of the fields that were shortened for it."""
    shown = {name: clip[name][:longest] for name, longest in _LONGEST.items()}
    shown["tags"] = [tag[:_LONGEST_TAG] for tag in clip["tags"][:_MOST_TAGS]]
    return shown, [name for name in shown if shown[name] != clip[name]]


class _Categorizer:
    def __init__(self, model: ChatModel, prompt: PromptFile, llm: LlmSettings):
        self._model, self._prompt, self._llm = model, prompt, llm
        self._answer_class = pydantic_models().Category
        self._schema = self._answer_class.model_json_schema()

    def __call__(self, clip: dict[str, Any], usage: Usage) -> Outcome:
        clip = dict(clip)
        fault = clip.pop("fault")
        shown, shortened = clip_texts(clip)
        # Equal texts get equal calls, so that the clips of a class cost one.
        seed = call_seed(self._llm.seed, self._prompt.name)
        provenance = {
            "step": "categorize",
            **self._prompt.facts(),
            "model": self._llm.name,
            "seed": seed,
            "source_clip": clip["id"],
        }
        if shortened:
            provenance["shortened"] = shortened
        row = {**clip, "category": None, "provenance": provenance}
        if fault:
            return Outcome(rejects=[reject(row, SOURCE, fault)])
        prompt = Prompt(self._prompt.messages(shown), self._schema, self._answer_class.__name__, seed)
        try:
            answer = ask(self._model, prompt, self._answer_class, lambda category: {}, usage)
        except EndpointFailure as error:
            return Outcome(rejects=[reject(row, ENDPOINT, str(error))])
        except RequestRefused as error:
            return Outcome(rejects=[reject(row, REFUSED, str(error))])
        provenance["repaired"] = answer.repaired
        if answer.value is None:
            return Outcome(rejects=[{**reject(row, ANSWER, answer.problems[None]), "llm_text": answer.text[:500]}])
        return Outcome(rows=[{**row, "category": answer.value.path()}])
