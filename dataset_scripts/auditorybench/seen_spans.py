"""Which rows are about sounds that the training text names, and which are not."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .loading import load_auditorybench
from .sound_words import head_words, word_stem, word_stems
from .sources import COMBINED, SPLITS
from .spans import MASK_TOKEN


__all__ = ["SeenSpans", "save_report", "seen_report", "train_rows"]


class SeenSpans:
    """Tells of a row whether the training text has the words that name its sounds.

    A row is **seen** if the head word (see [`head_words`]) of every one of its spans stands in the training text, in
    any form of the word, and **unseen** if at least one does not. The training text is the sentences, the spans and
    the answers of the train split. What a model has learnt about an unseen row's sounds, it has not learnt from it.

    Args:
        train_rows: of the train split.
    """

    def __init__(self, train_rows: Iterable[dict[str, Any]]):
        self._stems: set[str] = set()
        for row in train_rows:
            texts = [row["sentence"].replace(MASK_TOKEN, row["answer"]), row["answer"]]
            for text in [*texts, *(span["text"] for span in row["spans"])]:
                self._stems |= word_stems(text)

    @classmethod
    def load(cls, data_dir: str | Path | None = None, task: str = COMBINED) -> "SeenSpans":
        """Read the train split of a task.

        Args:
            data_dir (`str` or `Path`, *optional*): downloaded by default.
            task (`str`, *optional*, defaults to `"combined"`).

        Raises:
            AudioBertInputError: there is no train split.
        """
        return cls(train_rows(task, data_dir, "to tell rows seen in training from unseen ones"))

    def unseen_words(self, row: dict[str, Any]) -> list[str]:
        """Return the head words of a row's spans that the training text has not."""
        heads = dict.fromkeys(head for span in row["spans"] for head in head_words(span["text"]))
        return [head for head in heads if not self._stems & _forms(head)]

    def is_seen(self, row: dict[str, Any]) -> bool | None:
        """Return whether a row is seen; None if its spans hold no word."""
        if not any(head_words(span["text"]) for span in row["spans"]):
            return None
        return not self.unseen_words(row)


def train_rows(task: str, data_dir: str | Path | None, purpose: str) -> list[dict[str, Any]]:
    """Return the rows of the train split.

    Raises:
        AudioBertInputError: there is none; the message says what it is needed for.
    """
    try:
        return load_auditorybench(task, "train", data_dir).to_list()
    except AudioBertInputError as error:
        raise AudioBertInputError(f"the train split is needed {purpose}: {error}") from error


def seen_report(
    data_dir: str | Path | None = None, task: str = COMBINED, splits: Sequence[str] = SPLITS[1:]
) -> dict[str, Any]:
    """Return which rows of some splits are seen and which are not.

    Returns:
        `dict` for a JSON file: **kind** (`"seen rows"`), **task**; **counts**: by split and task `rows`, `seen`,
        `unseen`; **rows**: by split the ids of the `seen` and the `unseen` rows; **unseen_words**: by split the words
        that made rows unseen, with their numbers of rows, most frequent first.

    Raises:
        AudioBertInputError: the train split or another one is missing.
    """
    seen = SeenSpans.load(data_dir, task)
    report: dict[str, Any] = {"kind": "seen rows", "task": task, "counts": {}, "rows": {}, "unseen_words": {}}
    for split in splits:
        rows = load_auditorybench(task, split, data_dir).to_list()
        verdicts = [seen.is_seen(row) for row in rows]
        report["counts"][split] = {
            name: {
                "rows": sum(row["task"] == name for row in rows),
                **{
                    part: sum(
                        row["task"] == name and verdict is wanted for row, verdict in zip(rows, verdicts, strict=True)
                    )
                    for part, wanted in _PARTS.items()
                },
            }
            for name in dict.fromkeys(row["task"] for row in rows)
        }
        report["rows"][split] = {
            part: [row["id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict is wanted]
            for part, wanted in _PARTS.items()
        }
        words = Counter(word for row in rows for word in seen.unseen_words(row))
        report["unseen_words"][split] = dict(sorted(words.items(), key=lambda item: (-item[1], item[0])))
    return report


def save_report(report: dict[str, Any], path: str | Path) -> None:
    """Write what `seen_report` returned as JSON.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


_PARTS = {"seen": True, "unseen": False}


def _forms(head: str) -> set[str]:
    return {word_stem(head), word_stem(head.replace("-", ""))}
