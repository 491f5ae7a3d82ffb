"""Clips of datasets: Parquet in a folder, and tars and Parquet on a stand-in for the Hub."""

import hashlib
import json
import subprocess
import sys

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from http_stand_in import serving
from hub_stand_in import HubState, environment_with_hub, hub_handler
from tiny_sounds import tone
from tiny_tars import sound_bytes, write_tars

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.clip_opening import open_clips


def write_parquet(file, count=3, start=0, typed=True, **columns):
    """Write rows with sounds, as `datasets` exports them, or as plain structs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    numbers = range(start, start + count)
    sounds = [{"bytes": sound_bytes(tone(200 + 90 * number), "wav"), "path": f"{number}.wav"} for number in numbers]
    table = pa.table({"audio": sounds, "caption": [f"a sound, number {number}" for number in numbers], **columns})
    features = {"audio": {"_type": "Audio"}, "caption": {"dtype": "string", "_type": "Value"}}
    names = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "id": {"dtype": "string", "_type": "Value"}}
    features |= {name: names[name] for name in columns}
    if typed:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file)


def clips_of(source, **choices):
    return list(open_clips(source, **choices).walk())


@pytest.mark.parametrize("typed", [True, False], ids=["Audio feature", "struct"])
def test_a_folder_of_parquet_gives_every_split_in_order_without_decoding(tmp_path, typed):
    for shard in range(2):
        write_parquet(tmp_path / "set" / "data" / f"train-{shard:05d}-of-00002.parquet", 2, 2 * shard, typed)
    write_parquet(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", 1, 4, typed)
    found = clips_of(tmp_path / "set")
    assert [entry.clip.caption for entry in found] == [f"a sound, number {number}" for number in range(5)]
    assert [entry.read() for entry in found] == [sound_bytes(tone(200 + 90 * number), "wav") for number in range(5)]
    assert [entry.clip.id for entry in found][1:4] == [
        "train/00000/00000001",
        "train/00001/00000000",
        "train/00001/00000001",
    ]
    assert [entry.clip.path for entry in found] == [f"{number}.wav" for number in range(5)]
    assert len(clips_of(tmp_path / "set", split="test")) == 1
    with pytest.raises(AudioBertInputError, match=r"no split 'dev': it has train, test"):
        open_clips(tmp_path / "set", split="dev")


def test_class_labels_and_ids_are_told_by_name(tmp_path):
    write_parquet(tmp_path / "one.parquet", label=[0, 1, -1], id=["x", "y", "z"])
    found = clips_of(tmp_path / "one.parquet")
    assert [(entry.clip.id, entry.clip.label) for entry in found] == [("x", "cat"), ("y", "dog"), ("z", None)]


def test_a_row_without_a_sound_and_a_damaged_shard_are_told_and_a_table_without_sounds_is_refused(tmp_path):
    for shard in range(2):
        write_parquet(tmp_path / "set" / f"train-{shard:05d}-of-00002.parquet", 2, 2 * shard)
    table = pq.read_table(tmp_path / "set" / "train-00001-of-00002.parquet")
    empty = table.set_column(
        0, table.schema.field("audio"), pa.array([None, {"bytes": None, "path": None}], table["audio"].type)
    )
    pq.write_table(empty, tmp_path / "set" / "train-00001-of-00002.parquet")
    problems = [entry.problem for entry in clips_of(tmp_path / "set")]
    assert problems[:2] == [None, None]
    assert all("holds no sound in its column 'audio'" in problem for problem in problems[2:])
    first = tmp_path / "set" / "train-00001-of-00002.parquet"
    content = bytearray(first.read_bytes())
    content[4:200] = b"x" * 196
    first.write_bytes(content)
    assert "is damaged after 0 rows" in clips_of(tmp_path / "set")[-1].problem
    pq.write_table(pa.table({"caption": ["a"]}), tmp_path / "text.parquet")
    with pytest.raises(AudioBertInputError, match="no column of sounds"):
        open_clips(tmp_path / "text.parquet")


FROM_THE_HUB = """
import hashlib, json, sys
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.clip_opening import open_clips
results = []
for name in sys.argv[1:]:
    try:
        clips = list(open_clips(name).walk())
        results.append([[vars(entry.clip), hashlib.sha256(entry.read()).hexdigest()] for entry in clips])
    except AudioBertInputError as error:
        results.append(str(error))
print(json.dumps(results))
"""


def from_the_hub(state: HubState, home, *names: str) -> list:
    """What another process finds under these names, the Hub being a stand-in for it."""
    state.repository = {"type": "dataset"}
    with serving(hub_handler(state)) as address:
        environment = environment_with_hub(address, home)
        done = subprocess.run(
            [sys.executable, "-c", FROM_THE_HUB, *names], capture_output=True, text=True, env=environment, check=False
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(clips) -> list:
    return [[vars(entry.clip), hashlib.sha256(entry.read()).hexdigest()] for entry in clips]


def test_tars_and_parquet_on_the_hub_are_the_clips_of_the_same_files_here(tmp_path):
    write_tars(tmp_path / "tars" / "train")
    write_parquet(tmp_path / "tables" / "data" / "train-00000-of-00001.parquet")
    here = told(clips_of(tmp_path / "tars"))
    names = ["hf://datasets/me/bench", "me/bench", "me/bench@main", "hf://datasets/me/bench/train/1.tar"]
    names += ["hf://datasets/me/bench/test/*.tar", "me/nothing"]
    *whole, chosen, unmatched, unknown = from_the_hub(HubState.of(tmp_path / "tars"), tmp_path / "home", *names)
    assert whole == [here] * 3
    assert chosen == here[3:]
    assert "no tar of the dataset 'me/bench' matches 'test/*.tar'" in unmatched
    assert "nor does the Hub know such a public dataset" in unknown
    tables = from_the_hub(HubState.of(tmp_path / "tables"), tmp_path / "home", "me/bench")
    assert tables == [told(clips_of(tmp_path / "tables"))]


def test_a_hub_that_does_not_answer_is_not_said_to_lack_the_dataset(monkeypatch, online):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(AudioBertInputError, match="the Hub could not be reached"):
        open_clips("me/bench")


def test_offline_the_hub_is_not_said_to_lack_the_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        AudioBertInputError, match="neither a file nor a folder here, and the Hub could not be reached"
    ):
        open_clips("me/bench")
    with pytest.raises(AudioBertInputError, match="could not be reached"):
        open_clips("hf://datasets/me/bench")
    with pytest.raises(AudioBertInputError, match="is not a dataset of the Hub"):
        open_clips("hf://models")
    with pytest.raises(AudioBertInputError, match="there is no clip source 'a/b/c'"):
        open_clips("a/b/c")
