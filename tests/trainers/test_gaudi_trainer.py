"""The Gaudi trainer on the CPU, in the second environment; and what is said where optimum-habana is missing."""

import importlib.util
import sys

import pytest
import torch
from habana_stand_in import install_habana_stand_in
from tiny_audiobert import assemble, without_dropout
from trainer_rows import arguments, losses, random_features, rows_with_clips, trained_weights
from transformers import TrainingArguments

import audiobert
from audiobert import AudioBertForMaskedLM, AudioBertInputError, AudioBertTrainer
from audiobert.trainers import gaudi
from audiobert.trainers.learning_rates import LearningRates
from audiobert.trainers.training_run import last_checkpoint


installed = importlib.util.find_spec("optimum") is not None and importlib.util.find_spec("optimum.habana") is not None
needs_habana = pytest.mark.skipif(
    not installed, reason="optimum-habana is not in this environment: make test-gaudi has it"
)


def train(model, folder, on_gaudi=True, own=None, resume=None, rates=None, **settings):
    trainer_class = audiobert.GaudiAudioBertTrainer if on_gaudi else AudioBertTrainer
    own = {"use_habana": False} if own is None else own

    def made(**given):
        return gaudi.gaudi_arguments(given, own) if on_gaudi else TrainingArguments(**given)

    trainer = trainer_class(
        model=model,
        args=arguments(folder, made, **settings),
        train_dataset=rows_with_clips(model),
        eval_dataset=rows_with_clips(model),
        features=random_features(model),
        learning_rates=rates,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.skipif(installed, reason="optimum-habana is in this environment")
def test_without_optimum_habana_only_its_trainer_cannot_be_had():
    with pytest.raises(ImportError, match=r'GaudiAudioBertTrainer needs optimum-habana.*"audiobert\[gaudi\]"'):
        _ = audiobert.GaudiAudioBertTrainer
    with pytest.raises(ImportError, match=r"audiobert\[gaudi\]"):
        from audiobert.trainers import GaudiAudioBertTrainer  # noqa: F401
    assert "GaudiAudioBertTrainer" not in dir(audiobert)


@needs_habana
@pytest.mark.parametrize("accumulation", [1, 2])
def test_it_takes_the_very_steps_of_the_standard_trainer(parts, tmp_path, accumulation):
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": accumulation, "max_steps": 3}
    found = {}
    for on_gaudi in (False, True):
        model = without_dropout(assemble(parts))
        before = trained_weights(model)
        trainer = train(model, tmp_path, on_gaudi, rates=LearningRates(audio_encoder=0.02), **settings)
        changes = {name: weight - before[name] for name, weight in trained_weights(model).items()}
        found[on_gaudi] = changes, losses(trainer)
    assert found[True][1] == pytest.approx(found[False][1], abs=1e-4)
    standard, on_gaudi = found[False][0], found[True][0]
    moved = [name for name in standard if standard[name].norm() > 1e-6]
    assert any("lora_B" in name for name in moved)
    assert any(name.startswith("audio_encoder.") for name in moved)
    for name in moved:
        assert (on_gaudi[name].norm() / standard[name].norm()).item() == pytest.approx(1.0, abs=1e-4)
        torch.testing.assert_close(on_gaudi[name], standard[name], atol=1e-7, rtol=1e-4)


@needs_habana
def test_on_the_cpu_it_trains_evaluates_saves_and_resumes_to_the_bit(parts, tmp_path):
    settings = {"per_device_train_batch_size": 2, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    settings |= {"optim": "adamw_torch", "learning_rate": 1e-2}
    straight = assemble(parts)
    torch.manual_seed(3)
    trainer = train(straight, tmp_path / "straight", **settings)
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] > 0
    assert 0 <= metrics["eval_accuracy"] <= 1
    checkpoint = tmp_path / "straight" / "checkpoint-2"
    assert (checkpoint / "gaudi_config.json").is_file()
    resumed = assemble(parts)
    train(resumed, tmp_path / "straight", resume=str(checkpoint), **settings)
    expected, found = straight.state_dict(), resumed.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    trainer.refresh_bank()
    straight.save_pretrained(tmp_path / "saved")
    loaded = AudioBertForMaskedLM.from_pretrained(tmp_path / "saved")
    assert torch.equal(loaded.bank.values, straight.bank.values)
    assert last_checkpoint(tmp_path / "straight").name == "checkpoint-4"


@needs_habana
def test_in_lazy_mode_it_marks_its_steps_and_uses_the_fused_parts(parts, tmp_path, monkeypatch):
    calls = install_habana_stand_in(monkeypatch)
    model = assemble(parts)
    before = trained_weights(model)
    own = {"use_habana": True, "use_lazy_mode": True}
    trainer = train(model, tmp_path, own=own, per_device_train_batch_size=2, max_steps=3)
    trainer.evaluate()
    # After each backward pass, each update, and each evaluated batch.
    assert calls["mark_step"] >= 3 + 3 + 1
    assert calls["fused_adamw_step"] == calls["clip_norm"] == 3
    assert (calls["enable_dynamic_shape"], calls["disable_dynamic_shape"]) == (1, 0)
    assert "max_memory_allocated (GB)" in trainer.state.log_history[0]
    assert any(not torch.equal(before[name], weight) for name, weight in trained_weights(model).items())


@needs_habana
def test_the_shipped_config_is_what_optimum_habana_reads():
    config = gaudi.gaudi_config()
    assert (config.use_fused_adam, config.use_fused_clip_norm, config.use_dynamic_shapes) == (True, True, True)
    assert config.use_torch_autocast is False


@needs_habana
@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"use_habanna": False}, r"'gaudi.use_habanna' is not a setting of optimum-habana's"),
        ({}, r"Gaudi's software is not installed here .* gaudi.use_habana=false"),
    ],
    ids=["typo", "no gaudi"],
)
def test_what_gaudi_refuses_is_said_with_the_way_out(tmp_path, monkeypatch, own, message):
    monkeypatch.setitem(sys.modules, "habana_frameworks", None)
    with pytest.raises(AudioBertInputError, match=message):
        gaudi.gaudi_arguments({"output_dir": str(tmp_path)}, own)
