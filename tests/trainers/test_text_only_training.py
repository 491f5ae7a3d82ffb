"""The ablation on text alone: the adapter learns, is merged, and the result is an ordinary language model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_benchmark import write_benchmark
from transformers import AutoModelForMaskedLM, BertForMaskedLM, TrainerCallback

from audiobert import AudioBertInputError
from audiobert.trainers import text_only_training
from audiobert.trainers.audiobert_training import AdapterSettings, AudioBertRecipe, train_audiobert
from audiobert.trainers.evaluation import evaluate_model


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("text-only") / "benchmark")


def recipe(data_dir: Path, language_model: Path, output_dir: Path, **training) -> AudioBertRecipe:
    settings = {"max_steps": 6, "per_device_train_batch_size": 8, "learning_rate": 3e-2, "use_cpu": True}
    settings |= {"save_strategy": "steps", "save_steps": 2, **training}
    return AudioBertRecipe(
        data_dir=data_dir,
        language_model=str(language_model),
        output_dir=output_dir,
        hearing="text_only",
        adapter=AdapterSettings(r=4, alpha=8),
        training=settings,
    )


@pytest.fixture(scope="module")
def trained(data_dir, parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "text_only"
    (metrics,) = train_audiobert(recipe(data_dir, parts.language_model, folder))
    return folder, metrics


def test_the_result_is_a_standard_language_model_in_which_only_the_adapted_layers_changed(parts, trained):
    folder, metrics = trained
    model = AutoModelForMaskedLM.from_pretrained(folder)
    assert type(model) is BertForMaskedLM
    before = AutoModelForMaskedLM.from_pretrained(parts.language_model).state_dict()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    layers = {f"bert.encoder.layer.{layer}.attention.self" for layer in range(2)}
    assert changed == {f"{layer}.{name}.weight" for layer in layers for name in ("query", "key", "value")}
    assert metrics["hearing"] == "text_only"
    assert metrics["rows"]["train"] == 42
    assert "fine-tuned on text alone" in (folder / "README.md").read_text()


def test_the_measured_accuracy_is_that_of_the_saved_model(data_dir, trained):
    folder, metrics = trained
    results = evaluate_model(folder, data_dir, split="validation")["results"]
    assert metrics["validation"] == results
    assert {result["hearing"] for result in results} == {None}


def test_it_learns_what_its_sentences_tell(data_dir, parts, tmp_path):
    losses = []

    class Note(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            losses.append(logs.get("loss"))

    longer = recipe(
        data_dir,
        parts.language_model,
        tmp_path / "run",
        max_steps=60,
        logging_steps=10,
        save_strategy="no",
        learning_rate=0.1,
    )
    plain = text_only_training.TextOnlyTrainer
    text_only_training.TextOnlyTrainer = lambda **settings: plain(callbacks=[Note()], **settings)
    try:
        train_audiobert(longer)
    finally:
        text_only_training.TextOnlyTrainer = plain
    losses = [loss for loss in losses if loss is not None]
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.05  # little: all but the attention of a random model is frozen


class Stop(TrainerCallback):
    def on_save(self, args, state, control, **kwargs):
        raise KeyboardInterrupt


def test_a_stopped_run_goes_on_to_the_very_weights_of_an_uninterrupted_one(data_dir, parts, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train_audiobert(recipe(data_dir, parts.language_model, whole))
    plain = text_only_training.TextOnlyTrainer
    monkeypatch.setattr(
        text_only_training, "TextOnlyTrainer", lambda **settings: plain(callbacks=[Stop()], **settings)
    )
    with pytest.raises(KeyboardInterrupt):
        train_audiobert(recipe(data_dir, parts.language_model, stopped))
    assert [path.name for path in stopped.glob("checkpoint-*")] == ["checkpoint-2"]
    monkeypatch.undo()
    train_audiobert(recipe(data_dir, parts.language_model, stopped))
    one, other = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_unknown_way_of_hearing_is_refused(data_dir, parts, tmp_path):
    wrong = recipe(data_dir, parts.language_model, tmp_path / "run")
    wrong.hearing = "text"
    with pytest.raises(AudioBertInputError, match=r"hearing=text .* on or text_only"):
        train_audiobert(wrong)
