"""Pitches of many clips: measured once, by content, in any number of processes."""

import json
import shutil
import tarfile

import numpy as np
import pytest
import soundfile
from tiny_sounds import RATE, noise, tone

from audiobert.dataset_scripts.construction.clip_pitches import PitchSettings, measure_clips
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audio_loading import load_audio


FAST = PitchSettings("piptrack")


@pytest.fixture
def clips(tmp_path) -> list[dict]:
    sounds = {"low": tone(200), "high": tone(1000), "hiss": noise()}
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
    return [{"id": name, "path": f"{name}.wav"} for name in sounds]


def counting_reader(calls: list):
    def read(content, sampling_rate, name) -> np.ndarray:
        calls.append(name)
        return load_audio(content, sampling_rate, name)

    return read


def test_each_clip_gets_a_row_in_order_and_noise_a_reason(clips, tmp_path):
    rows = measure_clips(clips, tmp_path, load_audio, FAST, workers=1)
    assert [row["id"] for row in rows] == ["low", "high", "hiss"]
    assert rows[0]["average_pitch_hz"] == pytest.approx(200, rel=0.03)
    assert rows[1]["average_pitch_hz"] == pytest.approx(1000, rel=0.03)
    assert rows[2]["average_pitch_hz"] is None
    assert "voiced" in rows[2]["reason"]
    assert {(row["estimator"], row["fmin_hz"], row["fmax_hz"]) for row in rows} == {("piptrack", 27.5, 4186.0)}


def test_two_processes_measure_what_one_does(clips, tmp_path):
    alone = measure_clips(clips, tmp_path, load_audio, FAST, workers=1)
    assert measure_clips(clips, tmp_path, load_audio, FAST, workers=2) == alone


def test_nothing_is_measured_twice_even_under_another_name(clips, tmp_path):
    calls: list[str] = []
    cache = tmp_path / "cache"
    first = measure_clips(clips, tmp_path, counting_reader(calls), FAST, cache, workers=1)
    assert sorted(calls) == ["high.wav", "hiss.wav", "low.wav"]
    shutil.copy(tmp_path / "low.wav", tmp_path / "copy.wav")
    again = measure_clips(
        [*clips, {"id": "copy", "path": "copy.wav"}], tmp_path, counting_reader(calls), FAST, cache, workers=1
    )
    assert len(calls) == 3
    assert again[:3] == first
    assert again[3]["average_pitch_hz"] == first[0]["average_pitch_hz"]


def test_other_bytes_or_other_settings_are_measured_anew(clips, tmp_path):
    calls: list[str] = []
    cache = tmp_path / "cache"
    measure_clips(clips, tmp_path, counting_reader(calls), FAST, cache, workers=1)
    soundfile.write(tmp_path / "low.wav", tone(300), RATE)
    changed = measure_clips(clips, tmp_path, counting_reader(calls), FAST, cache, workers=1)
    assert calls[3:] == ["low.wav"]
    assert changed[0]["average_pitch_hz"] == pytest.approx(300, rel=0.03)
    measure_clips(clips, tmp_path, counting_reader(calls), PitchSettings("piptrack", fmin_hz=40), cache, workers=1)
    assert len(calls) == 7


def test_a_run_that_was_stopped_goes_on_from_the_cache(clips, tmp_path):
    calls: list[str] = []
    read = counting_reader(calls)

    def stopped(content, sampling_rate, name):
        if name == "hiss.wav":
            raise KeyboardInterrupt
        return read(content, sampling_rate, name)

    with pytest.raises(KeyboardInterrupt):
        measure_clips(clips, tmp_path, stopped, FAST, tmp_path / "cache", workers=1)
    measure_clips(clips, tmp_path, read, FAST, tmp_path / "cache", workers=1)
    assert calls == ["low.wav", "high.wav", "hiss.wav"]


def test_a_damaged_cache_entry_is_measured_again(clips, tmp_path):
    cache = tmp_path / "cache"
    first = measure_clips(clips, tmp_path, load_audio, FAST, cache, workers=1)
    entries = list(cache.rglob("*.json"))
    assert len(entries) == 3
    for entry, content in zip(entries, ["", "[]", json.dumps({"average_pitch_hz": 1})], strict=True):
        entry.write_text(content)
    assert measure_clips(clips, tmp_path, load_audio, FAST, cache, workers=1) == first


def test_missing_and_broken_files_lose_nothing_and_are_not_remembered(clips, tmp_path):
    (tmp_path / "hiss.wav").unlink()
    (tmp_path / "high.wav").write_bytes(b"")
    rows = measure_clips(clips, tmp_path, load_audio, FAST, tmp_path / "cache", workers=1)
    assert rows[0]["average_pitch_hz"]
    assert [row.get("failed", False) for row in rows] == [False, True, True]
    assert "empty" in rows[1]["reason"]
    assert "No such file" in rows[2]["reason"]
    assert str(tmp_path) not in json.dumps(rows)
    soundfile.write(tmp_path / "high.wav", tone(1000), RATE)
    assert measure_clips(clips, tmp_path, load_audio, FAST, tmp_path / "cache", workers=1)[1]["average_pitch_hz"]


def test_clips_inside_an_archive_are_measured_where_they_are(clips, tmp_path):
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        archive.add(tmp_path / "low.wav", "low.wav")
    inside = {"id": "inside", "path": f"tar://low.wav::{tmp_path / 'shard.tar'}"}
    nowhere = [{"id": "no file", "path": None}, {"id": "no member", "path": f"tar://x.wav::{tmp_path / 'shard.tar'}"}]
    rows = measure_clips([clips[0], inside, *nowhere], tmp_path / "", load_audio, FAST, workers=1)
    assert rows[1]["average_pitch_hz"] == rows[0]["average_pitch_hz"]
    assert [row.get("failed", False) for row in rows] == [False, False, True, True]
    assert "names no file" in rows[2]["reason"]


def test_a_folder_without_any_of_the_clips_is_an_error(clips, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"none of the 3 clips can be read in '.*elsewhere'"):
        measure_clips(clips, tmp_path / "elsewhere", load_audio, FAST, workers=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda clips: [], "no clips to measure"),
        (lambda clips: [*clips, clips[0]], "'low' stands twice"),
    ],
)
def test_clips_that_cannot_be_told_apart_are_refused(clips, tmp_path, change, message):
    with pytest.raises(AudioBertInputError, match=message):
        measure_clips(change(clips), tmp_path, load_audio, FAST, workers=1)


def test_no_worker_measures_nothing(clips, tmp_path):
    with pytest.raises(AudioBertInputError, match="0 workers"):
        measure_clips(clips, tmp_path, load_audio, FAST, workers=0)
