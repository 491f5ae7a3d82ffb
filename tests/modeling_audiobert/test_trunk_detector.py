"""The detector inside the language model's own pass: what it costs, and that it changes nothing else."""

import dataclasses

import pytest
import torch
from tiny_audiobert import SENTENCES, assemble, batch, without_dropout
from tiny_models import LANGUAGE_MODELS, save_trunk_detector
from transformers import AutoModelForMaskedLM

from audiobert import AudioBertConfig, AudioBertForMaskedLM, AudioBertInputError, TrunkDetector, TrunkDetectorConfig


@pytest.fixture(scope="module")
def detectors(parts, tmp_path_factory):
    """A random trunk detector on each kind of language model; tests only read them."""
    folder = tmp_path_factory.mktemp("detectors")
    return {name: save_trunk_detector(folder / name, path) for name, path in parts.language_models.items()}


def assemble_trunk(parts, detectors, language_model="bert", **settings):
    """An AudioBERT that finds a span in some rows of the batch and not in all."""
    model = assemble(dataclasses.replace(parts, span_detector=detectors[language_model]), language_model, **settings)
    if "detector_threshold" not in settings:
        model.config.detector_threshold = _threshold_between_rows(model, batch(parts, language_model))
    return model


def _threshold_between_rows(model, inputs) -> float:
    """The threshold that only the row with the most span-like token reaches."""
    with torch.no_grad():
        hidden = model(**inputs, hearing=False, output_hidden_states=True).hidden_states[1]
        inside = model.span_detector(hidden, inputs["attention_mask"]).logits.softmax(dim=-1)[..., 1]
    eligible = model.retriever.eligible_tokens(inputs["input_ids"]) & inputs["attention_mask"].bool()
    highest = inside.masked_fill(~eligible, 0).amax(dim=1).sort(descending=True).values
    return ((highest[0] + highest[1]) / 2).item()


def heard_rows(output) -> list[int]:
    return (output.span_positions[..., 0] >= 0).any(dim=1).nonzero()[:, 0].tolist()


@pytest.fixture
def count_passes():
    """Returns the number of rows in each forward call of a language model, as a list that fills itself."""

    def counting(model) -> list[int]:
        rows: list[int] = []
        model.language_model.register_forward_pre_hook(
            lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
        )
        return rows

    return counting


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_rows_in_which_nothing_is_detected_match_the_language_model_bit_for_bit(
    parts, detectors, language_model, dtype
):
    model = assemble_trunk(parts, detectors, language_model).to(dtype)
    plain = AutoModelForMaskedLM.from_pretrained(parts.language_models[language_model]).to(dtype).eval()
    inputs = batch(parts, language_model)
    with torch.no_grad():
        expected = plain(**inputs).logits
        output = model(**inputs, output_hearing_off=True)
    heard = heard_rows(output)
    assert 0 < len(heard) < len(SENTENCES)
    for row in range(len(SENTENCES)):
        # The twin: rows with a span differ, or the equality would show nothing.
        assert torch.equal(output.logits[row], expected[row]) == (row not in heard)
    assert torch.equal(output.hearing_off_logits, expected)


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_ordinary_text_costs_one_plain_pass_and_heard_rows_a_second_smaller_one(
    parts, detectors, language_model, count_passes
):
    inputs = batch(parts, language_model)
    ordinary = assemble_trunk(parts, detectors, language_model, detector_threshold=1.0)
    passes = count_passes(ordinary)
    with torch.no_grad():
        assert heard_rows(ordinary(**inputs)) == []
        assert passes == [3]
        ordinary(**inputs, output_hearing_off=True)
    assert passes == [3, 3]

    model = assemble_trunk(parts, detectors, language_model)
    passes = count_passes(model)
    with torch.no_grad():
        heard = heard_rows(model(**inputs, output_hearing_off=True))
    assert len(heard) == 1
    assert passes == [3, 1]


def test_spans_passed_in_need_no_detection(parts, detectors, count_passes):
    model = assemble_trunk(parts, detectors)
    inputs = batch(parts)
    with torch.no_grad():
        computed = model(**inputs)
        passes = count_passes(model)
        passed = model(**inputs, span_positions=computed.span_positions)
        every_row = model(**inputs, span_positions=torch.tensor([[[1, 2]]] * 3))
    assert torch.equal(passed.logits, computed.logits)
    assert passes == [3, 1, 3]
    assert heard_rows(every_row) == [0, 1, 2]


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_detection_alone_finds_what_the_whole_model_hears_also_while_training(parts, detectors, language_model):
    model = assemble_trunk(parts, detectors, language_model)
    inputs = batch(parts, language_model)
    with torch.no_grad():
        expected = model(**inputs).span_positions
    assert torch.equal(model.detect_spans(**inputs), expected)
    model.train()
    for _ in range(3):  # with dropout on, the hidden states would differ each time
        assert torch.equal(model.detect_spans(**inputs), expected)
    assert model.language_model.training
    trained = model(**inputs, labels=inputs["input_ids"])
    assert torch.equal(trained.span_positions, expected)
    trained.loss.backward()
    assert all(weight.grad is None for weight in model.span_detector.parameters())


