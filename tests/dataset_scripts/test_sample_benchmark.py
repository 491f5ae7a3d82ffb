"""The sample benchmark loads like AuditoryBench, and its unseen part cannot be known from its other sentences."""

import csv
import io
import json
import math
import re
from collections import Counter

import pytest
import soundfile

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.sample.ordinary_sentences import ordinary_sentences
from audiobert.dataset_scripts.sample.sample_bank import BANK_MANIFEST, ENCODER_MANIFEST, clips_of, write_sample_clips
from audiobert.dataset_scripts.sample.sample_benchmark import SampleSize, measure_sources, write_sample_benchmark
from audiobert.dataset_scripts.sample.sentences import pitch_rows
from audiobert.dataset_scripts.sample.sound_sources import CALLS, PITCHES, practice_sources, sample_sources
from audiobert.modeling_audiobert import AudioBertInputError


SIZE = SampleSize(calls=4, pitches=8, unseen=3, variants=2, pairs=28, unseen_pairs=3, ordinary=30)
SPLITS = ("train", "validation", "test", "wiki")


def read_audio(content, sampling_rate, name):
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == sampling_rate
    return samples


@pytest.fixture(scope="module")
def sources():
    return sample_sources(calls=SIZE.calls, pitches=SIZE.pitches, unseen=SIZE.unseen)


@pytest.fixture(scope="module")
def clips(sources, tmp_path_factory):
    return write_sample_clips(tmp_path_factory.mktemp("sample") / "clips", sources, SIZE.variants, seed=0)


@pytest.fixture(scope="module")
def pitches(sources, clips):
    return measure_sources(clips, sources, SIZE.variants, read_audio, workers=1)


@pytest.fixture(scope="module")
def benchmark(sources, pitches, tmp_path_factory):
    return write_sample_benchmark(tmp_path_factory.mktemp("sample") / "benchmark", sources, pitches, SIZE)


