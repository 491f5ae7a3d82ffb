"""The row schema as `datasets` features."""

from datasets import Features, Value


__all__ = ["FEATURES"]

# A list of dictionaries, not Sequence({...}): that would turn the spans into a dictionary of lists.
FEATURES = Features(
    {
        "id": Value("string"),
        "task": Value("string"),
        "sentence": Value("string"),
        "answer": Value("string"),
        "spans": [{"text": Value("string"), "start": Value("int32"), "end": Value("int32")}],
        "spans_found": Value("bool"),
        "choices": [Value("string")],
        "answer_index": Value("int32"),
        "source": Value("string"),
        "freesound_ids": [Value("int64")],
        "average_pitch_hz": [Value("float64")],
    }
)
