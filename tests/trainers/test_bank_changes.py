"""Banks of tars, copies of a sound, and clips that come and go without a rebuild."""

import json
import shutil

import pytest
import soundfile
import torch
from bank_files import files_of
from tiny_sounds import RATE, noise, tone, write_clips, write_manifest
from tiny_tars import write_tar, write_tars

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.bank_building import SKIPPED_FILE, add_clips, build_bank, remove_clips
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
from audiobert.trainers.clip_sources import ClipSource, read_clips


@pytest.fixture(scope="module")
def encoders(parts):
    return load_bank_encoders(parts.clap, parts.audio_encoder)


def counting(encoders):
    """Note the forward passes of the audio encoder; return the hook and the list."""
    passes = []
    hook = encoders.audio_encoder.register_forward_pre_hook(lambda module, inputs: passes.append(len(inputs[0])))
    return hook, passes


def test_a_bank_of_tars_has_the_keys_of_the_same_files_in_a_folder(encoders, tmp_path):
    write_tars(tmp_path / "set")
    bank, report = build_bank(tmp_path / "set", encoders, tmp_path / "bank", BankOptions(chunk_size=2))
    for index in range(2):
        shutil.unpack_archive(tmp_path / "set" / f"{index}.tar", tmp_path / "files" / str(index))
    loose, _ = build_bank(tmp_path / "files", encoders, tmp_path / "loose")
    assert torch.equal(bank.keys, loose.keys)
    assert torch.equal(bank.values, loose.values)
    assert bank.clips["id"].to_pylist() == loose.clips["id"].to_pylist()
    assert bank.clip(4)["caption"] == "a sound, number 4"
    assert (report.num_clips, report.skipped, report.duplicates) == (6, (), ())


