"""What the model hears and what comes of it, on tiny checkpoints of the real classes."""

import pytest
import torch
from tiny_audiobert import SENTENCES, SPANS, assemble, batch, without_dropout
from tiny_bank import random_bank
from tiny_models import LANGUAGE_MODELS, save_audio_encoder, save_language_model
from transformers import AutoModelForMaskedLM

from audiobert import AudioBank, AudioBertForMaskedLM


@pytest.fixture(scope="module")
def saved(parts, tmp_path_factory):
    """A saved AudioBERT of each kind of language model; tests only read them."""
    folder = tmp_path_factory.mktemp("saved")
    for language_model in LANGUAGE_MODELS:
        assemble(parts, language_model).save_pretrained(folder / language_model)
    return folder


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_rows_without_a_span_match_the_language_model_bit_for_bit(
    parts, saved, language_model, dtype, attention, training
):
    kwargs = {"dtype": dtype, "attn_implementation": attention}
    model = without_dropout(AutoModelForMaskedLM.from_pretrained(saved / language_model, **kwargs).train(training))
    plain = AutoModelForMaskedLM.from_pretrained(parts.language_models[language_model], attn_implementation=attention)
    plain.to(dtype).train(training)
    inputs = batch(parts, language_model)
    with torch.no_grad():
        expected = without_dropout(plain)(**inputs).logits
        logits = model(**inputs, span_positions=SPANS).logits
    assert model.language_model.config._attn_implementation == attention
    assert logits.dtype == dtype
    assert torch.equal(logits[1], expected[1])
    # The twin: rows with a span differ, or the equality above would show nothing.
    assert not torch.equal(logits[0], expected[0])
    assert not torch.equal(logits[2], expected[2])


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_with_hearing_off_every_row_is_the_language_models(parts, language_model):
    model = assemble(parts, language_model)
    inputs = batch(parts, language_model)
    plain = AutoModelForMaskedLM.from_pretrained(parts.language_models[language_model])
    with torch.no_grad():
        expected = plain(**inputs).logits
        for_a_call = model(**inputs, span_positions=SPANS, hearing=False)
        beside = model(**inputs, span_positions=SPANS, output_hearing_off=True)
        model.config.hearing = False
        for_the_model = model(**inputs, span_positions=SPANS)
    assert torch.equal(for_a_call.logits, expected)
    assert torch.equal(for_the_model.logits, expected)
    assert torch.equal(beside.hearing_off_logits, expected)
    assert for_a_call.span_positions is None


def test_a_fresh_adapter_changes_nothing_but_the_injection(parts):
    model = AudioBertForMaskedLM.from_parts(parts.language_model, parts.span_detector, parts.clap, parts.audio_encoder)
    bank = random_bank(model)
    silent = torch.zeros_like(bank.values)
    model.bank = AudioBank(bank.clips, bank.keys, silent, bank.key_fingerprint, bank.value_fingerprint)
    torch.nn.init.zeros_(model.projection.bias)
    inputs = batch(parts)
    with torch.no_grad():
        output = model(**inputs, span_positions=SPANS, output_hearing_off=True)
    assert (output.clip_ids >= 0).any()
    torch.testing.assert_close(output.logits, output.hearing_off_logits)


def test_what_is_passed_in_gives_what_is_computed(parts):
    model = assemble(parts, num_clips=2)
    inputs = batch(parts)
    with torch.no_grad():
        computed = model(**inputs)
        assert (computed.span_positions >= 0).any(), "the detector found nothing: the test would compare nothing"
        spans = model(**inputs, span_positions=computed.span_positions)
        clips = model(
            **inputs,
            span_positions=computed.span_positions,
            clip_ids=computed.clip_ids,
            similarities=computed.similarities,
        )
    for passed in (spans, clips):
        assert torch.equal(passed.logits, computed.logits)
        assert torch.equal(passed.clip_ids, computed.clip_ids)


