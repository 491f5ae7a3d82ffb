"""The facts of the sample are whole, unique and sane."""

from collections import Counter

import pytest

from audiobert.dataset_scripts.sample import read_animals, read_pitch_sources


def test_there_are_at_least_120_different_animals_each_with_call_verb_and_reference():
    animals = read_animals()
    assert len(animals) >= 120
    assert max(Counter(animal.animal for animal in animals).values()) == 1
    for animal in animals:
        assert all(value and value == value.strip() for value in vars(animal).values()), animal


def test_there_are_at_least_80_different_sources_of_pitch_with_ranges_that_can_be_heard_or_measured():
    sources = read_pitch_sources()
    assert len(sources) >= 80
    assert max(Counter(source.name for source in sources).values()) == 1
    for source in sources:
        assert source.family, source
        assert source.reference, source
        assert 8 <= source.lowest_hz <= source.highest_hz <= 20_000, source


@pytest.mark.parametrize(
    ("name", "lowest_hz", "highest_hz"),
    [
        ("piano", 27.5, 4186.0),  # A0 to C8
        ("violin", 196.0, 3520.0),  # G3 to A7
        ("double bass", 41.2, 392.0),  # E1 to G4: sounds an octave below what is written
        ("piccolo", 587.3, 4186.0),  # D5 to C8: an octave above what is written
        ("harp", 30.87, 3322.4),  # C flat 1 to G sharp 7
        ("tuning fork", 440.0, 440.0),
    ],
)
def test_ranges_are_those_of_the_sounding_notes(name, lowest_hz, highest_hz):
    (source,) = [source for source in read_pitch_sources() if source.name == name]
    assert source.lowest_hz == pytest.approx(lowest_hz, rel=1e-3)
    assert source.highest_hz == pytest.approx(highest_hz, rel=1e-3)


def test_larger_instruments_of_a_family_sound_lower():
    lowest = {source.name: source.lowest_hz for source in read_pitch_sources()}
    families = [
        ("piccolo", "flute", "alto flute", "bass flute"),
        ("violin", "viola", "cello", "double bass"),
        ("soprano saxophone", "alto saxophone", "tenor saxophone", "baritone saxophone"),
        ("sopranino recorder", "soprano recorder", "alto recorder", "tenor recorder", "bass recorder"),
        ("soprano voice", "mezzo-soprano voice", "alto voice", "countertenor voice", "tenor voice", "baritone voice"),
        ("oboe", "English horn", "bassoon", "contrabassoon"),
        ("trumpet", "trombone", "bass trombone", "tuba"),
    ]
    for family in families:
        ranges = [lowest[name] for name in family]
        assert ranges == sorted(ranges, reverse=True), family
