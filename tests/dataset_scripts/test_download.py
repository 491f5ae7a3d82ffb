"""The download path, with the real published bytes served from 127.0.0.1 in place of GitHub."""

import datasets
import pytest
from datasets import load_dataset
from http_stand_in import files_handler, serving

from audiobert.dataset_scripts.auditorybench.sources import PINNED, SPLITS
from audiobert.modeling_audiobert.errors import AudioBertInputError


ANIMAL = "animal_sound_recognition"
FILES = {split: PINNED[ANIMAL, split] for split in SPLITS}
PLACES = {split: f"/{file.revision}/{file.path}" for split, file in FILES.items()}


@pytest.fixture
def published(shared) -> dict[str, bytes]:
    """What GitHub serves, by path; of the train file, the copy that was typed off."""
    folders = dict.fromkeys(SPLITS, shared / "auditorybench" / "published")
    train = shared / "auditorybench" / "animal_train" / "animal_sound_recognition_train.csv"
    served = {PLACES[split]: (folders[split] / FILES[split].path.rsplit("/", 1)[-1]).read_bytes()
              for split in SPLITS if split != "train"}  # fmt: skip
    return served | {PLACES["train"]: train.read_bytes()}


@pytest.fixture
def downloads_allowed(monkeypatch):
    """The tests run offline; 127.0.0.1 is to be reached all the same."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)


def test_a_download_is_verified_and_never_repeated(published, downloads_allowed):
    requested = []
    with serving(files_handler(published, requested)) as address:
        rows = load_dataset("auditorybench", ANIMAL, url=address, split="wiki")
        assert len(rows) == 197
        assert set(rows["source"]) == {"HJ-Ok/AudioBERT@4fc71aee2dd2/dataset/animal_sound_recognition_wiki.csv"}
        assert set(published) == {line.split()[1] for line in requested}
        seen = len(requested)
        streamed = load_dataset("auditorybench", ANIMAL, url=address, split="wiki", streaming=True)
        assert next(iter(streamed)) == rows[0]
    # The server is gone: what was fetched once serves, also where nothing is prepared yet.
    again = load_dataset("auditorybench", ANIMAL, url=address, split="wiki", clean_train=True)
    assert again.to_list() == rows.to_list()
    assert len(requested) == seen


def test_other_bytes_than_the_published_are_refused_and_fetched_afresh(published, downloads_allowed, own_cache):
    whole = published[PLACES["validation"]]
    with serving(files_handler(published, [])) as address:
        published[PLACES["validation"]] = whole.replace(b"dog", b"cat", 1)
        with pytest.raises(
            AudioBertInputError, match=r"(?s)_dev.csv' is not the published file.*sha256 is .*Fetch it"
        ):
            load_dataset("auditorybench", ANIMAL, url=address)
        assert not list(own_cache.rglob("*.arrow"))
        published[PLACES["validation"]] = whole
        assert len(load_dataset("auditorybench", ANIMAL, url=address, split="validation")) == 593


def test_the_train_file_without_known_bytes_is_verified_by_rows_and_columns(published, downloads_allowed):
    train = published[PLACES["train"]]
    with serving(files_handler(published, [])) as address:
        published[PLACES["train"]] = train[: train.rindex(b"\n", 0, -1) + 1]
        with pytest.raises(AudioBertInputError, match=r"has 4533 rows, the published file .* has 4534"):
            load_dataset("auditorybench", ANIMAL, url=address)
        published[PLACES["train"]] = train.replace(b"Answer", b"Letter", 1)
        with pytest.raises(AudioBertInputError, match=r"has no column 'Answer'"):
            load_dataset("auditorybench", ANIMAL, url=address)
        published[PLACES["train"]] = train
        source = load_dataset("auditorybench", ANIMAL, url=address, split="train")[0]["source"]
    assert source.startswith("HJ-Ok/AudioBERT@b5fa9bf149bc/dataset/animal_sound_recognition/train.csv (sha256")


def test_a_missing_file_names_both_ways_out(downloads_allowed):
    with (
        serving(files_handler({}, [])) as address,
        pytest.raises(AudioBertInputError, match=r"(?s)could not download .*connect to the network.*pass data_dir="),
    ):
        load_dataset("auditorybench", ANIMAL, url=address)