def test_broken_tars_and_members_are_reported_and_the_rest_is_kept(encoders, tmp_path):
    write_tars(tmp_path / "set")
    content = (tmp_path / "set" / "1.tar").read_bytes()
    (tmp_path / "set" / "1.tar").write_bytes(content[: len(content) // 2])
    write_tar(tmp_path / "set" / "2.tar", [("x.wav", b"no sound"), ("y.wav", tone(900)), ("z.json", {"text": "?"})])
    bank, report = build_bank(tmp_path / "set", encoders, tmp_path / "bank")
    assert {"0/0", "0/1", "0/2", "2/y"} <= set(bank.clips["id"].to_pylist())
    assert [entry["id"] for entry in report.skipped if not entry["id"].startswith("1/")] == ["1", "2/x", "2/z"]
    assert json.loads((tmp_path / "bank" / SKIPPED_FILE).read_text()) == list(report.skipped)
    with pytest.raises(AudioBertInputError, match=r"tar '1.tar' is truncated.*3 more.*Nothing was written"):
        build_bank(tmp_path / "set", encoders, tmp_path / "strict", BankOptions(strict=True))
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize("chunk_size", [1, 64], ids=["in other chunks", "in one chunk"])
def test_copies_of_a_sound_are_kept_once_whatever_the_format_unless_asked(encoders, tmp_path, chunk_size):
    folder = tmp_path / "clips"
    folder.mkdir()
    soundfile.write(folder / "a.wav", tone(), RATE)
    soundfile.write(folder / "b.flac", soundfile.read(folder / "a.wav", dtype="int16")[0], RATE)
    soundfile.write(folder / "c.wav", noise(), RATE)
    soundfile.write(folder / "d.wav", tone(), RATE)
    options = BankOptions(chunk_size=chunk_size)
    bank, report = build_bank(folder, encoders, tmp_path / "bank", options)
    assert bank.clips["id"].to_pylist() == ["a", "c"]
    assert [(entry["id"], entry["duplicate_of"]) for entry in report.duplicates] == [("b", "a"), ("d", "a")]
    assert report.skipped == ()
    whole, report = build_bank(folder, encoders, tmp_path / "all", BankOptions(keep_duplicates=True))
    assert whole.clips["id"].to_pylist() == ["a", "b", "c", "d"]
    assert report.duplicates == ()
    assert torch.equal(whole.keys[0], whole.keys[1])
    assert torch.equal(whole.keys[[0, 2]], bank.keys)


def test_adding_what_was_removed_encodes_only_that_and_keeps_the_order(encoders, tmp_path):
    source = read_clips(write_clips(tmp_path / "clips"))
    whole, _ = build_bank(source, encoders, tmp_path / "whole")
    build_bank(source, encoders, tmp_path / "bank")
    left = remove_clips(tmp_path / "bank", ["hum-1", "rain-3"])
    assert left.clips["id"].to_pylist() == [clip.id for clip in source.clips if clip.id not in ("hum-1", "rain-3")]
    removed = [place for place, clip in enumerate(source.clips) if clip.id in ("hum-1", "rain-3")]
    stayed = [place for place in range(12) if place not in removed]
    assert torch.equal(left.keys, whole.keys[stayed])
    assert torch.equal(left.values, whole.values[stayed])
    hook, passes = counting(encoders)
    again = ClipSource(source.folder, tuple(source.clips[place] for place in removed))
    added, report = add_clips(tmp_path / "bank", again, encoders)
    hook.remove()
    assert passes == [1, 1]
    assert report.num_clips == 2
    assert torch.equal(added.keys, whole.keys[stayed + removed])
    assert torch.equal(added.values, whole.values[stayed + removed])
    assert added.clips.equals(whole.clips.take(stayed + removed))
    added.verify()
    assert not (tmp_path / ".bank.building").exists()


def test_a_bank_that_grew_is_the_bank_of_both_sources_byte_for_byte(encoders, tmp_path):
    source = read_clips(write_clips(tmp_path / "clips"))
    halves = [ClipSource(source.folder, source.clips[:6]), ClipSource(source.folder, source.clips[6:])]
    build_bank(source, encoders, tmp_path / "whole")
    build_bank(halves[0], encoders, tmp_path / "bank")
    add_clips(tmp_path / "bank", halves[1], encoders)
    grown, whole = files_of(tmp_path / "bank"), files_of(tmp_path / "whole")
    for name in ("keys.safetensors", "values.safetensors", "bank.json", SKIPPED_FILE):
        assert grown[name] == whole[name]
    assert AudioBank.load(tmp_path / "bank").clips.equals(AudioBank.load(tmp_path / "whole").clips)


def test_copies_of_what_the_bank_has_are_not_added(encoders, tmp_path):
    (tmp_path / "clips").mkdir()
    for name, sound in (("a", tone()), ("b", tone()), ("c", noise())):
        soundfile.write(tmp_path / "clips" / f"{name}.wav", sound, RATE)
    first = write_manifest(tmp_path / "clips", [{"id": "a", "path": "a.wav"}], "first.csv")
    build_bank(first, encoders, tmp_path / "bank")
    second = write_manifest(tmp_path / "clips", [{"id": name, "path": f"{name}.wav"} for name in "bc"], "second.csv")
    bank, report = add_clips(tmp_path / "bank", second, encoders)
    assert bank.clips["id"].to_pylist() == ["a", "c"]
    assert [entry["duplicate_of"] for entry in report.duplicates] == ["a"]
    third = write_manifest(tmp_path / "clips", [{"id": "d", "path": "b.wav"}], "third.csv")
    with pytest.raises(AudioBertInputError, match="are in the audio bank already"):
        add_clips(tmp_path / "bank", third, encoders)


def test_wrong_changes_are_refused_and_leave_the_bank_as_it_was(encoders, parts, tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=1)
    build_bank(manifest, encoders, tmp_path / "bank")
    before = files_of(tmp_path / "bank")
    with pytest.raises(AudioBertInputError, match=r"has a clip 'whistle-0' already.*audiobert bank remove"):
        add_clips(tmp_path / "bank", manifest, encoders)
    with pytest.raises(AudioBertInputError, match=r"has no clip 'cat' \(nor 1 more.*nothing was removed"):
        remove_clips(tmp_path / "bank", ["hum-0", "cat", "dog"])
    other = load_bank_encoders(parts.clap, parts.audio_encoder)
    with torch.no_grad():
        other.audio_encoder.layernorm.bias += 1.0
    more = write_clips(tmp_path / "more", per_label=2)
    with pytest.raises(AudioBertInputError, match=r"the values of the audio bank .* were made by audio encoder"):
        add_clips(tmp_path / "bank", more, other)
    with pytest.raises(AudioBertInputError, match="there is no audio bank in a local folder"):
        add_clips(tmp_path / "nowhere", more, encoders)
    with pytest.raises(AudioBertInputError, match="there is no audio bank"):
        remove_clips(tmp_path / "clips", ["a"])
    assert files_of(tmp_path / "bank") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank", "clips", "more"]


def test_a_bank_may_lose_all_its_clips_and_get_others(encoders, tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=1)
    whole, _ = build_bank(manifest, encoders, tmp_path / "bank")
    assert len(remove_clips(tmp_path / "bank", whole.clips["id"].to_pylist())) == 0
    bank, _ = add_clips(tmp_path / "bank", manifest, encoders)
    assert torch.equal(bank.keys, whole.keys)


def test_a_bank_that_changes_loses_its_index_and_says_so(encoders, tmp_path, caplog):
    pytest.importorskip("faiss", reason='install "audiobert[faiss]"')
    built, _ = build_bank(write_clips(tmp_path / "clips"), encoders, tmp_path / "bank")
    built.build_index("hnsw")
    built.save_index(tmp_path / "bank")
    assert AudioBank.load(tmp_path / "bank").index_kind == "hnsw"
    remove_clips(tmp_path / "bank", ["hum-1"])
    assert AudioBank.load(tmp_path / "bank").index_kind == "exact"
    assert not (tmp_path / "bank" / "index").exists()
    assert 'Make it again with "audiobert bank index' in caplog.text


def test_an_id_that_a_source_repeats_is_kept_once(encoders, tmp_path):
    write_tar(tmp_path / "set.tar", [("a.wav", tone()), ("b.wav", noise()), ("a.wav", tone(500))])
    bank, report = build_bank(tmp_path / "set.tar", encoders, tmp_path / "bank", BankOptions(chunk_size=1))
    assert bank.clips["id"].to_pylist() == ["set/a", "set/b"]
    assert "another clip has the id 'set/a'" in report.skipped[0]["reason"]
