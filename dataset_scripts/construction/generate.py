"""Items of both tasks, written by a language model on categorized clips (arXiv 2409.08199, section II-A)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .categorize import clip_texts
from .chat_model import ChatModel, EndpointFailure, Prompt, RequestRefused, Usage
from .clip_records import source_digest
from .language_model import open_model
from .llm_settings import LlmSettings
from .outcome import ANSWER, ENDPOINT, REFUSED, Outcome, reject
from .pairing import animal_inputs, categorized_clips, measured_ids, pitch_inputs
from .prompt_file import PromptFile, load_prompt
from .structured_output import Answer, ask, call_seed, pydantic_models


__all__ = ["ANIMAL", "PITCH", "GenerateStep"]

ANIMAL, PITCH = "animal_sound_recognition", "sound_pitch_comparison"
_MOST_ITEMS = 8


@dataclass(frozen=True)
class GenerateStep:
    """Writes sentences with one mask: on single animal clips, and on pairs of clips that differ in pitch.

    Args:
        clips (`str`): the file that `categorize` wrote.
        llm (`LlmSettings`): who writes.
        tasks (`tuple[str, ...]`): of the two.
        items (`int`, *optional*, defaults to 1): sentences on each clip, and on each pair, from 1 to 8.
        pairs_per_clip (`int`, *optional*, defaults to 1): pairs that each clip is the first of.
        pitches (`str`, *optional*): the file that `pitch` wrote, to pair only clips that have a pitch.
        animal_prompt, pitch_prompt (`str`, *optional*): prompt files of one's own.
    """

    clips: str
    llm: LlmSettings
    tasks: tuple[str, ...] = (ANIMAL, PITCH)
    items_per_input: int = 1
    pairs_per_clip: int = 1
    pitches: str | None = None
    animal_prompt: str = "animal"
    pitch_prompt: str = "pitch"
    name: str = field(default="generate", init=False)

    def __post_init__(self):
        unknown = [task for task in self.tasks if task not in (ANIMAL, PITCH)]
        if unknown or not self.tasks:
            raise AudioBertInputError(f"there is no task '{unknown[0] if unknown else ''}'; give {ANIMAL} or {PITCH}.")
        if not 1 <= self.items_per_input <= _MOST_ITEMS:
            raise AudioBertInputError(
                f"{self.items_per_input} items were asked for on each clip or pair; give 1 to {_MOST_ITEMS}."
            )
        if self.pairs_per_clip < 1:
            raise AudioBertInputError(f"{self.pairs_per_clip} pairs were asked for on each clip; give 1 or more.")

    def settings(self) -> dict[str, Any]:
        """Return what decides the result; see `Step.settings`."""
        prompts = {task: load_prompt(self._prompt_name(task)).facts() for task in self.tasks}
        return {
            "clips": self.clips,
            "clips_digest": source_digest(self.clips),
            "pitches": self.pitches,
            "pitches_digest": self.pitches and source_digest(self.pitches),
            "items": self.items_per_input,
            "pairs_per_clip": self.pairs_per_clip,
            "seed": self.llm.seed,
            "prompts": prompts,
            **self.llm.identity(),
        }

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield a clip or pair to write on.

        Raises:
            AudioBertInputError: a file cannot be read, or there is nothing to write on for one of the tasks.
        """
        made = {
            ANIMAL: lambda: animal_inputs(categorized_clips(self.clips)),
            PITCH: lambda: pitch_inputs(
                categorized_clips(self.clips),
                self.pairs_per_clip,
                self.llm.seed,
                measured_ids(self.pitches) if self.pitches else None,
            ),
        }
        for task in self.tasks:
            found = False
            for item in made[task]():
                found = True
                yield item
            if not found:
                raise AudioBertInputError(_nothing_for(task, self.clips, self.pitches))

    def worker(self, cache: str) -> "_Writer":
        """Return what writes on a clip or pair; see `Step.worker`."""
        answers = pydantic_models()
        from .item_checks import animal_fault, pitch_fault

        kinds = {
            ANIMAL: (answers.AnimalItems, animal_fault, _animal_request, _animal_fields),
            PITCH: (answers.PitchItems, pitch_fault, _pitch_request, _pitch_fields),
        }
        prompts = {task: load_prompt(self._prompt_name(task)) for task in self.tasks}
        forms = {task: _Form(prompts[task], *kinds[task]) for task in self.tasks}
        return _Writer(open_model(self.llm, cache), forms, self)

    def _prompt_name(self, task: str) -> str:
        return self.animal_prompt if task == ANIMAL else self.pitch_prompt


@dataclass(frozen=True)
class _Form:
    """How the items of one task are asked for, checked and turned into rows."""

    prompt: PromptFile
    answer_class: type
    fault: Callable[[Any, list[dict[str, Any]]], str | None]
    request: Callable[[list[dict[str, Any]]], dict[str, Any]]
    fields: Callable[[Any], dict[str, Any]]


