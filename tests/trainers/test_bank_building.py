"""Building banks: keys of the clip alone, resumed bit for bit, broken files named, nothing half written."""

import itertools
import json

import numpy as np
import pytest
import soundfile
import torch
from tiny_sounds import RATE, noise, tone, write_clips, write_manifest
from transformers import ClapConfig, ClapModel

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audio_encoding import encode_keys, encode_texts
from audiobert.trainers.audio_features import AudioFeatureCache, clap_features
from audiobert.trainers.bank_building import SKIPPED_FILE, build_bank
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
from audiobert.trainers.bank_refreshing import BankFeatures, refresh_values
from audiobert.trainers.bank_search import search_bank
from audiobert.trainers.clip_sources import ClipSource, read_clips


@pytest.fixture(scope="module")
def encoders(parts):
    return load_bank_encoders(parts.clap, parts.audio_encoder)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"))


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def equal(one: AudioBank, other: AudioBank) -> bool:
    return (
        one.clips.equals(other.clips)
        and torch.equal(one.keys, other.keys)
        and torch.equal(one.values, other.values)
        and (one.key_fingerprint, one.value_fingerprint) == (other.key_fingerprint, other.value_fingerprint)
    )


def test_a_bank_holds_the_manifest_in_its_order_and_loads_as_built(encoders, manifest, tmp_path):
    bank, report = build_bank(manifest, encoders, tmp_path / "bank", BankOptions(chunk_size=5))
    clips = read_clips(manifest).clips
    assert bank.clips["id"].to_pylist() == [clip.id for clip in clips]
    assert bank.clips["path"].to_pylist() == [clip.path for clip in clips]
    assert set(bank.clips["licence"].to_pylist()) == {"CC0"}
    assert bank.clips["duration_seconds"].to_pylist()[:4] == pytest.approx([0.3, 0.3, 0.3, 0.55], abs=1e-4)
    assert bank.clips["audio"].null_count == 12
    assert (report.num_clips, report.skipped) == (12, ())
    assert equal(AudioBank.load(tmp_path / "bank"), bank)
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_keys_and_values_do_not_depend_on_the_batch_or_its_order(encoders, manifest, tmp_path):
    whole, _ = build_bank(manifest, encoders, tmp_path / "whole", BankOptions(chunk_size=12))
    single, _ = build_bank(manifest, encoders, tmp_path / "single", BankOptions(chunk_size=1))
    batched, _ = build_bank(manifest, encoders, tmp_path / "batched", BankOptions(batch_size=5))
    source = read_clips(manifest)
    turned = ClipSource(source.folder, source.clips[::-1])
    backwards, _ = build_bank(turned, encoders, tmp_path / "backwards", BankOptions(chunk_size=5))
    assert equal(whole, single)
    assert torch.equal(whole.keys, backwards.keys.flip(0))
    assert torch.equal(whole.values, backwards.values.flip(0))
    assert torch.allclose(whole.keys, batched.keys, atol=1e-6)
    assert torch.allclose(whole.values, batched.values, atol=1e-5)
    assert not torch.allclose(whole.keys[0], whole.keys[1], atol=1e-3)
    assert not torch.allclose(whole.values[0], whole.values[1], atol=1e-3)


def test_fused_clap_gives_a_clip_the_same_key_beside_short_and_beside_long_clips(parts):
    config = ClapConfig.from_pretrained(parts.clap)
    config.audio_config.enable_fusion = True
    config.audio_config.fusion_type = "aff_2d"
    torch.manual_seed(0)
    clap = ClapModel(config).eval()
    extractor = load_bank_encoders(parts.clap, parts.audio_encoder).clap_extractor
    extractor.truncation = "fusion"
    short, other, long = (clap_features(sound, extractor) for sound in (tone(), noise(), noise(3.0)))
    alone = encode_keys(clap, torch.stack([short]))
    assert torch.allclose(encode_keys(clap, torch.stack([short, other]))[:1], alone, atol=1e-6)
    assert torch.allclose(encode_keys(clap, torch.stack([short, long]))[:1], alone, atol=1e-6)
    unfused = long[:1].expand(4, -1, -1)
    assert not torch.allclose(encode_keys(clap, torch.stack([long])), encode_keys(clap, torch.stack([unfused])))


