"""Sounds are synthesised the same every time, as high as meant, and unlike each other."""

import librosa
import numpy as np
import pytest

from audiobert.dataset_scripts.construction.pitch import measure_pitch
from audiobert.dataset_scripts.sample import synthesis
from audiobert.dataset_scripts.sample.sound_sources import CALLS, PITCHES, invented_names, sample_sources, synthesise


RATE = synthesis.SAMPLING_RATE


def test_the_sample_has_more_than_60_known_sources_of_nine_families_of_instruments_and_many_calls():
    known = [source for source in sample_sources() if not source.unseen]
    assert len(known) >= 60
    assert sum(source.task == CALLS for source in known) >= 30
    assert len({source.family for source in known if source.task == PITCHES}) >= 9
    assert len({source.name for source in sample_sources()}) == len(sample_sources())


def test_a_variant_is_the_same_for_the_same_seed_and_differs_for_another_seed_or_variant():
    sources = sample_sources(calls=4, pitches=6, unseen=2)
    assert len(sources) == 14
    for source in sources:
        sound = synthesise(source, variant=1, seed=3)
        np.testing.assert_array_equal(sound, synthesise(source, variant=1, seed=3))
        assert not np.array_equal(sound[:1000], synthesise(source, variant=2, seed=3)[:1000])
        assert not np.array_equal(sound[:1000], synthesise(source, variant=1, seed=4)[:1000])


def test_every_sound_is_float32_of_one_to_three_seconds_and_neither_silent_nor_clipped():
    for source in sample_sources():
        sound = synthesise(source, variant=0)
        assert sound.dtype == np.float32, source
        assert RATE <= len(sound) <= 3 * RATE, source
        assert 0.29 < np.abs(sound).max() < 0.91, source
        assert np.sqrt(np.mean(sound**2)) > 0.005, source


@pytest.mark.parametrize("family", ["woodwind", "brass", "bowed string", "plucked string", "keyboard", "free reed"])
def test_instruments_sound_at_the_pitch_they_are_meant_to(family):
    sources = [source for source in sample_sources() if source.family == family and not source.unseen]
    assert sources
    for source in sources:
        measured = measure_pitch(synthesise(source, variant=2), RATE, "yin").median_pitch_hz
        assert abs(12 * np.log2(measured / source.pitch_hz)) < 0.8, source


@pytest.mark.parametrize("pitch_hz", [110.0, 440.0, 1000.0])
def test_a_plucked_string_is_in_tune_and_lasts_at_every_pitch(pitch_hz):
    sound = synthesis.plucked_string(np.random.default_rng(0), 1.5, pitch_hz)
    measured = measure_pitch(sound[: RATE // 2], RATE, "yin").median_pitch_hz
    assert abs(12 * np.log2(measured / pitch_hz)) < 0.2
    assert np.abs(sound[RATE // 4 : RATE // 2]).max() > 0.05 * np.abs(sound).max()


def test_sources_are_told_apart_by_the_nearest_mean_of_other_variants_in_mel_statistics():
    sources = [source for source in sample_sources() if not source.unseen]
    statistics = np.array(
        [[_mel_statistics(synthesise(source, variant)) for variant in range(4)] for source in sources]
    )
    statistics /= statistics.std(axis=(0, 1))
    means = statistics[:, :3].mean(axis=1)  # (num_sources, num_statistics)
    nearest = np.linalg.norm(statistics[:, 3, None] - means[None], axis=-1).argmin(axis=1)
    assert (nearest == np.arange(len(sources))).mean() > 0.85  # by chance: 0.01


def test_invented_names_are_different_single_words_drawn_by_the_seed_and_avoid_what_is_taken():
    names = invented_names(40, seed=1, taken=set())
    assert len(set(names)) == 40
    assert all(name.isalpha() and name.islower() for name in names)
    assert names == invented_names(40, seed=1, taken=set())
    assert names != invented_names(40, seed=2, taken=set())
    assert not {names[0]} & set(invented_names(40, seed=1, taken={names[0]}))


def test_an_invented_source_does_not_give_away_in_its_caption_or_its_label_what_it_is():
    unseen = [source for source in sample_sources() if source.unseen]
    assert {source.task for source in unseen} == {CALLS, PITCHES}
    for source in unseen:
        assert source.sounds_like is None
        assert source.animal is None or source.animal not in source.caption
        assert source.name in source.caption


def _mel_statistics(sound):
    power = librosa.feature.melspectrogram(y=sound, sr=RATE, n_mels=40, hop_length=320)
    mel = librosa.power_to_db(power)
    return np.concatenate([mel.mean(axis=1), mel.std(axis=1), np.diff(mel, axis=1).std(axis=1)])
