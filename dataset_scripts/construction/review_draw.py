"""What annotators judge (arXiv 2409.08199, section IV-B): drawn rows, as sheets and as a local web page."""

import csv
import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

from audiobert.dataset_scripts.auditorybench.rows import plain_rows
from audiobert.dataset_scripts.auditorybench.spans import MASK_TOKEN
from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .jsonl import write_jsonl


__all__ = ["ITEMS_FILE", "PAGE_FILE", "SHEET_COLUMNS", "draw_items", "write_review"]

ITEMS_FILE, PAGE_FILE = "items.jsonl", "review.html"
SHEET_COLUMNS = ("id", "annotator", "sentence", "answer", "spans", "accuracy", "fluency", "comment")
_PAGE = Path(__file__).with_name("review_page.html")


def draw_items(
    tasks: Mapping[str, Mapping[str, Iterable[dict]]],
    items: int = 100,
    splits: Sequence[str] = (),
    seed: int = 0,
) -> list[dict]:
    """Draw rows of each task to be judged.

    Args:
        tasks (`Mapping`): task → split → rows, as `load_both_tasks` returns them.
        items (`int`, *optional*, defaults to 100): of each task (the paper's number); all, where there are fewer.
        splits (`Sequence[str]`, *optional*): to draw from; all by default.
        seed (`int`, *optional*, defaults to 0): of the draw.

    Returns:
        `list[dict]`: `id`, `task`, `split`, `sentence`, `answer`, `spans` (texts), in drawn order, task by task.

    Raises:
        AudioBertInputError: no such split, nothing to draw from, fewer than 1 item asked for, or an id stands twice.
    """
    if items < 1:
        raise AudioBertInputError(f"{items} items cannot be judged; give 1 or more.")
    known = list(dict.fromkeys(split for found in tasks.values() for split in found))
    unknown = [split for split in splits if split not in known]
    if unknown:
        raise AudioBertInputError(f"there is no split '{unknown[0]}'; choose from: {', '.join(known)}.")
    generator = random.Random(seed)
    drawn = []
    for task, found in tasks.items():
        rows = [
            {"id": row["id"], "task": task, "split": split, "sentence": row["sentence"], "answer": row["answer"]}
            | {"spans": [span["text"] for span in row["spans"]]}
            for split, split_rows in found.items()
            if not splits or split in splits
            for row in plain_rows(split_rows)
        ]
        drawn += generator.sample(rows, min(items, len(rows)))
    if not drawn:
        raise AudioBertInputError("there are no rows to draw from. Give another benchmark, or other splits.")
    ids = [row["id"] for row in drawn]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise AudioBertInputError(f"the id '{twice}' stands twice. Give every row an id of its own.")
    return drawn


def write_review(out: str | Path, items: Sequence[dict], annotators: Sequence[str]) -> list[Path]:
    """Write a sheet for each annotator, a web page for those who prefer it, and the items for reading the answers.

    Args:
        out (`str` or `Path`): the folder: `items.jsonl`, `review.html`, and `sheet-NAME.csv` for each annotator.
        items (`Sequence[dict]`): as `draw_items` returns them; each sheet has them in an order of its own.
        annotators (`Sequence[str]`): their names; letters, digits, `-` and `_`.

    Returns:
        `list[Path]`: the sheets.

    Raises:
        AudioBertInputError: a name is not of this form or stands twice, there is none, or the folder cannot be
            written.
    """
    _check_names(annotators)
    with staged_folder(out) as stage:
        write_jsonl(stage / ITEMS_FILE, items)
        for name in annotators:
            _write_sheet(stage / f"sheet-{name}.csv", items, name)
        (stage / PAGE_FILE).write_text(_page(items), encoding="utf-8")
    return [Path(out) / f"sheet-{name}.csv" for name in annotators]


def _check_names(annotators: Sequence[str]) -> None:
    if not annotators:
        raise AudioBertInputError("a review needs an annotator. Name one or more.")
    for name in annotators:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise AudioBertInputError(f"'{name}' is no name for a file. Use letters, digits, - and _.")
    if len({name.casefold() for name in annotators}) < len(annotators):
        raise AudioBertInputError(f"two annotators have one name: {', '.join(annotators)}. Name each differently.")


def _write_sheet(path: Path, items: Sequence[dict], annotator: str) -> None:
    shuffled = random.Random(annotator).sample(list(items), len(items))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(SHEET_COLUMNS)
        for item in shuffled:
            spans = " | ".join(item["spans"])
            writer.writerow([item["id"], annotator, item["sentence"], item["answer"], spans, "", "", ""])


def _page(items: Sequence[dict]) -> str:
    """The page with the items in it; texts are shown as text, whatever they hold."""
    data = json.dumps({"items": items, "columns": SHEET_COLUMNS, "mask": MASK_TOKEN}, ensure_ascii=True)
    safe = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    key = hashlib.sha256(data.encode()).hexdigest()[:16]
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(data=safe, key=key)
