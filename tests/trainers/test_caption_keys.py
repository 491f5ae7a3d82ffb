"""Banks that are searched by their clips' captions: which keys they have, what is found, and how they grow."""

import json

import pyarrow as pa
import pytest
import soundfile
import torch
from bank_files import files_of
from tiny_bank import clip_table
from tiny_sounds import RATE, noise, tone, write_clips, write_manifest
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers.models.clap.modeling_clap import ClapTextModel

from audiobert import AudioBank, AudioBertInputError
from audiobert.modeling_audiobert.fingerprint import clap_fingerprint
from audiobert.trainers.audio_encoding import encode_texts
from audiobert.trainers.bank_building import SKIPPED_FILE, add_clips, build_bank, remove_clips
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
from audiobert.trainers.bank_facts import bank_facts
from audiobert.trainers.bank_indexing import index_bank
from audiobert.trainers.caption_keys import key_by_captions, save_keyed_by_captions
from audiobert.trainers.clap_loading import load_clap


@pytest.fixture(scope="module")
def encoders(parts):
    return load_bank_encoders(parts.clap, parts.audio_encoder)


@pytest.fixture(scope="module")
def built(encoders, tmp_path_factory):
    """A bank of 12 clips of three captions, and the folder of their sounds; one more clip was left out."""
    folder = tmp_path_factory.mktemp("built")
    manifest = write_clips(folder / "clips")
    (folder / "clips" / "broken.wav").write_bytes(b"no sound")
    with manifest.open("a", encoding="utf-8") as stream:
        stream.write("broken,broken.wav,a broken sound,hum,CC0,,,\n")
    build_bank(manifest, encoders, folder / "bank", BankOptions(embed_audio=True))
    return folder / "bank"


def described(captions: list[str | None], labels: list[str | None], parts) -> AudioBank:
    """A bank with random keys by the tiny CLAP, its clips described so."""
    clap, extractor, _ = load_clap(parts.clap)
    clips = clip_table(len(captions))
    for name, entries in (("caption", captions), ("label", labels)):
        clips = clips.set_column(clips.column_names.index(name), name, pa.array(entries, pa.string()))
    keys = torch.randn(len(captions), clap.config.projection_dim, generator=torch.Generator().manual_seed(3))
    return AudioBank(clips, keys, torch.ones(len(captions), 2), clap_fingerprint(clap, extractor), "encoder")


def test_keys_are_text_embeddings_of_captions_averaged_with_the_query_about_a_label(parts):
    captions = ["a loud sound", "a cat", "a loud sound", "rain", "the dog makes a sound"]
    labels = ["cat", None, "cat", " ", "dog"]
    bank = described(captions, labels, parts)
    keyed = key_by_captions(bank, parts.clap)
    clap, _, tokenizer = load_clap(parts.clap)
    for key, caption, label in zip(keyed.keys, captions, labels, strict=True):
        texts = [caption, f"{label} sound"] if label and label.strip() else [caption]
        mean = encode_texts(clap, tokenizer, texts).mean(dim=0)
        torch.testing.assert_close(key, mean / mean.norm(), atol=1e-5, rtol=0)
    torch.testing.assert_close(keyed.keys.norm(dim=1), torch.ones(5))
    assert torch.equal(keyed.keys[0], keyed.keys[2])
    assert (keyed.key_source, keyed.key_fingerprint) == ("captions", bank.key_fingerprint)
    assert keyed.values is bank.values
    assert bank.key_source == "audio"
    assert not torch.allclose(bank.keys, keyed.keys, atol=0.1)


def test_a_key_depends_on_its_own_description_alone_and_each_text_is_encoded_once(parts):
    captions = ["a cat", "a loud sound when it is an ordinary rain", "a cat", "a dog"] * 3
    bank = described(captions, ["cat", "rain", "cat", None] * 3, parts)
    whole = key_by_captions(bank, parts.clap)
    for place in range(4):
        alone = described(captions[place : place + 1], ["cat", "rain", "cat", None][place : place + 1], parts)
        assert torch.equal(key_by_captions(alone, parts.clap).keys[0], whole.keys[place])
    passes = []
    hook = register_module_forward_pre_hook(
        lambda module, args: passes.append(module) if isinstance(module, ClapTextModel) else None
    )
    assert torch.equal(key_by_captions(bank, parts.clap).keys, whole.keys)
    hook.remove()
    assert len(passes) == 5  # three captions, two labels


def test_equal_keys_are_found_in_the_banks_order(parts):
    bank = described(["a dog", "a cat", "a dog", "a cat", "a cat"], [None] * 5, parts)
    keyed = key_by_captions(bank, parts.clap)
    clap, _, tokenizer = load_clap(parts.clap)
    found = keyed.search(encode_texts(clap, tokenizer, ["a cat"]), top_k=4)
    assert found.clip_ids[0, :3].tolist() == [1, 3, 4]
    assert found.similarities[0, :3].unique().numel() == 1
    assert found.similarities[0, 0] == pytest.approx(1.0, abs=1e-5)
    assert found.clip_ids[0, 3] == 0


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq", "milvus"])
def test_an_index_on_caption_keys_finds_what_exact_search_finds(parts, tmp_path, kind):
    package, extra = ("pymilvus", "milvus") if kind == "milvus" else ("faiss", "faiss")
    pytest.importorskip(package, reason=f'install "audiobert[{extra}]"')
    words = ["cat", "dog", "cow", "snake", "bee", "duck", "piccolo", "tuba", "violin", "drum", "thunder", "rain"]
    pairs = [(f"a {one} and a {other}", one) for one in words for other in words for _ in range(7)]
    bank = described(*map(list, zip(*pairs, strict=True)), parts)
    bank.save(tmp_path / "bank")
    save_keyed_by_captions(tmp_path / "bank", parts.clap, tmp_path / "captions")
    report = index_bank(tmp_path / "captions", kind, recall=0.97, clap=parts.clap)
    assert report["measured_recall"] >= 0.97
    indexed, exact = (AudioBank.load(tmp_path / "captions", index=index) for index in ("saved", "exact"))
    assert (indexed.index_kind, indexed.key_source) == (kind, "captions")
    clap, _, tokenizer = load_clap(parts.clap)
    queries = encode_texts(clap, tokenizer, [caption for caption, _ in pairs[::7]])
    found, expected = indexed.search(queries, 3), exact.search(queries, 3)
    # Which of equal clips an index finds is its own affair; that they are as near is not.
    close = torch.isclose(found.similarities, expected.similarities, atol=1e-6)
    assert close.float().mean() >= 0.97
    assert not found.exact


