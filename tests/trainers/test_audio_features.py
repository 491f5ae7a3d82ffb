"""Log-mel features: the same as upstream's where upstream is deterministic, and kept on disk."""

import copy
import shutil

import numpy as np
import pytest
import soundfile
import torch
from tiny_sounds import RATE, noise, tone, write_clips
from transformers import ASTFeatureExtractor, AutoFeatureExtractor, ClapFeatureExtractor

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.audio_features import AudioFeatureCache, ast_features, clap_features, is_longer
from audiobert.trainers.clip_sources import read_clips
from audiobert.trainers.spectrogram_masking import SpectrogramMasking, augment


def clap_extractor(truncation: str) -> ClapFeatureExtractor:
    return ClapFeatureExtractor(
        feature_size=16, sampling_rate=RATE, hop_length=160, max_length_s=1, frequency_max=8000, truncation=truncation
    )


@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_features_of_a_short_clip_are_those_of_the_clap_feature_extractor(truncation, seconds):
    extractor = clap_extractor(truncation)
    sound = tone(500, seconds)
    theirs = extractor(sound, sampling_rate=RATE, return_tensors="pt")["input_features"][0]
    ours = clap_features(sound, extractor)
    assert torch.equal(ours, theirs.float())
    assert not is_longer(ours)


@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
def test_features_of_a_long_clip_do_not_depend_on_the_random_state(truncation):
    extractor = clap_extractor(truncation)
    sound = np.concatenate([tone(500, 1.0), noise(2.0)])
    np.random.seed(0)
    first = clap_features(sound, extractor)
    np.random.seed(1)
    assert torch.equal(clap_features(sound, extractor), first)
    assert first.shape == clap_features(sound[:RATE], extractor).shape
    if truncation == "fusion":
        assert is_longer(first)
        tonal = clap_features(np.concatenate([tone(500, 1.0), noise(2.0, seed=1)]), extractor)
        assert not torch.equal(first[3], tonal[3]), "the last third is heard"
    else:
        assert torch.equal(first, clap_features(sound[:RATE], extractor))


def test_ast_features_are_those_of_the_feature_extractor(parts):
    extractor = AutoFeatureExtractor.from_pretrained(parts.audio_encoder)
    sound = noise(2.0)
    theirs = extractor(sound, sampling_rate=RATE, return_tensors="pt")["input_values"][0]
    assert torch.equal(ast_features(sound, extractor), theirs)


@pytest.fixture
def source(tmp_path):
    return read_clips(write_clips(tmp_path / "clips"))


@pytest.mark.parametrize("part", ["clap", "audio_encoder"])
def test_the_cache_gives_what_is_computed_from_the_file_also_without_the_file(parts, source, tmp_path, part):
    extractor = AutoFeatureExtractor.from_pretrained(getattr(parts, part))
    compute = clap_features if part == "clap" else ast_features
    cache = AudioFeatureCache(tmp_path / "cache", source.clips, extractor, source.folder).prepare()
    expected = [compute(soundfile.read(source.file(clip), dtype="float32")[0], extractor) for clip in source.clips]
    assert len(cache) == len(expected) == 12
    assert all(torch.equal(cache[index], features) for index, features in enumerate(expected))
    shutil.rmtree(source.folder)
    assert all(torch.equal(cache[index], features) for index, features in enumerate(expected))


def test_other_normalisation_uses_the_same_files_and_other_settings_do_not(parts, source, tmp_path):
    extractor = AutoFeatureExtractor.from_pretrained(parts.audio_encoder)
    AudioFeatureCache(tmp_path, source.clips, extractor, source.folder).prepare()
    files = set(tmp_path.rglob("*.npy"))
    changed = copy.copy(extractor)
    changed.mean, changed.std = 1.5, 2.5
    cache = AudioFeatureCache(tmp_path, source.clips, changed, source.folder).prepare()
    assert set(tmp_path.rglob("*.npy")) == files
    sound, _ = soundfile.read(source.file(source.clips[0]), dtype="float32")
    assert torch.allclose(cache[0], ast_features(sound, changed), atol=1e-6)
    longer = ASTFeatureExtractor(num_mel_bins=32, max_length=80)
    assert AudioFeatureCache(tmp_path, source.clips, longer, source.folder)[0].shape == (80, 32)


def test_a_changed_file_is_read_again_and_a_damaged_entry_made_anew(parts, source, tmp_path):
    extractor = AutoFeatureExtractor.from_pretrained(parts.audio_encoder)
    before = AudioFeatureCache(tmp_path, source.clips, extractor, source.folder)[0]
    before = before.clone()  # not the file that is cut below, mapped
    for kept in (50, 500):  # within the header, and within the numbers
        files = list(tmp_path.rglob("*.npy"))
        assert files
        for file in files:
            content = file.read_bytes()
            file.unlink()
            file.write_bytes(content[:kept])
        assert torch.equal(AudioFeatureCache(tmp_path, source.clips, extractor, source.folder)[0], before)
    soundfile.write(source.file(source.clips[0]), noise(seed=9), RATE)
    assert not torch.equal(AudioFeatureCache(tmp_path, source.clips, extractor, source.folder)[0], before)


def test_preparing_names_the_clip_that_cannot_be_read(parts, source, tmp_path):
    extractor = AutoFeatureExtractor.from_pretrained(parts.audio_encoder)
    source.file(source.clips[5]).unlink()
    with pytest.raises(AudioBertInputError, match=r"rain/1\.wav' is missing"):
        AudioFeatureCache(tmp_path, source.clips, extractor, source.folder).prepare()


def test_masks_hide_no_more_than_asked_and_leave_the_given_features_alone():
    torch.manual_seed(0)
    features = torch.randn(8, 1, 100, 40)
    original = features.clone()
    masked = augment(features, SpectrogramMasking(time_share=0.3, frequency_share=0.25))
    assert torch.equal(features, original)
    changed = (masked != features).squeeze(1)
    rows, columns = changed.all(dim=2).sum(dim=1), changed.all(dim=1).sum(dim=1)
    assert rows.max() > 0
    assert rows.max() <= 31
    assert columns.max() > 0
    assert columns.max() <= 11
    nothing = SpectrogramMasking(time_share=0.0, frequency_share=0.0)
    assert torch.equal(augment(features, nothing), features)
    shifted = augment(features, SpectrogramMasking(0.0, 0.0, shift=True))
    assert torch.equal(shifted.sort(dim=2).values, features.sort(dim=2).values)
    assert not torch.equal(shifted, features)
