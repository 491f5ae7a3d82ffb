"""The embedded default: facts, sounds synthesised from them, and a sample benchmark. Nothing of it is downloaded."""

from .fact_tables import Animal, PitchSource, read_animals, read_pitch_sources


__all__ = ["Animal", "PitchSource", "read_animals", "read_pitch_sources"]