def test_embedded_audio_is_the_files_bytes_and_refreshing_needs_no_folder(encoders, manifest, tmp_path):
    bank, _ = build_bank(manifest, encoders, tmp_path / "bank", BankOptions(embed_audio=True))
    source = read_clips(manifest)
    assert bank.clips["audio"].to_pylist() == [source.file(clip).read_bytes() for clip in source.clips]
    features = BankFeatures(bank, encoders.audio_extractor)
    assert torch.equal(refresh_values(encoders.audio_encoder, features), bank.values)
    bare, _ = build_bank(manifest, encoders, tmp_path / "bare")
    features = BankFeatures(bare, encoders.audio_extractor, source.folder)
    assert torch.equal(refresh_values(encoders.audio_encoder, features), bare.values)
    cached = AudioFeatureCache(tmp_path / "features", source.clips, encoders.audio_extractor, source.folder)
    assert torch.equal(refresh_values(encoders.audio_encoder, cached), bare.values)
    with pytest.raises(AudioBertInputError, match=r"'whistle-0': give the folder .*--embed-audio"):
        refresh_values(encoders.audio_encoder, BankFeatures(bare, encoders.audio_extractor))


def test_values_follow_a_changed_encoder_which_keeps_its_mode(parts, manifest, tmp_path):
    encoders = load_bank_encoders(parts.clap, parts.audio_encoder)
    bank, _ = build_bank(manifest, encoders, tmp_path / "bank")
    with torch.no_grad():
        encoders.audio_encoder.layernorm.bias += 1.0
    encoders.audio_encoder.train()
    values = refresh_values(encoders.audio_encoder, BankFeatures(bank, encoders.audio_extractor, manifest.parent))
    assert torch.allclose(values, bank.values + 1.0, atol=1e-5)
    assert encoders.audio_encoder.training


def interrupting(encoder: torch.nn.Module, calls: int):
    """Let the encoder's forward pass be interrupted, as by Ctrl-C, in the call after so many."""
    counter = itertools.count()

    def hook(module, inputs):
        if next(counter) == calls:
            raise KeyboardInterrupt

    return encoder.register_forward_pre_hook(hook)


def test_an_interrupted_build_goes_on_from_its_batches_to_the_same_bits(encoders, manifest, tmp_path):
    options = BankOptions(chunk_size=2)
    whole, _ = build_bank(manifest, encoders, tmp_path / "whole", options)
    hook = interrupting(encoders.audio_encoder, calls=6)
    with pytest.raises(KeyboardInterrupt):
        build_bank(manifest, encoders, tmp_path / "bank", options)
    hook.remove()
    work = tmp_path / ".bank.building"
    done = len(list(work.glob("chunk-*.parquet")))
    assert 1 <= done <= 3
    assert not (tmp_path / "bank").exists()
    (work / ".audiobert-half.parquet").write_bytes(b"what a kill in the middle of writing leaves")
    computed = []
    hook = encoders.audio_encoder.register_forward_pre_hook(lambda module, inputs: computed.append(len(inputs[0])))
    resumed, _ = build_bank(manifest, encoders, tmp_path / "bank", options)
    hook.remove()
    assert computed == [1] * (12 - 2 * done), "what was done is not done again"
    assert equal(resumed, whole)
    assert files(tmp_path / "bank") == files(tmp_path / "whole")
    assert not work.exists()


def test_a_resumed_build_sees_files_that_changed_meanwhile(encoders, tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=2)
    hook = interrupting(encoders.audio_encoder, calls=2)
    with pytest.raises(KeyboardInterrupt):
        build_bank(manifest, encoders, tmp_path / "bank", BankOptions(chunk_size=2))
    hook.remove()
    soundfile.write(tmp_path / "clips" / "whistle" / "0.wav", noise(0.7), RATE)
    resumed, _ = build_bank(manifest, encoders, tmp_path / "bank", BankOptions(chunk_size=2))
    assert equal(resumed, build_bank(manifest, encoders, tmp_path / "anew", BankOptions(chunk_size=2))[0])


def test_with_strict_a_broken_file_is_named_and_the_bank_that_stood_there_stays(encoders, tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=2)
    before, _ = build_bank(manifest, encoders, tmp_path / "bank")
    (tmp_path / "clips" / "hum" / "1.wav").write_bytes(b"not a sound")
    with pytest.raises(AudioBertInputError, match=r"hum/1.wav' cannot be decoded"):
        build_bank(manifest, encoders, tmp_path / "bank", BankOptions(strict=True))
    assert equal(AudioBank.load(tmp_path / "bank"), before)
    soundfile.write(tmp_path / "clips" / "hum" / "1.wav", np.zeros(RATE, np.float32), RATE)  # only decoding tells
    with pytest.raises(AudioBertInputError, match=r"hum/1.wav' is silent"):
        build_bank(manifest, encoders, tmp_path / "new", BankOptions(strict=True))
    assert not (tmp_path / "new").exists()
    soundfile.write(tmp_path / "clips" / "hum" / "1.wav", tone(), RATE)
    assert len(build_bank(manifest, encoders, tmp_path / "new")[0]) == 6