class _Writer:
    def __init__(self, model: ChatModel, forms: dict[str, _Form], step: GenerateStep):
        self._model, self._forms, self._step = model, forms, step

    def __call__(self, item: dict[str, Any], usage: Usage) -> Outcome:
        form, clips = self._forms[item["task"]], item["clips"]
        seed = call_seed(self._step.llm.seed, form.prompt.name, item["id"])
        request = {**form.request(clips), "items": self._step.items_per_input}
        if form.prompt.styles:
            request["style"] = form.prompt.styles[seed % len(form.prompt.styles)]
        row = self._row(item, form, seed, request.get("style"))
        prompt = Prompt(
            form.prompt.messages(request), form.answer_class.model_json_schema(), form.answer_class.__name__, seed
        )
        try:
            answer = ask(self._model, prompt, form.answer_class, lambda value: self._faults(value, form, clips), usage)
        except EndpointFailure as error:
            return Outcome(rejects=[reject(row, ENDPOINT, str(error))])
        except RequestRefused as error:
            return Outcome(rejects=[reject(row, REFUSED, str(error))])
        row["provenance"]["repaired"] = answer.repaired
        return _outcome(row, answer, form)

    def _faults(self, value: Any, form: _Form, clips: list[dict[str, Any]]) -> dict[int | None, str]:
        faults: dict[int | None, str] = {}
        for index, item in enumerate(value.items):
            fault = form.fault(item, clips)
            if fault:
                faults[index] = fault
        if len(value.items) != self._step.items_per_input:
            faults[None] = f"{len(value.items)} items came, {self._step.items_per_input} were asked for"
        return faults

    def _row(self, item: dict[str, Any], form: _Form, seed: int, style: str | None) -> dict[str, Any]:
        clips = item["clips"]
        category = clips[0]["category"]
        return {
            "id": item["id"],
            "task": item["task"],
            "sentence": None,
            "answer": None,
            "spans": [],
            "clip_ids": [clip["id"] for clip in clips],
            "clip_groups": [clip.get("group") for clip in clips],
            "category": category if item["task"] == ANIMAL else category.split("/")[0],
            "llm_answer": None,
            "provenance": {
                "step": "generate",
                **form.prompt.facts(),
                "style": style,
                "model": self._step.llm.name,
                "seed": seed,
                "source_clip": clips[0]["id"] if len(clips) == 1 else [clip["id"] for clip in clips],
                "categories": [clip["category"] for clip in clips],
            },
        }


def _outcome(row: dict[str, Any], answer: Answer, form: _Form) -> Outcome:
    if answer.value is None:
        return Outcome(rejects=[{**reject(row, ANSWER, answer.problems[None]), "llm_text": answer.text[:500]}])
    outcome = Outcome()
    for index, item in enumerate(answer.value.items):
        made = {**row, "id": f"{row['id']}-{index}", **form.fields(item)}
        fault = answer.problems.get(index)
        if fault:
            outcome.rejects.append(reject(made, ANSWER, fault))
        else:
            outcome.rows.append(made)
    if None in answer.problems:
        outcome.rejects.append(reject(row, ANSWER, answer.problems[None]))
    return outcome


def _animal_request(clips: list[dict[str, Any]]) -> dict[str, Any]:
    return _shown(clips[0])


def _pitch_request(clips: list[dict[str, Any]]) -> dict[str, Any]:
    return {"first": _shown(clips[0]), "second": _shown(clips[1])}


def _shown(clip: dict[str, Any]) -> dict[str, Any]:
    texts, _ = clip_texts(clip)
    return {"category": clip["category"], "caption": texts["caption"], "tags": texts["tags"]}


def _animal_fields(item: Any) -> dict[str, Any]:
    answer = item.answer.strip().lower()
    return {
        "sentence": item.sentence.strip(),
        "answer": answer,
        "spans": [item.span.strip()],
        "llm_answer": answer,
    }


def _pitch_fields(item: Any) -> dict[str, Any]:
    return {
        "sentence": item.sentence.strip(),
        "answer": item.answer,
        "spans": [item.span_1.strip(), item.span_2.strip()],
        "llm_answer": item.answer,
    }


def _nothing_for(task: str, clips: str, pitches: str | None) -> str:
    if task == ANIMAL:
        return f"'{clips}' holds no clip of a named animal. Leave that task out: --task {PITCH}."
    measured = f" that have a pitch in '{pitches}'" if pitches else ""
    return (
        f"'{clips}' holds no two clips{measured} of one broad category with different sources, to compare in pitch. "
        f"Add clips, or leave that task out: --task {ANIMAL}."
    )