def test_hidden_states_come_only_when_asked_for(parts, detectors):
    model = without_dropout(assemble_trunk(parts, detectors))
    inputs = batch(parts)
    with torch.no_grad():
        assert model(**inputs).hidden_states is None
        assert model(**inputs, output_hidden_states=False).hidden_states is None
        assert len(model(**inputs, output_hidden_states=True).hidden_states) == 3


def test_longer_padding_changes_no_span(parts, detectors):
    model = assemble_trunk(parts, detectors)
    with torch.no_grad():
        one, other = model(**batch(parts)), model(**batch(parts, padding="max_length", max_length=40))
    assert heard_rows(one)
    assert torch.equal(one.span_positions, other.span_positions)


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_saving_and_loading_returns_the_same_model(parts, detectors, tmp_path, language_model):
    model = assemble_trunk(parts, detectors, language_model)
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert again.config.detector == "trunk"
    assert again.config.detector_config.layer == 1
    assert again.config.detector_threshold == model.config.detector_threshold
    assert isinstance(again.span_detector, TrunkDetector)
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    inputs = batch(parts, language_model)
    with torch.no_grad():
        one, other = model(**inputs), again(**inputs)
    assert torch.equal(one.logits, other.logits)
    assert torch.equal(one.span_positions, other.span_positions)


def test_the_threshold_comes_with_the_detector_unless_another_is_given(parts, tmp_path):
    detector = save_trunk_detector(tmp_path / "detector", parts.language_model, detector_threshold=0.83)
    with_detector = dataclasses.replace(parts, span_detector=detector)
    assert assemble(with_detector).config.detector_threshold == 0.83
    assert assemble(with_detector, detector_threshold=0.2).config.detector_threshold == 0.2
    assert assemble(parts).config.detector_threshold == 0.5


def test_a_probe_sees_its_window_and_no_further():
    torch.manual_seed(0)
    hidden = torch.randn(1, 9, 12)
    changed = hidden.clone()
    changed[0, 4] = torch.randn(12)
    for window in (1, 3, 5):
        probe = TrunkDetector(TrunkDetectorConfig(hidden_size=12, width=6, window=window)).eval()
        with torch.no_grad():
            differs = (probe(hidden).logits != probe(changed).logits).any(dim=-1)[0]
        reach = window // 2
        assert differs.nonzero()[:, 0].tolist() == list(range(4 - reach, 5 + reach))


def test_attention_sees_the_whole_row_but_no_padding():
    torch.manual_seed(0)
    config = TrunkDetectorConfig(hidden_size=12, width=8, window=3, attention_layers=2, num_attention_heads=2)
    probe = TrunkDetector(config).eval()
    hidden, mask = torch.randn(2, 9, 12), torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    changed = hidden.clone()
    changed[:, 6] = torch.randn(12)  # beside the last token that is read of the second row
    with torch.no_grad():
        one, other = probe(hidden, mask).logits, probe(changed, mask).logits
        alone = probe(hidden[1:, :6]).logits
    assert (one[0] != other[0]).any(dim=-1).all()
    assert torch.equal(one[1, :6], other[1, :6])
    torch.testing.assert_close(one[1:, :6], alone, atol=1e-6, rtol=1e-5)


def test_a_probe_of_another_language_model_is_refused(parts, detectors, tmp_path):
    other = save_trunk_detector(tmp_path / "other", parts.language_models["roberta"])
    with pytest.raises(AudioBertInputError, match=r"trained on the hidden states of language model .*detector=trunk"):
        AudioBertForMaskedLM.from_parts(parts.language_model, other, parts.clap, parts.audio_encoder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detector": "both"}, "detector='both' is not known.*separate, trunk"),
        ({"detector": "trunk", "detector_config": {"model_type": "bert"}}, "detector='trunk' does not fit"),
        ({"detector": "trunk", "detector_config": {"layer": 13}}, "layer 13 of width 768.*12 layers"),
        ({"detector": "trunk", "detector_config": {"window": 4}}, "window=4 has no middle"),
        ({"detector": "trunk", "detector_config": {"width": 0}}, "width=0 is too small"),
        ({"detector": "trunk", "detector_config": {"width": 6, "attention_layers": 1}}, "no multiple of its 4"),
    ],
    ids=["kind", "config of the other kind", "layer", "even window", "width", "heads"],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(AudioBertInputError, match=message):
        AudioBertConfig(**settings)


def test_a_trunk_without_settings_reads_the_middle_layer():
    config = AudioBertConfig(detector="trunk")
    assert (config.detector_config.layer, config.detector_config.hidden_size) == (6, 768)
    assert AudioBertConfig().detector == "separate"