def test_broken_files_are_skipped_into_a_report(encoders, tmp_path):
    manifest = write_clips(tmp_path / "clips", per_label=2)
    (tmp_path / "clips" / "hum" / "1.wav").unlink()
    soundfile.write(tmp_path / "clips" / "rain" / "0.wav", np.zeros(RATE, np.float32), RATE)
    options = BankOptions(chunk_size=1)
    bank, report = build_bank(manifest, encoders, tmp_path / "bank", options)
    assert bank.clips["id"].to_pylist() == ["whistle-0", "hum-0", "whistle-1", "rain-1"]
    assert [entry["id"] for entry in report.skipped] == ["rain-0", "hum-1"]
    assert [word in entry["reason"] for entry, word in zip(report.skipped, ["silent", "missing"], strict=True)]
    assert json.loads((tmp_path / "bank" / SKIPPED_FILE).read_text()) == list(report.skipped)
    fine = write_manifest(tmp_path / "clips", [{"id": "a", "path": "hum/0.wav"}], name="fine.csv")
    assert torch.allclose(build_bank(fine, encoders, tmp_path / "fine")[0].keys[0], bank.keys[1], atol=1e-6)
    silent = write_manifest(tmp_path / "clips", [{"id": "a", "path": "rain/0.wav"}], name="silent.csv")
    with pytest.raises(AudioBertInputError, match="none of the 1 clips"):
        build_bank(silent, encoders, tmp_path / "none", options)


def test_a_feature_cache_changes_nothing_and_is_shared_with_training(encoders, manifest, tmp_path):
    plain, _ = build_bank(manifest, encoders, tmp_path / "plain")
    cache = tmp_path / "features"
    options = BankOptions(feature_cache=cache)
    build_bank(manifest, encoders, tmp_path / "first", options)
    source = read_clips(manifest)
    training = AudioFeatureCache(cache, source.clips, encoders.audio_extractor, source.folder)
    before = {file: file.stat().st_mtime_ns for file in cache.rglob("*.*")}
    assert len(before) == 3 * 12
    training.prepare()
    build_bank(manifest, encoders, tmp_path / "second", options)
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*.*")} == before
    assert files(tmp_path / "plain") == files(tmp_path / "first") == files(tmp_path / "second")
    kept = [file for file in before if file.suffix == ".npy" and np.load(file).ndim == 2]
    for file in kept:
        np.save(file, np.load(file) + 1)
    changed, _ = build_bank(manifest, encoders, tmp_path / "third", options)
    assert not torch.allclose(changed.values, plain.values, atol=1e-3), "what is kept is used"
    assert torch.equal(changed.keys, plain.keys)


def test_places_that_hold_something_else_are_left_alone(encoders, manifest, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(AudioBertInputError, match=r"notes' holds files that are not an audio bank"):
        build_bank(manifest, encoders, tmp_path / "notes")
    with pytest.raises(AudioBertInputError, match=r"diary.txt' is a file"):
        build_bank(manifest, encoders, tmp_path / "notes" / "diary.txt")
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "diary.txt"]


def test_search_gives_clips_by_similarity_and_refuses_another_clap(encoders, parts, manifest, tmp_path):
    bank, _ = build_bank(manifest, encoders, tmp_path / "bank")
    found = search_bank(tmp_path / "bank", "cat sound", parts.clap, top_k=3)
    cosines = (encode_texts(encoders.clap, encoders.clap_tokenizer, ["cat sound"]) @ bank.keys.T)[0]
    assert [clip["similarity"] for clip in found] == pytest.approx(cosines.sort(descending=True).values[:3].tolist())
    assert found[0]["id"] == bank.clip(int(cosines.argmax()))["id"]
    assert len(search_bank(bank, "cat sound", parts.clap, top_k=100)) == 12
    with torch.no_grad():
        encoders.clap.logit_scale_a += 1.0
    try:
        encoders.clap.save_pretrained(tmp_path / "other")
    finally:
        with torch.no_grad():
            encoders.clap.logit_scale_a -= 1.0
    encoders.clap_extractor.save_pretrained(tmp_path / "other")
    encoders.clap_tokenizer.save_pretrained(tmp_path / "other")
    with pytest.raises(AudioBertInputError, match=r"bank' were made by CLAP .* but '.*other' is .*Rebuild the bank"):
        search_bank(tmp_path / "bank", "cat sound", tmp_path / "other")
    with pytest.raises(AudioBertInputError, match="the query is empty"):
        search_bank(bank, "  ", parts.clap)
