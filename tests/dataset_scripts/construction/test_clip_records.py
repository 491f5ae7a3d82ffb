"""Reading clips from manifests, archives and datasets."""

import io
import json
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from audiobert.dataset_scripts.construction.clip_records import clip_fault, clip_records
from audiobert.modeling_audiobert.errors import AudioBertInputError


def sound() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(800, dtype=np.float32), 16_000, format="FLAC")
    return stream.getvalue()


def write_tar(path, clips):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in clips.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def laion(text, tags, **original):
    return json.dumps({"text": text, "tag": tags, "original_data": original}).encode()


def test_a_csv_manifest_gives_clips_with_all_that_is_known(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "id,path,caption,label,license,near_dup_group,tags\n"
        'one,a/1.wav,a dog barking,dog,CC0,nd1,"pet, bark;outdoor"\n'
        "two,2.wav,,,,,\n"
    )
    for source in (tmp_path, tmp_path / "manifest.csv"):
        one, two = clip_records(str(source))
        assert one == {
            "id": "one",
            "path": str(tmp_path / "a/1.wav"),
            "caption": "a dog barking",
            "tags": ["pet", "bark", "outdoor", "dog"],
            "description": "",
            "source": tmp_path.name,
            "licence": "CC0",
            "group": "nd1",
        }
        assert (two["caption"], two["tags"], two["licence"], two["group"]) == ("", [], None, None)


def test_a_jsonl_manifest_may_hold_lists(tmp_path):
    row = {"id": 7, "path": "7.wav", "caption": ["rain", "on a roof"], "tags": ["rain", "roof"], "description": "long"}
    (tmp_path / "clips.jsonl").write_text(json.dumps(row) + "\n\n")
    (clip,) = clip_records(str(tmp_path / "clips.jsonl"))
    assert (clip["id"], clip["caption"], clip["tags"]) == ("7", "rain", ["rain", "roof"])
    assert clip["description"] == "on a roof long"
    assert clip_fault(clip) == f"there is no file '{tmp_path / '7.wav'}'"
    assert clip_fault({**clip, "path": None}) is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.csv", "id,path\n1,1.wav\n", "has no column 'caption'"),
        ("m.csv", "id,path,caption\n,1.wav,x\n", r"row 1 \(line 2\) has no id"),
        ("m.jsonl", '{"id": "1", "caption": "x"}\n', "line 1 has no path"),
        ("m.jsonl", '{"id": "1"', "line 1 is not JSON"),
        ("m.jsonl", b'{"id": "\xff"}', "line 1 is not JSON in UTF-8"),
        ("m.jsonl", "[1]\n", "line 1 is not a JSON object"),
    ],
)
def test_a_manifest_that_is_wrong_is_named_with_its_line(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AudioBertInputError, match=said):
        list(clip_records(str(path)))
    with pytest.raises(AudioBertInputError, match="cannot read the manifest"):
        list(clip_records(str(tmp_path / "none.jsonl")))


def test_archives_in_the_format_of_laion_audio_630k_are_read_without_their_sounds(tmp_path):
    write_tar(
        tmp_path / "tars" / "0.tar",
        {
            "train/1.flac": sound(),
            "train/1.json": laion(["a dog barking", "dog in a yard"], ["dog"], license="CC0", description="at noon"),
            "train/2.json": laion("rain", []),  # and no sound
            "train/3.json": laion("wind in trees", "wind"),
            "train/3.wav": b"RIFF",
        },
    )
    write_tar(tmp_path / "tars" / "1.tar", {"1.flac": sound(), "notes.txt": b"?"})
    for source in (tmp_path / "tars", f"{tmp_path}/tars/*.tar"):
        one, three, other = clip_records(str(source))
        assert (one["id"], one["caption"], one["tags"]) == ("0/train/1", "a dog barking", ["dog"])
        assert (one["description"], one["licence"]) == ("dog in a yard at noon", "CC0")
        assert (three["id"], three["caption"], three["tags"]) == ("0/train/3", "wind in trees", ["wind"])
        assert (other["id"], other["caption"]) == ("1/1", "")
        assert clip_fault(one) is None
        assert "no caption" in clip_fault(other)
    with fsspec.open(one["path"]) as stream:
        assert stream.read() == sound()
    assert len(list(clip_records(str(tmp_path / "tars" / "1.tar")))) == 1


def test_damaged_archives_are_named(tmp_path):
    whole = write_tar(tmp_path / "0.tar", {"1.flac": sound(), "1.json": laion("x", [])}).read_bytes()
    (tmp_path / "0.tar").write_bytes(whole[:700])
    with pytest.raises(AudioBertInputError, match=r"archive '.*0\.tar' is damaged"):
        list(clip_records(str(tmp_path / "0.tar")))
    write_tar(tmp_path / "1.tar", {"1.flac": sound(), "1.json": b"{"})
    with pytest.raises(AudioBertInputError, match=r"'1\.json' in the archive '.*1\.tar' is not JSON"):
        list(clip_records(str(tmp_path / "1.tar")))


def test_a_dataset_is_streamed_and_its_sounds_are_written_when_asked(tmp_path):
    table = pa.table(
        {
            "id": ["x/1", "x/2"],
            "text": ["a cat meowing", "thunder"],
            "license": ["CC0", None],
            "audio": [{"bytes": sound(), "path": "1.flac"}, {"bytes": sound() + b"\0", "path": "2.flac"}],
        }
    )
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "train-00000.parquet")
    one, two = clip_records(str(tmp_path / "data"))
    assert (one["id"], one["caption"], one["licence"], one["path"]) == ("x/1", "a cat meowing", "CC0", None)
    assert clip_fault(two) is None
    for _ in range(2):
        one, two = clip_records(str(tmp_path / "data"), audio_dir=str(tmp_path / "sounds"))
        assert open(one["path"], "rb").read() == sound()  # noqa: SIM115
        assert two["path"].endswith(".flac")
    assert len(list((tmp_path / "sounds").rglob("*.flac"))) == 2


def test_a_source_that_is_none_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioBertInputError, match=r"empty' holds no clips that can be read: give a manifest"):
        list(clip_records(str(tmp_path / "empty")))
    with pytest.raises(AudioBertInputError, match=r"the dataset 'nobody/nothing' \(split 'train'\) cannot be read"):
        list(clip_records("nobody/nothing"))