def test_audio_passed_in_gives_the_logits_of_its_clip(parts):
    model = assemble(parts)
    sounds = torch.randn(5, 64, 32)
    with torch.no_grad():
        model.refresh_values(model.encode_audio(sounds))
        inputs = batch(parts)
        retrieved = model(**inputs, span_positions=SPANS)
        ids = retrieved.clip_ids[..., 0]
        indexed = model(**inputs, span_positions=SPANS, audio_values=sounds, audio_ids=ids)
        each = model(**inputs, span_positions=SPANS, audio_values=sounds[ids.clamp(min=0)])
    torch.testing.assert_close(indexed.logits, retrieved.logits, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(each.logits, retrieved.logits, atol=1e-6, rtol=1e-5)


def test_longer_padding_changes_nothing_beyond_rounding(parts):
    model = assemble(parts)
    short, long = batch(parts), batch(parts, padding="max_length", max_length=40)
    with torch.no_grad():
        one, other = model(**short), model(**long)
    assert torch.equal(one.span_positions, other.span_positions)
    width = short["input_ids"].shape[1]
    kept = short["attention_mask"].bool()
    torch.testing.assert_close(one.logits[kept], other.logits[:, :width][kept], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_the_injected_value_enters_at_the_spans_first_token_only(parts, language_model):
    for injection in ("add", "replace"):
        model = assemble(parts, language_model, injection=injection)
        seen = []
        layer = model.get_input_embeddings()
        # Registered after the injection's own hook, so it sees the output with the values in it.
        layer.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output))
        inputs = batch(parts, language_model)
        with torch.no_grad():
            output = model(**inputs, span_positions=SPANS)
            values = model.projection(model.bank.values[output.clip_ids[[0, 2, 2], [0, 0, 1], 0]])
        words = layer.weight[inputs["input_ids"]].detach()
        plain_pass, hearing_pass = seen
        assert torch.equal(plain_pass, words)
        expected = words[[0, 2]]
        for value, (row, position) in zip(values, [(0, 1), (1, 8), (1, 9)], strict=True):
            expected[row, position] = value + (expected[row, position] if injection == "add" else 0)
        torch.testing.assert_close(hearing_pass, expected)


@pytest.mark.parametrize("injection", ["add", "replace"])
def test_spans_that_begin_at_the_same_token_share_it_in_any_order(parts, injection):
    model = assemble(parts, injection=injection)
    inputs = batch(parts, sentences=SENTENCES[:1])
    clips, spans = torch.tensor([[0, 3]]), torch.tensor([[[1, 2], [1, 3]]])
    with torch.no_grad():
        one = model(**inputs, span_positions=spans, clip_ids=clips)
        other = model(**inputs, span_positions=spans.flip(1), clip_ids=clips.flip(1))
        single = model(**inputs, span_positions=spans[:, :1], clip_ids=clips[:, :1])
    torch.testing.assert_close(one.logits, other.logits)
    assert not torch.allclose(one.logits, single.logits)


def test_several_clips_are_averaged_by_their_similarity(parts):
    model = assemble(parts, num_clips=3)
    inputs = batch(parts, sentences=SENTENCES[:1])
    with torch.no_grad():
        several = model(**inputs, span_positions=SPANS[:1, :1])
        ids, cosines = several.clip_ids[0, 0], several.similarities[0, 0]
        weights = (1 + cosines) / 2
        mean = (model.bank.values[ids] * (weights / weights.sum())[:, None]).sum(dim=0)
        bank = model.bank
        values = bank.values.clone()
        values[0] = mean
        model.bank = AudioBank(bank.clips, bank.keys, values, bank.key_fingerprint, bank.value_fingerprint)
        single = model(**inputs, span_positions=SPANS[:1, :1], clip_ids=torch.zeros(1, 1, dtype=torch.long))
    assert len(set(ids.tolist())) == 3
    torch.testing.assert_close(several.logits, single.logits)


