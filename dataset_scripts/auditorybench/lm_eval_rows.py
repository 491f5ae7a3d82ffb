"""Rows of AuditoryBench for lm-evaluation-harness.

The YAML files beside this file name its functions. It was written with them, by "audiobert data export --format
lm-eval", and needs nothing else of audiobert.
"""

import functools
import json
from pathlib import Path

import datasets


DATA = Path(__file__).parent / "data"
GAP = "[MASK]"


def load(task: str, split: str, **_) -> dict:
    """Return one split of one task; what else lm-evaluation-harness passes is its own."""
    with (DATA / task / f"{split}.jsonl").open(encoding="utf-8") as lines:
        return {split: datasets.Dataset.from_list([json.loads(line) for line in lines])}


def filled_sentences(doc: dict) -> list[str]:
    """Return the row's sentence with each candidate in its gap: its own choices, or all answers of the train split."""
    candidates = doc["choices"] or train_answers(doc["task"])
    return [doc["sentence"].replace(GAP, candidate) for candidate in candidates]


def right_sentence(doc: dict) -> str:
    """Return the sentence with the right answer in its gap; where that is no candidate, no choice equals it."""
    return doc["sentence"].replace(GAP, doc["answer"])


@functools.cache
def train_answers(task: str) -> list[str]:
    """Return the answers of a task's train split, in alphabetical order."""
    return json.loads((DATA / task / "train_answers.json").read_text(encoding="utf-8"))
