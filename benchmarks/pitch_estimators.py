"""Measure how far each pitch estimator is from the true pitch of notes that were played by known instruments.

    python benchmarks/pitch_estimators.py ../shared/audio_bank/manifest.csv --cache /tmp/pitch_cache

Reads a manifest with the columns id, path, category and f0_hz, and prints a table and one JSON document: the absolute
error in cents (100 are a semitone) of the average and of the median pitch over the clips with an f0_hz, the share
within 50 and 100 cents, octave errors (within 50 cents of a whole number of octaves, not 0), clips without pitch
(counted as wrong in the shares), and, as noise ought to have none, the share without pitch of some 65 environment
clips. CPU time is that of 20 clips in one process. With a cache, a run that was stopped goes on.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np

from audiobert.dataset_scripts.construction.clip_pitches import PitchSettings, measure_clips
from audiobert.dataset_scripts.construction.pitch import ESTIMATORS, FMAX_HZ, FMIN_HZ
from audiobert.trainers.audio_loading import load_audio


TIMED_CLIPS = 20


def main() -> None:
    """Measure with every estimator and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), choices=ESTIMATORS)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="measure each N-th note only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    with arguments.manifest.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    notes = [row for row in rows if row["f0_hz"]][:: arguments.every]
    noises = [row for row in rows if row["category"] == "environment"][::3]
    results = []
    for estimator in arguments.estimators:
        unpitched = [row["average_pitch_hz"] is None for row in _measure(noises, arguments, estimator)]
        results.append(
            {"estimator": estimator, "clips": len(notes)}
            | _errors(notes, _measure(notes, arguments, estimator))
            | {"environment_clips": len(noises), "environment_without_pitch": round(float(np.mean(unpitched)), 4)}
            | {"cpu_seconds_per_clip": _cpu_seconds(notes, arguments.manifest.parent, estimator)}
        )
    outside = sum(not FMIN_HZ <= float(row["f0_hz"]) <= FMAX_HZ for row in notes)
    report = {"notes_outside_the_range": outside, "results": results}
    print(f"{_table(results)}\n{json.dumps(report, indent=2)}")  # noqa: T201 - the script's output


def _measure(clips: list[dict], arguments: argparse.Namespace, estimator: str) -> list[dict]:
    settings, folder = PitchSettings(estimator), arguments.manifest.parent
    return measure_clips(clips, folder, load_audio, settings, cache=arguments.cache, workers=arguments.workers)


def _cpu_seconds(notes: list[dict], folder: Path, estimator: str) -> float:
    timed = notes[:: max(1, len(notes) // TIMED_CLIPS)]
    measure_clips(timed[:1], folder, load_audio, PitchSettings(estimator), workers=1)  # numba compiles
    started = time.process_time()
    measure_clips(timed, folder, load_audio, PitchSettings(estimator), workers=1)
    return round((time.process_time() - started) / len(timed), 4)


def _errors(notes: list[dict], measured: list[dict]) -> dict:
    """Return the error of the average and of the median pitch."""
    result = {"without_pitch": sum(row["average_pitch_hz"] is None for row in measured)}
    for kind in ("average", "median"):
        cents = np.array(
            [
                1200 * np.log2((row[f"{kind}_pitch_hz"] or np.nan) / float(note["f0_hz"]))
                for note, row in zip(notes, measured, strict=True)
            ]
        )
        octaves = np.round(cents / 1200)
        result[kind] = {
            "median_cents": round(float(np.nanmedian(np.abs(cents))), 2),
            "within_50_cents": round(float((np.abs(cents) <= 50).mean()), 4),
            "within_100_cents": round(float((np.abs(cents) <= 100).mean()), 4),
            "octave_errors": int(((octaves != 0) & (np.abs(cents - 1200 * octaves) <= 50)).sum()),
        }
    return result


def _table(results: list[dict]) -> str:
    lines = [
        "| estimator | pitch | median error, cents | within 50 | within 100 | octave errors | none | CPU ms |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        for kind in ("average", "median"):
            found, cpu = result[kind], 1000 * result["cpu_seconds_per_clip"]
            shares = [f"{100 * found[f'within_{cents}_cents']:.1f} %" for cents in (50, 100)]
            lines.append(
                f"| {result['estimator']} | {kind} | {found['median_cents']:.1f} | {' | '.join(shares)} "
                f"| {found['octave_errors']} | {result['without_pitch']} | {cpu:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
