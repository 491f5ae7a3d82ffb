"""Clips of tar sets: which tars a pattern means, what their JSON tells, and what damage leaves."""

import gzip
import tarfile

import pytest
from tiny_sounds import noise, tone
from tiny_tars import sound_bytes, write_tar, write_tars

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.clip_opening import open_clips
from audiobert.trainers.clip_sources import Clip
from audiobert.trainers.clip_streams import ByteRange


def clips_of(source):
    return list(open_clips(source).walk())


def test_a_clip_has_its_json_beside_it_and_its_sound_is_not_read_before_it_is_wanted(tmp_path):
    write_tars(tmp_path / "set")
    found = clips_of(tmp_path / "set")
    assert [entry.clip.id for entry in found] == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"]
    assert found[4].clip == Clip("1/1", "1.tar/1.flac", "a sound, number 4", "sound, loud", "CC0")
    assert all(isinstance(entry.audio, ByteRange) and entry.held_bytes == 0 for entry in found)
    with tarfile.open(tmp_path / "set" / "1.tar") as archive:
        assert found[4].read() == archive.extractfile("1.flac").read()


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "tar.bz2"])
def test_compressed_tars_hold_the_same_clips(tmp_path, ending):
    members = [("a.flac", tone()), ("a.json", {"text": "a hum"}), ("b.wav", noise()), ("b.json", {"tag": "rain"})]
    mode = "w:bz2" if ending.endswith("bz2") else "w:gz"
    packed = clips_of(write_tar(tmp_path / f"set.{ending}", members, mode))
    plain = clips_of(write_tar(tmp_path / "set.tar", members))
    assert [entry.read() for entry in packed] == [entry.read() for entry in plain]
    assert [entry.clip.id for entry in packed] == ["set/a", "set/b"] == [entry.clip.id for entry in plain]
    assert [entry.clip.caption for entry in packed] == ["a hum", None]


