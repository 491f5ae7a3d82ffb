"""Rows in which hearing changed the answer, for better and for worse, to be read and listened to."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from audiobert.dataset_scripts.auditorybench.sources import TASKS
from audiobert.dataset_scripts.auditorybench.spans import MASK_TOKEN
from audiobert.demo.markup import clip_card, marked_sentence, no_player, player
from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.bank_sounds import BankSounds

from .systems import System
from .tables import SPLIT_NAMES, TASK_NAMES


__all__ = ["BETTER", "OTHER", "WORSE", "ChangedRow", "changed_rows", "clips_of_model", "write_page"]

BETTER, WORSE, OTHER = "right with hearing only", "right without hearing only", "wrong either way"
_TONES = {BETTER: "better", WORSE: "worse", OTHER: "other"}


@dataclass(frozen=True)
class ChangedRow:
    """A row that was answered otherwise with hearing.

    Attributes:
        off, on (`dict`): the predictions without and with hearing, as in a results file.
        verdict (`str`): `BETTER`, `WORSE` or `OTHER`.
    """

    off: dict[str, Any]
    on: dict[str, Any]
    verdict: str


def changed_rows(off: System, on: System, model: str) -> list[ChangedRow]:
    """Return the rows that one run answered otherwise with hearing, of those that it answered both ways.

    Args:
        off, on (`System`): the same model without and with hearing.
        model (`str`): the run's model path.
    """
    rows = []
    for place, heard in on.predictions[model].items():
        unheard = off.predictions.get(model, {}).get(place)
        if unheard is None:
            continue
        if heard["predicted"] != unheard["predicted"] or heard["correct"] != unheard["correct"]:
            verdict = BETTER if heard["correct"] else WORSE if unheard["correct"] else OTHER
            rows.append(ChangedRow(unheard, heard, verdict))
    return rows


def clips_of_model(model: str, bank: Path | None, audio_dir: Path | None) -> BankSounds | None:
    """Return the clips that a model heard: of the bank given, else of the one in its folder; None without either.

    Raises:
        AudioBertInputError: the bank cannot be read, or `audio_dir` is no folder.
    """
    if bank is not None:
        return BankSounds(AudioBank.load(bank, index="exact"), audio_dir)
    if (Path(model) / "bank" / "clips.parquet").is_file():
        return BankSounds(AudioBank.load(model, subfolder="bank", index="exact"), audio_dir)
    return None


def write_page(
    path: Path,
    model: str,
    rows: Sequence[ChangedRow],
    sentences: Mapping[tuple[str, str], dict[str, Any]],
    sounds: BankSounds | None,
    shown: int,
) -> dict[str, Any]:
    """Write the page of one run: a table of how many answers changed, and some of the rows with their clips.

    Args:
        path (`Path`): the HTML file; it needs nothing else.
        model (`str`): the run's model path.
        rows: what `changed_rows` returns.
        sentences: (split, row id) → row of the benchmark.
        sounds (`BankSounds`, *optional*): where the clips are; without it their ids are shown only.
        shown (`int`): rows shown of each verdict, spread over tasks and splits, drawn at random with seed 0.

    Returns:
        `dict`: `model`, `counts` (a list of task, split, and rows by verdict) and `shown` (ids of the rows).

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    chosen = _draw(rows, shown)
    sections = [
        {
            "verdict": verdict,
            "tone": _TONES[verdict],
            "all": sum(row.verdict == verdict for row in rows),
            "cards": [_card(row, sentences, _clip_drawer(sounds)) for row in chosen if row.verdict == verdict],
        }
        for verdict in _TONES
    ]
    counts = _counts(rows)
    template = (resources.files(__package__) / "changed_answers.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(template).render(model=model, counts=counts, sections=sections, has_bank=sounds)
    with staged_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return {"model": model, "counts": counts, "shown": [row.on["id"] for row in chosen]}


def _draw(rows: Sequence[ChangedRow], shown: int) -> list[ChangedRow]:
    """Draw rows of each verdict, as evenly from tasks and splits as there are any."""
    draw = random.Random(0)
    chosen = []
    for verdict in _TONES:
        groups: dict[tuple[str, str], list[ChangedRow]] = {}
        for row in rows:
            if row.verdict == verdict:
                groups.setdefault((row.on["task"], row.on["split"]), []).append(row)
        piles = [draw.sample(group, len(group)) for group in groups.values()]
        rounds = [pile[turn] for turn in range(shown) for pile in piles if turn < len(pile)]
        chosen += rounds[:shown]
    return chosen


def _counts(rows: Sequence[ChangedRow]) -> list[dict[str, Any]]:
    places = {(row.on["task"], row.on["split"]) for row in rows}
    ordered = [(task, split) for task in TASKS for split in SPLIT_NAMES if (task, split) in places]
    return [
        {"task": TASK_NAMES[task], "split": SPLIT_NAMES[split]}
        | {
            tone: sum((row.on["task"], row.on["split"], row.verdict) == (task, split, verdict) for row in rows)
            for verdict, tone in _TONES.items()
        }
        for task, split in ordered
    ]


def _card(
    row: ChangedRow, sentences: Mapping[tuple[str, str], dict[str, Any]], draw_clip: Callable[[str, float | None], str]
) -> dict[str, Any]:
    benchmark_row = sentences[row.on["split"], row.on["id"]]
    heard = list(dict.fromkeys(row.on["clips"]))
    # The file tells the nearest clip's similarity; of a single clip it is its own.
    similarity = row.on["similarity"] if len(heard) == 1 else None
    return {
        "sentence": marked_sentence(benchmark_row["sentence"], _ranges(benchmark_row["spans"]), MASK_TOKEN),
        "off": row.off,
        "on": row.on,
        "place": f"{TASK_NAMES[row.on['task']]} {SPLIT_NAMES[row.on['split']]}, {row.on['id']}",
        "similarity": row.on["similarity"] if similarity is None else None,
        "clips": [draw_clip(clip, similarity) for clip in heard],
    }


def _ranges(spans: Sequence[dict[str, Any]]) -> list[tuple[int, int, None]]:
    """Return the spans that are in the sentence, in order, without what reaches into an earlier one."""
    ranges, position = [], 0
    for start, end in sorted((span["start"], span["end"]) for span in spans):
        if start >= position and end > start:
            ranges.append((start, end, None))
            position = end
    return ranges


def _clip_drawer(sounds: BankSounds | None) -> Callable[[str, float | None], str]:
    def draw(clip: str, similarity: float | None) -> str:
        if sounds is None:
            return f"<p>clip {escape(clip)}</p>"
        try:
            about = sounds.bank.clip(sounds.position(clip))
        except AudioBertInputError as error:
            return no_player(str(error))
        facts = {name: about[name] for name in ("id", "caption", "label", "licence")}
        try:
            sound = player(sounds.sound(clip), about["caption"] or clip, compressed=True)
        except AudioBertInputError as error:
            sound = no_player(str(error))
        return clip_card({**facts, "similarity": similarity, "heard": False}, sound)

    return draw