def test_a_saved_bank_keeps_clips_sounds_values_and_what_was_left_out_but_no_index(built, parts, tmp_path):
    pytest.importorskip("faiss", reason='install "audiobert[faiss]"')
    bank = tmp_path / "bank"
    AudioBank.load(built).save(bank)
    (bank / SKIPPED_FILE).write_bytes((built / SKIPPED_FILE).read_bytes())
    index_bank(bank, "hnsw", recall=0.5)
    before = files_of(bank)
    keyed = save_keyed_by_captions(bank, parts.clap, tmp_path / "captions")
    assert files_of(bank) == before
    after = files_of(tmp_path / "captions")
    assert set(after) == {name for name in before if not name.startswith("index/")}
    for name in ("clips.parquet", "values.safetensors", SKIPPED_FILE):
        assert after[name] == before[name]
    assert after["keys.safetensors"] != before["keys.safetensors"]
    assert torch.equal(keyed.keys, key_by_captions(built, parts.clap).keys)
    facts = bank_facts(tmp_path / "captions")
    assert (facts["key_source"], facts["index"], facts["left_out"], facts["with_audio"]) == (
        "captions",
        "exact",
        1,
        12,
    )
    keyed.verify()


def test_clips_come_and_go_and_the_keys_stay_of_captions(built, encoders, parts, tmp_path):
    whole = save_keyed_by_captions(built, parts.clap, tmp_path / "bank")
    left = remove_clips(tmp_path / "bank", ["hum-1", "rain-3"])
    stayed = [
        place for place, name in enumerate(whole.descriptions["id"].to_pylist()) if name not in ("hum-1", "rain-3")
    ]
    assert left.key_source == "captions"
    assert torch.equal(left.keys, whole.keys[stayed])
    rows = [{"id": name, "path": f"{name}.wav"} for name in ("new", "bare")]
    (tmp_path / "more").mkdir()
    for row, sound in zip(rows, (tone(700), noise(seed=9)), strict=True):
        soundfile.write(tmp_path / "more" / row["path"], sound, RATE)
    rows[0] |= {"caption": "the sound of rain", "label": "rain"}
    manifest = write_manifest(tmp_path / "more", rows)
    before = files_of(tmp_path / "bank")
    with pytest.raises(AudioBertInputError, match=r"'bare' has no caption.*Nothing was written"):
        add_clips(tmp_path / "bank", manifest, encoders, BankOptions(strict=True))
    assert files_of(tmp_path / "bank") == before
    grown, report = add_clips(tmp_path / "bank", manifest, encoders)
    assert (grown.key_source, len(grown), report.num_clips) == ("captions", 11, 1)
    assert torch.equal(grown.keys[:10], left.keys)
    rain = whole.descriptions["label"].to_pylist().index("rain")
    assert torch.equal(grown.keys[10], whole.keys[rain])
    assert [entry["id"] for entry in report.skipped] == ["bare"]
    assert [entry["id"] for entry in json.loads((tmp_path / "bank" / SKIPPED_FILE).read_text())] == ["broken", "bare"]
    grown.verify()


def test_what_cannot_be_keyed_is_refused_and_nothing_is_written(built, parts, tmp_path):
    bank = described(["a cat", None, "  ", "a dog"], [None, "dog", None, None], parts)
    with pytest.raises(
        AudioBertInputError, match=r"clip 'clip-1' of the audio bank of 4 clips has no caption.*2 of 4"
    ):
        key_by_captions(bank, parts.clap)
    bank.save(tmp_path / "bank")
    with pytest.raises(AudioBertInputError, match=r"'clip-1' of the audio bank '.*bank' has no caption.*bank remove"):
        save_keyed_by_captions(tmp_path / "bank", parts.clap, tmp_path / "out")
    foreign = AudioBank(clip_table(2), torch.eye(2), torch.eye(2), "another", "encoder")
    with pytest.raises(AudioBertInputError, match=r"were made by CLAP another, but .*bank build"):
        key_by_captions(foreign, parts.clap)
    with pytest.raises(AudioBertInputError, match="there is no audio bank"):
        save_keyed_by_captions(tmp_path / "nowhere", parts.clap, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    before = files_of(built)
    for place in (built, tmp_path / "file"):
        with pytest.raises(AudioBertInputError, match="holds something already; give a new or empty folder"):
            save_keyed_by_captions(built, parts.clap, place)
    assert files_of(built) == before


def test_a_bank_without_clips_has_no_keys_either(parts):
    clap, extractor, _ = load_clap(parts.clap)
    fingerprint = clap_fingerprint(clap, extractor)
    keyed = key_by_captions(AudioBank.empty(clap.config.projection_dim, 2, fingerprint, "encoder"), parts.clap)
    assert (len(keyed), keyed.key_source, tuple(keyed.keys.shape)) == (0, "captions", (0, clap.config.projection_dim))