PATTERNS = {
    "a folder": ("set", ["train/0", "train/1", "valid/0"]),
    "one tar": ("set/train/1.tar", ["1"]),
    "a glob": ("set/*/0.tar", ["train/0", "valid/0"]),
    "a range": ("set/train/{0..1}.tar", ["0", "1"]),
    "words": ("set/{valid,train}/0.tar", ["valid/0", "train/0"]),
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_pattern_stands_for_tars_whose_names_begin_the_ids(tmp_path, kind):
    pattern, names = PATTERNS[kind]
    for name in ("train/0", "train/1", "valid/0"):
        write_tar(tmp_path / "set" / f"{name}.tar", [("x.wav", tone()), ("x.json", {"text": "a hum"})])
    assert [entry.clip.id for entry in clips_of(f"{tmp_path}/{pattern}")] == [f"{name}/x" for name in names]


def test_leading_zeros_of_a_range_are_kept(tmp_path):
    for number in (8, 9, 10):
        write_tar(tmp_path / f"{number:03d}.tar", [("x.wav", tone())])
    assert [entry.clip.id for entry in clips_of(f"{tmp_path}/{{008..010}}.tar")] == ["008/x", "009/x", "010/x"]


def test_a_missing_tar_and_a_pattern_without_any_are_refused(tmp_path):
    write_tars(tmp_path / "set")
    with pytest.raises(AudioBertInputError, match=r"there is no tar '.*2.tar'"):
        open_clips(f"{tmp_path}/set/{{0..2}}.tar")
    with pytest.raises(AudioBertInputError, match=r"no tar file matches '.*x\*.tar'"):
        open_clips(f"{tmp_path}/set/x*.tar")
    with pytest.raises(AudioBertInputError, match=r"there is no tar '.*none.tar'"):
        open_clips(tmp_path / "none.tar")
    with pytest.raises(AudioBertInputError, match="has no splits or configurations"):
        open_clips(tmp_path / "set", split="train")
    (tmp_path / "set" / "loose.wav").write_bytes(sound_bytes(tone(), "wav"))
    with pytest.raises(AudioBertInputError, match="holds audio files and tar files"):
        open_clips(tmp_path / "set")


BAD_MEMBERS = {
    "no audio": ([("a.json", {"text": "a hum"})], "no audio file beside 'a.json'"),
    "no text": ([("a.wav", tone()), ("a.json", {"title": "x"})], "neither 'text' nor 'tag'"),
    "empty texts": ([("a.wav", tone()), ("a.json", {"text": ["", " "], "tag": []})], "neither 'text' nor 'tag'"),
    "a list": ([("a.wav", tone()), ("a.json", ["a hum"])], "is not an object"),
    "not JSON": ([("a.wav", tone()), ("a.json", b"{text")], "is no description"),
    "not UTF-8": ([("a.wav", tone()), ("a.json", b'{"text": "\xff"}')], "is no description"),
    "out of the folder": ([("../a.wav", tone())], "leads out of the tar"),
    "absolute": ([("/etc/a.wav", tone())], "leads out of the tar"),
    "two sounds": ([("a.flac", tone()), ("a.wav", tone()), ("a.json", {"text": "x"})], "second audio file"),
}


@pytest.mark.parametrize("kind", BAD_MEMBERS)
def test_what_is_wrong_with_one_clip_is_told_and_the_others_are_found(tmp_path, kind):
    members, reason = BAD_MEMBERS[kind]
    fine = [("z.wav", noise()), ("z.json", {"text": "rain"})]
    found = clips_of(write_tar(tmp_path / "set.tar", [*members, ("readme.txt", b"x"), ("._a.wav", b"x"), *fine]))
    problems = [entry.problem for entry in found if entry.problem]
    assert len(problems) == 1
    assert reason in problems[0]
    assert found[-1].clip == Clip("set/z", "set.tar/z.wav", "rain")
    assert found[-1].problem is None


def test_a_link_in_a_tar_is_no_sound(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        link = tarfile.TarInfo("a.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "is a link" in clips_of(tmp_path / "set.tar")[0].problem


@pytest.mark.parametrize("share", [0.4, 0.65, 0.9])
def test_a_truncated_tar_gives_the_clips_before_the_damage_and_says_so(tmp_path, share):
    whole = write_tars(tmp_path / "set", num_tars=1, per_tar=5) / "0.tar"
    content = whole.read_bytes()
    whole.write_bytes(content[: int(share * len(content.rstrip(b"\0")))])
    found = clips_of(whole)
    fine = [entry for entry in found if entry.problem is None]
    assert 1 <= len(fine) < 5
    assert [entry.clip.id for entry in fine] == [f"0/{place}" for place in range(len(fine))]
    assert found[-1].clip == Clip("0", "0.tar")
    assert "tar '0.tar' is damaged or truncated" in found[-1].problem


def test_a_tar_that_ends_between_two_members_is_noticed(tmp_path):
    members = [("a.wav", tone()), ("b.wav", noise())]
    content = write_tar(tmp_path / "set.tar", members).read_bytes()
    first = 512 + -(-len(sound_bytes(tone(), "wav")) // 512) * 512
    (tmp_path / "set.tar").write_bytes(content[:first])
    assert ["no end mark" in (entry.problem or "") for entry in clips_of(tmp_path / "set.tar")] == [False, True]


@pytest.mark.parametrize(
    "content", [b"", b"not a tar" * 200, gzip.compress(b"x" * 5000)], ids=["empty", "text", "gzip"]
)
def test_what_is_no_tar_is_told_under_its_name(tmp_path, content):
    (tmp_path / "set.tar").write_bytes(content)
    (entry,) = clips_of(tmp_path / "set.tar")
    assert "the tar 'set.tar' is damaged" in entry.problem


def test_a_truncated_compressed_tar_is_told_too(tmp_path):
    plain = write_tars(tmp_path / "set", num_tars=1, per_tar=4) / "0.tar"
    packed = gzip.compress(plain.read_bytes())
    plain.unlink()
    (tmp_path / "set" / "0.tar.gz").write_bytes(packed[: len(packed) // 2])
    found = clips_of(tmp_path / "set")
    assert found[-1].clip.id == "0"
    assert "damaged or truncated" in found[-1].problem