def test_a_remembered_query_is_asked_once_and_finds_the_same(parts):
    model = assemble(parts, num_clips=2)
    inputs = batch(parts)
    asked = []
    model.clap_text.register_forward_pre_hook(
        lambda module, args, kwargs: asked.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    with torch.no_grad():
        expected = model(**inputs, span_positions=SPANS)
        assert asked == [3]
        with model.remembered_queries():
            model(**batch(parts, sentences=SENTENCES[:1]), span_positions=SPANS[:1])
            together = model(**inputs, span_positions=SPANS)
            again = model(**inputs, span_positions=SPANS)
            assert asked == [3, 1, 2]
            assert model.retrieve(inputs["input_ids"], SPANS, num_clips=3)[0].shape[-1] == 3
            assert asked == [3, 1, 2, 3]
        model(**inputs, span_positions=SPANS)
        assert asked == [3, 1, 2, 3, 3]
    for output in (together, again):
        assert torch.equal(output.clip_ids, expected.clip_ids)
        torch.testing.assert_close(output.similarities, expected.similarities)
        torch.testing.assert_close(output.logits, expected.logits)


def test_a_wide_language_model_hears_through_the_projection(parts, tmp_path):
    wide = save_language_model(tmp_path / "lm", hidden_size=1024, num_attention_heads=16)
    encoder = save_audio_encoder(tmp_path / "ast", hidden_size=768)
    torch.manual_seed(0)
    model = AudioBertForMaskedLM.from_parts(wide, parts.span_detector, parts.clap, encoder, lora_r=4)
    model.bank = random_bank(model)
    assert model.projection.weight.shape == (1024, 768)
    inputs = batch(parts)
    with torch.no_grad():
        output = model(**inputs, span_positions=SPANS, output_hearing_off=True)
    assert not torch.equal(output.logits[0], output.hearing_off_logits[0])


def test_equal_widths_need_no_projection(parts, tmp_path):
    encoder = save_audio_encoder(tmp_path / "ast", hidden_size=32)
    model = AudioBertForMaskedLM.from_parts(parts.language_model, parts.span_detector, parts.clap, encoder)
    assert not list(model.projection.parameters())


def test_a_span_whose_best_clip_is_not_similar_enough_is_no_span(parts):
    model = assemble(parts, min_similarity=1.0)
    inputs = batch(parts)
    with torch.no_grad():
        output = model(**inputs, span_positions=SPANS, output_hearing_off=True)
    assert torch.equal(output.logits, output.hearing_off_logits)
    assert (output.span_positions == -1).all()
    assert (output.clip_ids == -1).all()
    near_miss = output.similarities[0, 0]
    assert -1 < near_miss.item() < 1


def test_an_empty_bank_is_never_heard_and_a_bank_of_one_clip_always(parts):
    model = assemble(parts)
    bank, inputs = model.bank, batch(parts)
    one = AudioBank(
        bank.clips.slice(0, 1), bank.keys[:1], bank.values[:1], bank.key_fingerprint, bank.value_fingerprint
    )
    empty = AudioBank.empty(bank.keys.shape[1], bank.values.shape[1], bank.key_fingerprint, bank.value_fingerprint)
    with torch.no_grad():
        model.bank = one
        heard = model(**inputs, span_positions=SPANS)
        model.bank = empty
        unheard = model(**inputs, span_positions=SPANS, output_hearing_off=True)
    assert heard.clip_ids[SPANS[..., 0] >= 0].eq(0).all()
    assert torch.equal(unheard.logits, unheard.hearing_off_logits)


def test_no_more_than_max_spans_are_detected(parts):
    inputs = batch(parts)
    counts = {}
    for limit in (1, 8):
        model = assemble(parts, max_spans=limit, detector_threshold=0.0)
        counts[limit] = (model.detect_spans(**inputs)[..., 0] >= 0).sum(dim=1)
    # At a threshold of 0 every word belongs to a span; the mask ends one.
    assert counts[1].eq(1).all()
    assert counts[8].gt(1).any()


def test_detected_spans_never_touch_masks_padding_or_sentence_marks(parts):
    model = assemble(parts, detector_threshold=0.0)
    inputs = batch(parts)
    spans = model.detect_spans(**inputs)
    inside = {
        (row, position) for row in range(3) for start, end in spans[row].tolist() for position in range(start, end)
    }
    ids = inputs["input_ids"]
    special = {(row, column) for row, column in (ids <= 4).nonzero().tolist() if ids[row, column] != 1}
    words = {(row, column) for row, column in (ids > 4).nonzero().tolist()}
    assert inside == words
    assert not inside & special


def test_hidden_states_and_tuples_are_returned_when_asked_for(parts):
    model = assemble(parts)
    inputs = batch(parts)
    with torch.no_grad():
        output = model(**inputs, span_positions=SPANS, output_hidden_states=True)
        as_tuple = model(**inputs, span_positions=SPANS, return_dict=False)
    assert len(output.hidden_states) == 3
    assert output.hidden_states[0].shape == (*inputs["input_ids"].shape, 32)
    assert torch.equal(as_tuple[0], output.logits)


def test_a_new_projection_makes_vectors_as_long_as_word_embeddings_of_a_bank_of_any_scale(parts, tmp_path):
    encoder = save_audio_encoder(tmp_path / "ast", hidden_size=64)
    torch.manual_seed(0)
    made = [parts.language_model, parts.span_detector, parts.clap, encoder]
    bank = random_bank(AudioBertForMaskedLM.from_parts(*made))
    for scale, shift in ((1.0, 0.0), (1000.0, 50.0)):
        values = bank.values * scale + shift
        scaled = AudioBank(bank.clips, bank.keys, values, bank.key_fingerprint, bank.value_fingerprint)
        model = AudioBertForMaskedLM.from_parts(*made, bank=scaled)
        with torch.no_grad():
            heard = model.projection(values)
        usual = model.get_input_embeddings().weight.norm(dim=1).median()
        assert 0.5 * usual < heard.norm(dim=1).median() < 2 * usual
        assert heard.mean(dim=0).norm() < 0.1 * usual