def manifest(clips, name):
    with (clips / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_clip_of_the_manifest_is_there_and_the_same_when_written_again(sources, clips, tmp_path):
    again = write_sample_clips(tmp_path / "clips", sources, SIZE.variants, seed=0)
    rows = manifest(clips, BANK_MANIFEST)
    assert [row["id"] for row in rows] == [clip["id"] for clip in clips_of(sources, SIZE.variants)]
    assert len(rows) == len(sources) * SIZE.variants
    for row in rows:
        assert (clips / row["path"]).read_bytes() == (again / row["path"]).read_bytes()


def test_the_audio_encoder_is_shown_no_invented_source(sources, clips):
    unseen = {source.name for source in sources if source.unseen}
    heard = manifest(clips, ENCODER_MANIFEST)
    animals = {source.animal for source in sources if source.animal and not source.unseen}
    assert animals < {row["label"] for row in heard}
    for row in heard:
        if row["label"] not in animals:
            middle = float(row["label"].removeprefix("around ").removesuffix(" Hz"))
            assert abs(12 * math.log2(middle / float(row["average_pitch_hz"]))) < 1.6
    assert not any(name in row["caption"] for row in heard for name in unseen)


def test_measured_pitches_are_those_the_instruments_were_played_at(sources, pitches):
    assert set(pitches) == {source.name for source in sources if source.task == PITCHES}
    near = [
        abs(pitches[source.name] / source.pitch_hz - 1) < 0.1
        for source in sources
        if source.task == PITCHES and source.family not in ("struck bar", "drum")
    ]
    assert len(near) >= 6
    assert sum(near) >= len(near) - 1


def test_invented_names_stand_in_no_sentence_of_train_validation_or_test(sources, benchmark):
    unseen = [source.name for source in sources if source.unseen]
    rows = [row for split in SPLITS[:3] for row in load_auditorybench("combined", split, benchmark).to_list()]
    assert len(rows) > 50
    for row in rows:
        assert not set(re.findall(r"[a-z]+", row["sentence"].lower())) & set(unseen), row
    asked = load_auditorybench("combined", "wiki", benchmark).to_list()
    assert {span["text"] for row in asked for span in row["spans"]} == set(unseen)


def test_every_span_stands_in_its_sentence_and_answers_are_balanced(benchmark):
    for split in SPLITS:
        rows = load_auditorybench("sound_pitch_comparison", split, benchmark).to_list()
        answers = Counter(row["answer"] for row in rows)
        assert answers["higher"] == answers["lower"] > 0, split
        assert all(row["spans_found"] for row in rows)


def test_no_two_names_are_compared_in_two_splits(benchmark):
    pairs = {
        split: {
            frozenset(span["text"] for span in row["spans"])
            for row in load_auditorybench("sound_pitch_comparison", split, benchmark).to_list()
        }
        for split in SPLITS
    }
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not pairs[one] & pairs[other], (one, other)


def test_the_answer_is_what_was_measured_and_contradicted_rows_are_left_out_and_counted(sources, pitches, tmp_path):
    # Every second instrument is reported far from where it was meant to be.
    names = sorted(pitches)
    reported = {name: 30.0 + index if index % 2 else pitches[name] for index, name in enumerate(names)}
    folder = write_sample_benchmark(tmp_path / "benchmark", sources, reported, SIZE)
    rows = load_auditorybench("sound_pitch_comparison", "train", folder).to_list()
    assert rows
    for row in rows:
        first, second = (reported[span["text"]] for span in row["spans"])
        assert row["answer"] == ("higher" if first > second else "lower")
    left_out = json.loads((folder / "sample.json").read_text())["left_out"]["known"]
    assert left_out["the language model contradicts the measurement"] > 0


def test_no_sentence_about_a_call_is_in_two_splits_and_every_call_is_trained_on(sources, benchmark):
    rows = {split: load_auditorybench("animal_sound_recognition", split, benchmark).to_list() for split in SPLITS[:3]}
    sentences = [row["sentence"].lower() for split in rows for row in rows[split]]
    calls = {source.name for source in sources if source.task == CALLS and not source.unseen}
    assert len(set(sentences)) == len(sentences) == 10 * len(calls)
    assert {row["spans"][0]["text"] for row in rows["train"]} == calls


def test_practice_sounds_are_in_the_encoders_manifest_alone_with_a_family_and_a_pitch(sources, tmp_path):
    practice = practice_sources(5, seed=0)
    folder = write_sample_clips(tmp_path / "clips", sources[:2], 1, seed=0, practice=practice)
    heard = {row["id"]: row for row in manifest(folder, ENCODER_MANIFEST)}
    assert len(manifest(folder, BANK_MANIFEST)) == 2
    for source in practice:
        row = heard[clips_of([source], 1)[0]["id"]]
        assert float(row["average_pitch_hz"]) == pytest.approx(source.pitch_hz, abs=0.01)
        assert (folder / row["path"]).is_file()


def test_pairs_are_asked_both_ways_round(sources):
    instruments = [source for source in sources if source.task == PITCHES]
    rows = pitch_rows(instruments, pairs=5, seed=0)
    assert len(rows) == 10
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        assert one["spans"] == other["spans"][::-1]
        assert {one["answer"], other["answer"]} == {"higher", "lower"}


def test_a_sample_too_small_for_its_splits_is_refused_with_a_way_out(sources, pitches, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"sound_pitch_comparison has 2 rows"):
        write_sample_benchmark(tmp_path / "benchmark", sources, pitches, SampleSize(pairs=1))
    assert not (tmp_path / "benchmark").exists()


def test_ordinary_sentences_are_all_different_and_name_no_call_and_no_instrument(sources, benchmark):
    lines = (benchmark / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == len(lines) == SIZE.ordinary
    names = {source.name.lower() for source in sample_sources()}
    assert not any(set(re.findall(r"[a-z-]+", line.lower())) & names for line in ordinary_sentences(3000))
    assert ordinary_sentences(3000) == ordinary_sentences(3000)
