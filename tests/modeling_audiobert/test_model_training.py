"""Gradients reach what is trained, and nothing else."""

import pytest
import torch
from tiny_audiobert import NO_SPANS, SPANS, assemble, batch, without_dropout
from tiny_models import LANGUAGE_MODELS


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


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_logits_at_the_labels_only_are_those_of_all_positions_and_train_alike(parts, language_model):
    model = without_dropout(assemble(parts, language_model)).train()
    inputs = batch(parts, language_model)
    labels = torch.full_like(inputs["input_ids"], -100)
    labels[0, 2], labels[0, 4], labels[1, 1] = 18, 19, 20  # row 1 hears nothing, row 2 has no label
    found = {}
    for only in (False, True):
        model.zero_grad()
        found[only] = model(**inputs, labels=labels, span_positions=SPANS, asked_logits_only=only)
        found[only].loss.backward()
        found[only]["gradients"] = {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}
    everywhere, there = found[False], found[True]
    assert there.logits.shape == (3, 2, everywhere.logits.shape[-1])
    torch.testing.assert_close(there.logits[0], everywhere.logits[0, [2, 4]], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(there.logits[1, 0], everywhere.logits[1, 1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(there.loss, everywhere.loss)
    assert any(gradient.any() for gradient in everywhere["gradients"].values())
    for name, gradient in everywhere["gradients"].items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(there["gradients"][name], gradient, atol=1e-5 * max(scale, 1.0), rtol=1e-4)


@pytest.mark.parametrize("language_model", LANGUAGE_MODELS)
def test_in_training_each_row_goes_through_the_language_model_once(parts, language_model):
    model = without_dropout(assemble(parts, language_model))
    inputs = batch(parts, language_model)
    seen = []
    model.get_input_embeddings().register_forward_hook(lambda module, args, output: seen.append(len(output)))
    outputs = {}
    for training in (False, True):
        seen.clear()
        outputs[training] = model.train(training)(**inputs, span_positions=SPANS, output_hidden_states=True)
        assert sorted(seen) == ([1, 2] if training else [2, 3])  # row 1 hears nothing
    torch.testing.assert_close(outputs[True].logits, outputs[False].logits, atol=1e-5, rtol=1e-4)
    for in_training, in_use in zip(outputs[True].hidden_states, outputs[False].hidden_states, strict=True):
        torch.testing.assert_close(in_training, in_use, atol=1e-5, rtol=1e-4)


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
