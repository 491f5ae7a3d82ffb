"""Clips from folders and manifests, and the rows that are refused."""

import json

import pytest
import soundfile
from tiny_sounds import RATE, tone, write_clips, write_manifest

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.clip_sources import Clip, read_clips
from audiobert.trainers.clip_splits import split_clips


ROW = {"id": "one", "path": "a/one.wav", "caption": "a cat", "label": "cat", "license": "CC0", "near_dup_group": "g"}


def test_a_csv_and_a_json_lines_manifest_give_the_same_clips(tmp_path):
    expected = Clip("one", "a/one.wav", "a cat", "cat", "CC0", "g")
    assert read_clips(write_manifest(tmp_path, [ROW])).clips == (expected,)
    (tmp_path / "clips.jsonl").write_text(json.dumps({**ROW, "extra": [1]}) + "\n\n", encoding="utf-8")
    assert read_clips(tmp_path / "clips.jsonl").clips == (expected,)


def test_empty_cells_are_not_known_and_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    (tmp_path / "m.csv").write_text("id,path,caption\n\none,one.wav,\n", encoding="utf-8-sig")
    assert read_clips(tmp_path / "m.csv").clips == (Clip("one", "one.wav"),)


@pytest.mark.parametrize("column", ["average_pitch_hz", "avg_pitch_hz"])
def test_pitches_are_read_under_either_name_and_an_empty_one_is_not_known(tmp_path, column):
    (tmp_path / "m.csv").write_text(f"id,path,caption,{column}\n1,a.wav,,440.5\n2,b.wav,,\n", encoding="utf-8")
    assert [clip.average_pitch_hz for clip in read_clips(tmp_path / "m.csv").clips] == [440.5, None]
    lines = [json.dumps({"id": "1", "path": "a.wav", "caption": "", column: 440})]
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert [clip.average_pitch_hz for clip in read_clips(tmp_path / "m.jsonl").clips] == [440.0]


@pytest.mark.parametrize("pitch", ["high", "0", "-3", "nan", "inf"])
def test_a_pitch_that_is_no_frequency_is_refused_by_file_and_row(tmp_path, pitch):
    (tmp_path / "bad.csv").write_text(f"id,path,caption,avg_pitch_hz\n1,a.wav,,{pitch}\n", encoding="utf-8")
    with pytest.raises(AudioBertInputError, match=rf"bad.csv', row 1: 'avg_pitch_hz' must be a frequency.*{pitch}"):
        read_clips(tmp_path / "bad.csv")


def test_a_folder_with_a_manifest_is_read_by_it_and_any_other_by_its_files(tmp_path):
    write_clips(tmp_path / "described", per_label=1)
    assert {clip.id for clip in read_clips(tmp_path / "described").clips} == {"whistle-0", "hum-0", "rain-0"}
    plain = tmp_path / "plain"
    (plain / "b").mkdir(parents=True)
    for name in ("b/x.wav", "b/x.flac", "a.WAV", ".hidden.wav"):
        soundfile.write(plain / name, tone(), RATE)
    (plain / "notes.txt").write_text("not a clip")
    found = read_clips(plain)
    assert [(clip.id, clip.path) for clip in found.clips] == [
        ("a", "a.WAV"),
        ("b/x.flac", "b/x.flac"),
        ("b/x.wav", "b/x.wav"),
    ]
    assert {clip.caption for clip in found.clips} == {None}


def csv_of(*rows):
    return "id,path,caption\n" + "".join(f"{row}\n" for row in rows)


