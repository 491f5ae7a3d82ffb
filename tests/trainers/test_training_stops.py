"""Training that cannot go on: the loss is no number any more; and precision that must not be inherited."""

import os

import pytest
import torch
from tiny_audiobert import assemble, without_dropout
from trainer_rows import arguments, losses, random_features, rows_with_clips, trained_weights

from audiobert import AudioBertInputError, AudioBertTrainer
from audiobert.trainers.audiobert_recipe import AudioBertRecipe
from audiobert.trainers.training_run import last_checkpoint, run_training, training_arguments


class Spoiled(AudioBertTrainer):
    """From its fourth batch on, nothing it computes is a number."""

    batches = 0

    def mean_loss(self, model, inputs):
        loss, output = super().mean_loss(model, inputs)
        self.batches += 1
        return loss * (float("nan") if self.batches > 3 else 1.0), output


def test_a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_good_checkpoint(parts, tmp_path):
    model = without_dropout(assemble(parts))
    settings = {"per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 1, "save_total_limit": 1}
    trainer = Spoiled(
        model=model,
        args=arguments(tmp_path, max_steps=8, learning_rate=0.025, **settings),
        train_dataset=rows_with_clips(model),
        features=random_features(model),
    )
    reason = r"the loss is nan at step 4, at learning rate 0.025, .* good checkpoint is '.*checkpoint-3'.*lower"
    with pytest.raises(AudioBertInputError, match=reason):
        run_training(trainer, tmp_path)
    assert last_checkpoint(tmp_path).name == "checkpoint-3"
    kept = AudioBertTrainer(model=assemble(parts), args=arguments(tmp_path), train_dataset=[])
    kept._load_from_checkpoint(str(last_checkpoint(tmp_path)))
    weights = trained_weights(kept.model)
    assert weights
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_weights_that_are_no_numbers_are_not_saved(parts, tmp_path):
    class Broken(AudioBertTrainer):
        def training_step(self, model, *args, **kwargs):
            loss = super().training_step(model, *args, **kwargs)
            if self.state.global_step == 1:
                next(weight for weight in model.parameters() if weight.requires_grad).grad[0] = float("inf")
            return loss

    model = without_dropout(assemble(parts))
    trainer = Broken(
        model=model,
        args=arguments(tmp_path, max_steps=4, save_strategy="steps", save_steps=1, max_grad_norm=0.0),
        train_dataset=rows_with_clips(model),
        features=random_features(model),
    )
    with pytest.raises(AudioBertInputError, match=r"the weights '.*' are not finite at step 2, .*checkpoint-1'"):
        run_training(trainer, tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1"]


def test_each_training_computes_in_its_own_recipes_precision(parts, tmp_path):
    dtypes, found = {}, {}
    for name, precision in (("bf16", {"bf16": True}), ("after", {}), ("alone", {})):
        recipe = AudioBertRecipe(training={"use_cpu": True, "max_steps": 2, "logging_steps": 1, **precision})
        model = without_dropout(assemble(parts))
        trainer = AudioBertTrainer(
            model=model,
            args=training_arguments(recipe, tmp_path / name, 0),
            train_dataset=rows_with_clips(model),
            features=random_features(model),
        )
        projected = []
        layer = model.language_model.bert.encoder.layer[0].intermediate.dense
        layer.register_forward_hook(lambda module, inputs, output, seen=projected: seen.append(output.dtype))
        run_training(trainer, tmp_path / name)
        assert "ACCELERATE_MIXED_PRECISION" not in os.environ
        dtypes[name], found[name] = set(projected), (losses(trainer), trained_weights(model))
    assert dtypes == {"bf16": {torch.bfloat16}, "after": {torch.float32}, "alone": {torch.float32}}
    assert found["after"][0] == found["alone"][0]
    assert all(torch.equal(weight, found["alone"][1][name]) for name, weight in found["after"][1].items())
    assert all(weight.dtype == torch.float32 for weight in found["bf16"][1].values())
