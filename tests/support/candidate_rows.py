"""Candidate rows of a benchmark under construction, as the step `generate` hands them on."""

ANIMAL, PITCH = "animal_sound_recognition", "sound_pitch_comparison"


def animal_row(**fields) -> dict:
    """A row that passes every filter, but for the given fields."""
    return {
        "id": "animal",
        "task": ANIMAL,
        "sentence": "A meow is what a [MASK] says.",
        "answer": "cat",
        "spans": ["meow"],
        "clip_ids": ["kitten"],
        "category": "animal/cat",
        "llm_answer": "cat",
        "provenance": {"model": "none"},
    } | fields


def pitch_row(**fields) -> dict:
    """A row about the clips `flute` and `tuba` that passes every filter, but for the given fields."""
    return {
        "id": "pitch",
        "task": PITCH,
        "sentence": "The sound of a flute has a [MASK] pitch than the sound of a tuba.",
        "answer": "higher",
        "spans": ["flute", "tuba"],
        "clip_ids": ["flute", "tuba"],
        "category": "instrument",
        "llm_answer": "higher",
        "provenance": {"model": "none"},
    } | fields