REFUSED = {
    "no rows": (csv_of(), "has no rows"),
    "missing columns": ("id,caption\none,a cat\n", "lacks path"),
    "semicolons": ("id;path;caption\none;one.wav;a cat\n", "another sign than a comma"),
    "a column twice": ("id,path,caption,license,licence\n1,a.wav,c,,\n", "'licence' more than once"),
    "duplicate ids": (csv_of("one,a.wav,", "two,b.wav,", "one,c.wav,"), "row 3: the id 'one' stands in row 1"),
    "empty id": (csv_of(",a.wav,"), "row 1: the id is empty"),
    "empty path": (csv_of("one,,"), "row 1: the path is empty"),
    "too many values": (csv_of("one,a.wav,cats, and dogs"), "row 1: 4 values for 3 columns"),
    "an open quote": (csv_of('one,a.wav,"a cat'), "not valid CSV"),
    "parent folder": (csv_of("one,a.wav,", "two,../b.wav,"), r"row 2 \(id 'two'\).*inside the folder"),
    "hidden parent": (csv_of("one,x/../../b.wav,"), "inside the folder"),
    "absolute": (csv_of("one,/etc/passwd,"), "must be relative"),
    "windows": (csv_of("one,C:\\clips\\b.wav,"), "forward slashes"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_wrong_csv_manifest_is_refused_by_file_and_row(tmp_path, kind):
    text, reason = REFUSED[kind]
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(AudioBertInputError, match=f"bad.csv'.*{reason}"):
        read_clips(tmp_path / "bad.csv")


REFUSED_LINES = {
    "not JSON": ("{id: 1}", "row 1: not valid JSON"),
    "a list": ("[1]", "row 1: a row must be a JSON object"),
    "a missing key": ('{"id": "one", "path": "a.wav"}', "row 1 lacks caption"),
    "a number as caption": ('{"id": "one", "path": "a.wav", "caption": 3}', "row 1: 'caption' must be text, not 3"),
}


@pytest.mark.parametrize("kind", REFUSED_LINES)
def test_a_wrong_json_lines_manifest_is_refused_by_file_and_row(tmp_path, kind):
    text, reason = REFUSED_LINES[kind]
    (tmp_path / "bad.jsonl").write_text(text + "\n", encoding="utf-8")
    with pytest.raises(AudioBertInputError, match=f"bad.jsonl', {reason}"):
        read_clips(tmp_path / "bad.jsonl")


def test_other_encodings_other_suffixes_and_other_places_are_refused(tmp_path):
    (tmp_path / "latin.csv").write_bytes(csv_of("one,a.wav,caf\u00e9").encode("latin-1"))
    with pytest.raises(AudioBertInputError, match=r"latin.csv' is not UTF-8 text .*Save it as UTF-8"):
        read_clips(tmp_path / "latin.csv")
    (tmp_path / "clips.xlsx").write_bytes(b"")
    with pytest.raises(AudioBertInputError, match=r"must end in .csv or .jsonl"):
        read_clips(tmp_path / "clips.xlsx")
    with pytest.raises(AudioBertInputError, match="there is no clip source"):
        read_clips(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioBertInputError, match="holds no audio file"):
        read_clips(tmp_path / "empty")


def test_a_link_out_of_the_folder_is_refused_and_one_within_it_is_not(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    soundfile.write(tmp_path / "secret.wav", tone(), RATE)
    soundfile.write(inside / "real.wav", tone(), RATE)
    (inside / "link.wav").symlink_to(inside / "real.wav")
    assert len(read_clips(inside)) == 2
    (inside / "out.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(AudioBertInputError, match=r"out.wav' is a link out of the folder"):
        read_clips(inside)
    with pytest.raises(AudioBertInputError, match=r"row 1 .*out.wav' is a link"):
        read_clips(write_manifest(inside, [{**ROW, "path": "out.wav"}]))


def test_cuts_of_one_recording_stay_on_one_side_and_new_clips_move_no_others():
    clips = [Clip(f"clip-{index}", "p", group=f"g{index // 4}" if index < 200 else None) for index in range(400)]
    split = split_clips(clips, 0.2, seed=0)
    train, held_out = split.train, split.recordings
    assert len(train) + len(held_out) == 400
    assert split.sources == []
    assert 40 < len(held_out) < 120
    assert not {clip.group for clip in train if clip.group} & {clip.group for clip in held_out if clip.group}
    fewer = [clip for clip in clips if clip.id != "clip-7"]
    assert split_clips(fewer, 0.2, seed=0).held_out == [clip for clip in held_out if clip.id != "clip-7"]
    assert split_clips(clips, 0.2, seed=1).held_out != held_out
    assert split_clips(clips, 0.0, seed=0).held_out == []


def test_a_held_out_source_stays_out_of_training_and_so_do_copies_of_its_clips():
    clips = [Clip(f"zoo-{index}", "p", source="zoo") for index in range(3)]
    clips += [Clip("copied", "p", source="zoo", group="g"), Clip("copy", "p", source="farm", group="g")]
    clips += [Clip(f"farm-{index}", "p", source="farm") for index in range(20)] + [Clip("no-source", "p")]
    split = split_clips(clips, 0.0, seed=0, held_out_sources=["zoo"])
    assert [clip.id for clip in split.sources] == ["zoo-0", "zoo-1", "zoo-2", "copied"]
    assert [clip.id for clip in split.recordings] == ["copy"]
    assert len(split.train) == 21
    assert split.counts() == {"train": 21, "validation": 1, "held_out_sources": 4}
    with pytest.raises(AudioBertInputError, match=r"held_out_sources names 'moon'.* has farm, zoo"):
        split_clips(clips, 0.1, seed=0, held_out_sources=["zoo", "moon"])


def test_the_real_manifest_is_read_as_it_is(shared):
    source = read_clips(shared / "audio_bank")
    assert len(source) == 3227
    assert all(clip.caption and clip.label and clip.licence and clip.source for clip in source.clips)
    assert all(source.file(clip).is_file() for clip in source.clips)
