"""The whole construction pipeline, as a user types it: from captioned clips to the accuracy of a model."""

import json

import datasets
import soundfile
from chat_stand_in import MODEL, ChatState, chat_handler, often_wrong
from http_stand_in import serving
from tiny_sounds import RATE, tone, write_manifest
from typer.testing import CliRunner

from audiobert.cli import app


SOURCES = (
    "dog cat bird cow sheep frog pig horse dolphin bear elephant crow donkey rooster hen lion monkey cricket owl duck"
)
INSTRUMENTS = "violin tuba piccolo flute drum bell oboe viola cello lute harp organ fiddle banjo zither gong"


def write_sounds(folder):
    """A short tone for each name, twice with different captions, a third of an octave from one to the next."""
    folder.mkdir()
    names = [f"a {name} calling" for name in SOURCES.split()]
    names += [f"the sound of a {name}" for name in INSTRUMENTS.split()]
    rows = []
    for number, caption in enumerate([*names, *(f"{name} again" for name in names)]):
        soundfile.write(folder / f"{number}.wav", tone(110 * 2 ** (number % 13 / 3), 0.25), RATE)
        rows.append({"id": f"clip-{number:02d}", "path": f"{number}.wav", "caption": caption, "license": "CC0"})
    return write_manifest(folder, rows), len(rows)


def run(*command):
    done = CliRunner().invoke(app, [*map(str, command), "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_captioned_clips_become_a_benchmark_that_is_loaded_and_evaluated(parts, tmp_path, online):
    manifest, clips = write_sounds(tmp_path / "clips")
    built = tmp_path / "built"
    with serving(chat_handler(ChatState(often_wrong()))) as address:
        llm = ["--base-url", f"{address}/v1", "--model", MODEL, "backoff_seconds=0.01", "timeout_seconds=1"]
        sorted_clips = run("construct", "categorize", manifest, "--out", built / "clips.jsonl", *llm)
        assert sorted_clips["rows"] + sorted_clips["rejects"] == clips
        pitches = built / "pitches.jsonl"
        measured = run("construct", "pitch", manifest, "--out", pitches, "--estimator", "yin", "--workers", 1)
        assert measured["pitched"] == clips
        written = run(
            "construct", "generate", built / "clips.jsonl", "--out", built / "rows.jsonl", "--items", 2,
            "--pairs", 2, "--pitches", pitches, *llm,
        )  # fmt: skip
        assert written["rows"] > 150
    bench = built / "bench"
    run("construct", "split", built / "rows.jsonl", "--pitches", pitches, "--out", bench)
    for task in ("animal_sound_recognition", "sound_pitch_comparison"):
        loaded = datasets.load_dataset(str(bench), task, cache_dir=str(tmp_path / "cache"))
        assert set(loaded) >= {"train", "validation", "test"}
        assert all(row["spans_found"] for split in loaded.values() for row in split)
        for row in loaded["test"]:
            assert row["source"].startswith(MODEL)
    results = run("evaluate", parts.language_model, "--data-dir", bench, "--split", "test")
    counted = {result["task"]: result["rows"] for result in results["results"]}
    assert counted["combined"] == counted["animal_sound_recognition"] + counted["sound_pitch_comparison"] > 5
