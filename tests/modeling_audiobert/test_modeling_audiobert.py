"""The model through its public surface, on tiny checkpoints of the real classes."""

import pytest
import torch
from tiny_bank import random_bank
from tiny_models import LANGUAGE_MODELS, save_audio_encoder, save_language_model
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert import AudioBank, AudioBertForMaskedLM, AudioBertInputError


SENTENCES = [
    "meow is the sound a [MASK] makes.",
    "i like tea with a [MASK]",
    "a [MASK] makes the sound of a loud buzz, when you hear it.",
]
# "meow" in the first row, "buzz" and "loud" in the last; none in the second.
SPANS = torch.tensor([[[1, 2], [-1, -1]], [[-1, -1], [-1, -1]], [[8, 9], [9, 10]]])
NO_SPANS = torch.full((3, 1, 2), -1)


def assemble(parts, language_model="bert", seed=7, **settings) -> AudioBertForMaskedLM:
    folder = parts.language_models.get(language_model, language_model)
    torch.manual_seed(seed)
    model = AudioBertForMaskedLM.from_parts(
        folder, parts.span_detector, parts.clap, parts.audio_encoder, **{"lora_r": 4, "lora_alpha": 8, **settings}
    )
    # A fresh adapter changes nothing; here it must.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.2)
    model.bank = random_bank(model)
    return model


def batch(parts, language_model="bert", sentences=SENTENCES, **settings):
    tokenizer = AutoTokenizer.from_pretrained(parts.language_models[language_model])
    return tokenizer(sentences, return_tensors="pt", **{"padding": True, **settings})


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):  # of the sdpa layers of transformers 4.55
            module.dropout_prob = 0.0
    return model


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


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_saving_and_loading_returns_equal_tensors_logits_bank_and_evidence(parts, tmp_path, language_model):
    model = assemble(parts, language_model)
    model.save_pretrained(tmp_path)
    again = AutoModelForMaskedLM.from_pretrained(tmp_path)
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.bank.clips.equals(model.bank.clips)
    assert torch.equal(again.bank.keys, model.bank.keys)
    assert torch.equal(again.bank.values, model.bank.values)
    inputs = batch(parts, language_model)
    with torch.no_grad():
        one, other = model(**inputs), again(**inputs)
    for name in ("logits", "span_positions", "clip_ids", "similarities"):
        assert torch.equal(one[name], other[name]), name
    assert [n for n, p in again.named_parameters() if p.requires_grad] == [
        n for n, p in model.named_parameters() if p.requires_grad
    ]


def test_a_saved_model_tells_nothing_of_the_writers_machine(parts, tmp_path):
    assemble(parts).save_pretrained(tmp_path)
    texts = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".py")]
    assert texts
    assert not [path.name for path in texts if str(parts.clap.parent) in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_a_training_step_moves_adapter_encoder_and_projection_and_nothing_else(parts, language_model):
    model = assemble(parts, language_model).train()
    inputs = batch(parts, language_model)
    labels = torch.where(inputs["input_ids"] == 4, 18, -100)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=10.0)
    sounds = torch.randn(2, 64, 32)
    audio_ids = torch.tensor([[0, -1], [-1, -1], [1, 0]])
    model(**inputs, labels=labels, span_positions=SPANS, audio_values=sounds, audio_ids=audio_ids).loss.backward()
    optimizer.step()
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    trained = {name for name in before if "lora_" in name or name.startswith(("audio_encoder.", "projection."))}
    # Its pooler normalises after the last hidden states, which are what is averaged; softmax ignores a key's bias.
    idle = {name for name in trained - moved if "key.bias" not in name and "k_proj.bias" not in name}
    assert moved <= trained
    assert not idle


def test_the_loss_is_the_mean_cross_entropy_of_the_labelled_tokens(parts):
    model = assemble(parts)
    inputs = batch(parts)
    labels = torch.where(inputs["input_ids"] == 4, 18, -100)
    with torch.no_grad():
        output = model(**inputs, labels=labels, span_positions=SPANS)
    chosen = output.logits[labels != -100].log_softmax(dim=-1)[:, 18]
    assert len(chosen) == 3
    torch.testing.assert_close(output.loss, -chosen.mean())


def test_a_batch_in_which_nothing_is_heard_can_be_trained_on(parts):
    model = assemble(parts).train()
    inputs = batch(parts)
    model(**inputs, labels=inputs["input_ids"], span_positions=NO_SPANS).loss.backward()
    gradients = [weight.grad for weight in model.parameters() if weight.requires_grad]
    assert gradients
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_gradient_checkpointing_gives_the_same_gradients(parts, language_model):
    model = without_dropout(assemble(parts, language_model)).train()
    inputs = batch(parts, language_model)

    def gradients():
        model.zero_grad()
        model(**inputs, labels=inputs["input_ids"], span_positions=SPANS).loss.backward()
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    plain = gradients()
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    checkpointed = gradients()
    assert plain.keys() == checkpointed.keys()
    assert any("lora_A" in name and gradient.any() for name, gradient in plain.items())
    for name, gradient in plain.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(checkpointed[name], gradient, atol=1e-5 * max(scale, 1.0), rtol=1e-4)


