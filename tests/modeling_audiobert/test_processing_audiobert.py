"""Sentences, spans and sounds to tensors."""

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoProcessor, AutoTokenizer

from audiobert import AudioBertForMaskedLM, AudioBertInputError, AudioBertProcessor


TEXTS = ["a loud meow is the sound a [MASK] makes", "i like tea"]
MEOW = (7, 11)


@pytest.fixture(scope="module")
def processor(parts) -> AudioBertProcessor:
    return AudioBertProcessor(
        AutoTokenizer.from_pretrained(parts.language_model), AutoFeatureExtractor.from_pretrained(parts.audio_encoder)
    )


def test_character_spans_become_token_spans(processor):
    encoding = processor(TEXTS, spans=[[MEOW, (-1, -1)], []])
    assert encoding["span_positions"].tolist() == [[[3, 4], [-1, -1]], [[-1, -1], [-1, -1]]]
    tokens = processor.tokenizer.convert_ids_to_tokens(encoding["input_ids"][0])
    assert tokens[3] == "meow"


def test_without_spans_it_is_the_tokenizer(processor):
    plain = processor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    encoding = processor(TEXTS)
    assert encoding.keys() == plain.keys()
    assert all(torch.equal(encoding[name], plain[name]) for name in plain)


def test_sounds_belong_to_spans_and_those_of_cut_spans_are_dropped(processor):
    sound = np.sin(np.arange(8000) / 20).astype(np.float32)
    spans = [[MEOW, (15, 18)], []]
    encoding = processor(
        TEXTS, spans=spans, audio=[[sound, -sound], []], sampling_rate=16000, max_length=6, truncation=True
    )
    assert encoding["audio_ids"].tolist() == [[0, -1], [-1, -1]]
    expected = processor.feature_extractor([sound], sampling_rate=16000, return_tensors="pt")["input_values"]
    assert torch.equal(encoding["audio_values"], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spans": [[MEOW]]}, "1 spans for 2 sentences"),
        ({"audio": [[], []]}, "audio was given without spans"),
        ({"spans": [[MEOW], []], "audio": [[np.zeros(9)], []], "sampling_rate": 8000}, "hears 16000 Hz. Resample"),
        ({"spans": [[MEOW], []], "audio": [[np.zeros(9)], []]}, "sampling_rate=None"),
        ({"spans": [[MEOW], []], "audio": [[], []], "sampling_rate": 16000}, "0 sounds for 1 spans of sentence 0"),
    ],
    ids=["counts", "no spans", "rate", "no rate", "sounds"],
)
def test_what_does_not_fit_is_named(processor, arguments, message):
    with pytest.raises(AudioBertInputError, match=message):
        processor(TEXTS, **arguments)


def test_it_loads_from_a_saved_model_and_from_its_own_folder(parts, processor, tmp_path):
    AudioBertForMaskedLM.from_parts(
        parts.language_model, parts.span_detector, parts.clap, parts.audio_encoder
    ).save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "processor")
    for folder in ("model", "processor"):
        loaded = AutoProcessor.from_pretrained(tmp_path / folder)
        assert type(loaded) is AudioBertProcessor
        encoding = loaded(TEXTS, spans=[[MEOW], []])
        assert encoding["span_positions"][0].tolist() == [[3, 4]]
        assert loaded.feature_extractor.num_mel_bins == 32
