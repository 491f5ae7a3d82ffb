"""The sample benchmark: candidates filtered and split by the construction pipeline, in AuditoryBench's layout."""

import csv
import itertools
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, PITCH, PUBLISHED_SPLITS
from audiobert.dataset_scripts.construction.clip_pitches import PitchSettings, measure_clips
from audiobert.dataset_scripts.construction.filtering import FilterSettings, filter_rows
from audiobert.dataset_scripts.construction.splitting import split_rows
from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .ordinary_sentences import ordinary_sentences
from .sample_bank import clips_of
from .sentences import call_rows, pitch_rows
from .sound_sources import CALLS, PITCHES, SoundSource


__all__ = ["FACTS_FILE", "ORDINARY_FILE", "SampleSize", "measure_sources", "write_sample_benchmark"]

logger = logging.getLogger(__name__)

FACTS_FILE = "sample.json"
ORDINARY_FILE = "ordinary.txt"
_KNOWN, _UNSEEN = "known", "unseen"
# Rows of one template resemble each other on purpose: only sentences of the very same words are repeats.
_REPEATED = 1.0


@dataclass(frozen=True)
class SampleSize:
    """How large a sample is made.

    Attributes:
        calls (`int`), pitches (`int`): animals and instruments of the facts, at most.
        unseen (`int`): invented calls, and as many invented instruments.
        variants (`int`): clips of each.
        pairs (`int`), unseen_pairs (`int`): of instruments to compare; each gives two rows.
        practice (`int`): sounds of any pitch and without a name, for the audio encoder alone.
        ordinary (`int`): sentences in which nothing sounds, at most some 50,000; the detector needs at least three.
    """

    calls: int = 32
    pitches: int = 60
    unseen: int = 24
    variants: int = 6
    pairs: int = 1000
    unseen_pairs: int = 150
    ordinary: int = 600
    practice: int = 200


def measure_sources(
    folder: str | Path,
    sources: Sequence[SoundSource],
    variants: int,
    read_audio: Callable,
    workers: int | None = None,
) -> dict[str, float | None]:
    """Return the measured pitch of each instrument in Hz: the mean over its clips; None if none has one.

    Args:
        folder (`str` or `Path`): where `write_sample_clips` wrote.
        read_audio (`Callable`), workers (`int`, *optional*): see `measure_clips`.
    """
    clips = clips_of([source for source in sources if source.task == PITCHES], variants)
    measured = defaultdict(list)
    # YIN is as right as pYIN on clean single tones, and many times faster.
    for clip, row in zip(
        clips, measure_clips(clips, folder, read_audio, PitchSettings(estimator="yin"), workers=workers), strict=True
    ):
        measured[clip["label"]].append(row["average_pitch_hz"])
    return {
        name: float(np.mean(pitches)) if (pitches := [value for value in values if value is not None]) else None
        for name, values in measured.items()
    }


def write_sample_benchmark(
    folder: str | Path,
    sources: Sequence[SoundSource],
    pitches: dict[str, float | None],
    size: SampleSize | None = None,
    seed: int = 0,
) -> Path:
    """Write the sample benchmark as a folder that `load_auditorybench` and every recipe's `data_dir` take.

    Known calls and instruments are divided into train, validation and test, with no sentence and no compared pair in
    two of them. The wiki split is the unseen part: its calls and instruments are invented, and their names stand in no
    sentence of the other splits, so that no text tells the answer; only the bank, whose captions hold the names, does.

    Args:
        pitches (`dict[str, float | None]`): of each instrument, as `measure_sources` returns them. Rows whose
            expected answer the measurement contradicts are left out.

    Returns:
        `Path`: the folder; besides the CSV files it holds `sample.json` (counts, and what was left out for what) and
        `ordinary.txt` (sentences in which nothing sounds, for the span detector).

    Raises:
        AudioBertInputError: the sample is too small to be split, or the folder cannot be written to.
    """
    size = size or SampleSize()
    measured = [{"id": name, "average_pitch_hz": pitch} for name, pitch in pitches.items()]
    filtered = {
        part: filter_rows(rows, measured, FilterSettings(near_duplicate_similarity=_REPEATED))
        for part, rows in _candidates(sources, size, seed).items()
    }
    # Every pair of instruments that is compared has all others in common with it: by their clips alone, they could not
    # be parted.
    known = [{name: value for name, value in row.items() if name != "clip_ids"} for row in filtered[_KNOWN].kept]
    splits = split_rows(known, filtered[_UNSEEN].kept, seed, _REPEATED).splits
    facts = {"seed": seed, "rows": {}, "left_out": {part: outcome.reasons for part, outcome in filtered.items()}}
    logger.info("left out: %s", facts["left_out"])
    with staged_folder(folder) as stage:
        (stage / "dataset").mkdir()
        for split, task in itertools.product(PUBLISHED_SPLITS, (ANIMAL, PITCH)):
            kept = [row for row in splits.get(split, []) if row["task"] == task]
            if not kept:
                raise AudioBertInputError(
                    f"no row of {task} is left in the sample's {split} split (left out: {facts['left_out']}); ask "
                    f"for a larger sample."
                )
            _write_split(stage / "dataset", task, split, kept)
            facts["rows"].setdefault(task, {})[split] = len(kept)
        ordinary = ordinary_sentences(size.ordinary, seed)
        (stage / ORDINARY_FILE).write_text("\n".join(ordinary) + "\n", encoding="utf-8")
        (stage / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return Path(folder)


def _candidates(sources: Sequence[SoundSource], size: SampleSize, seed: int) -> dict[str, list[dict]]:
    def rows(unseen: bool, pairs: int) -> list[dict]:
        chosen = [source for source in sources if source.unseen == unseen]
        calls, pitches = ([source for source in chosen if source.task == task] for task in (CALLS, PITCHES))
        return call_rows(calls) + pitch_rows(pitches, pairs, seed)

    return {_KNOWN: rows(False, size.pairs), _UNSEEN: rows(True, size.unseen_pairs)}


def _write_split(folder: Path, task: str, split: str, rows: Sequence[dict]) -> None:
    # The names and columns of the published files; "comparsion" is how they spell it.
    if task == ANIMAL:
        name, columns = "animal_sound_recognition", ("animal", "description", "sentence")
        cells = [(row["answer"], row["spans"][0], row["sentence"]) for row in rows]
    else:
        name, columns = "sound_pitch_comparsion", ("sentence", "answer", "span1", "span2")
        cells = [(row["sentence"], row["answer"], *row["spans"]) for row in rows]
    path = folder / f"{name}_{PUBLISHED_SPLITS[split]}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(cells)