def test_a_bank_made_by_another_encoder_is_refused(parts):
    model = assemble(parts)
    bank = model.bank
    for fingerprints in (("another", bank.value_fingerprint), (bank.key_fingerprint, "another")):
        foreign = AudioBank(bank.clips, bank.keys, bank.values, *fingerprints)
        with pytest.raises(AudioBertInputError, match=r"made by .* another, this model's .*bank build"):
            model.bank = foreign


def test_values_are_refused_once_the_encoder_was_trained_until_they_are_refreshed(parts, tmp_path):
    model = assemble(parts)
    inputs = batch(parts)
    with torch.no_grad():
        next(model.audio_encoder.parameters()).add_(1.0)
        with pytest.raises(AudioBertInputError, match="values of the audio bank"):
            model(**inputs, span_positions=SPANS)
        model.save_pretrained(tmp_path)
        with pytest.raises(AudioBertInputError, match="values of the audio bank"):
            AutoModelForMaskedLM.from_pretrained(tmp_path)(**inputs, span_positions=SPANS)
        model.refresh_values(torch.randn(len(model.bank), model.bank.values.shape[1]))
        refreshed = model(**inputs, span_positions=SPANS)
        model.save_pretrained(tmp_path)
        again = AutoModelForMaskedLM.from_pretrained(tmp_path)(**inputs, span_positions=SPANS)
    assert torch.equal(refreshed.logits, again.logits)


def test_missing_weights_are_refused_instead_of_drawn_at_random(parts, tmp_path):
    from safetensors.torch import load_file, save_file

    assemble(parts).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "lora_B" not in name}
    assert len(kept) < len(weights)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AudioBertInputError, match=r"lacks .*lora_B"):
        AutoModelForMaskedLM.from_pretrained(tmp_path)


def test_the_bank_stays_with_the_model_wherever_it_is_placed(parts, tmp_path):
    model = assemble(parts)
    inputs = batch(parts)
    model.save_pretrained(tmp_path)
    placed = AutoModelForMaskedLM.from_pretrained(tmp_path, device_map={"": "cpu"})
    with torch.no_grad():
        expected = model(**inputs, span_positions=SPANS)
        for moved in (placed, model.to("cpu"), model.to(torch.float64)):
            output = moved(**inputs, span_positions=SPANS)
            assert torch.equal(output.clip_ids, expected.clip_ids)
            torch.testing.assert_close(output.logits.float(), expected.logits, atol=1e-5, rtol=1e-4)


def test_hidden_states_and_tuples_are_returned_when_asked_for(parts):
    model = assemble(parts)
    inputs = batch(parts)
    with torch.no_grad():
        output = model(**inputs, span_positions=SPANS, output_hidden_states=True)
        as_tuple = model(**inputs, span_positions=SPANS, return_dict=False)
    assert len(output.hidden_states) == 3
    assert output.hidden_states[0].shape == (*inputs["input_ids"].shape, 32)
    assert torch.equal(as_tuple[0], output.logits)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"span_positions": torch.tensor([[[1, 99]]] * 3)}, "tokens 1 to 99"),
        ({"span_positions": torch.tensor([[[2, 2]]] * 3)}, "tokens 2 to 2"),
        ({"span_positions": torch.zeros(2, 1, 2).long()}, r"must be \(3, num_spans, 2\)"),
        ({"span_positions": SPANS, "clip_ids": torch.full((3, 2), 9)}, "names clip 9, but the audio bank has 5"),
        ({"span_positions": SPANS, "clip_ids": torch.zeros(3, 1).long()}, "clip_ids of shape"),
        ({"span_positions": SPANS, "audio_values": torch.zeros(2, 64, 32)}, "need audio_ids"),
        ({"span_positions": SPANS, "audio_values": torch.zeros(3, 1, 64, 32)}, "one sound for each span"),
    ],
    ids=["beyond the row", "empty span", "rows", "no such clip", "clips of spans", "which sound", "sounds of spans"],
)
def test_inputs_that_do_not_fit_are_named(parts, inputs, message):
    model = assemble(parts)
    with pytest.raises(AudioBertInputError, match=message):
        model(**batch(parts), **inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"injection": "ad"}, "injection='ad' is not known.*add, replace"),
        ({"query_template": "the sound"}, "query_template='the sound'"),
        ({"query_template": "{span} of {other}"}, "no other brace"),
        ({"max_spans": 0}, "max_spans=0 is too small"),
        ({"min_similarity": 2.0}, "min_similarity=2.0 lies outside"),
        ({"lora_target_modules": ["nothing"]}, "no linear layer is named nothing"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_that_mean_nothing_are_refused(parts, settings, message):
    with pytest.raises(AudioBertInputError, match=message):
        assemble(parts, **settings)


def test_parts_that_do_not_belong_together_are_refused(parts, tmp_path):
    with pytest.raises(AudioBertInputError, match=r"there is no folder .\./nowhere'"):
        AudioBertForMaskedLM.from_parts(parts.language_model, parts.span_detector, parts.clap, "./nowhere")
    with pytest.raises(AudioBertInputError, match=r"lacks .* of the weights of BertForTokenClassification"):
        AudioBertForMaskedLM.from_parts(parts.language_model, parts.language_model, parts.clap, parts.audio_encoder)
