"""The Trainer's own promises: the loss of a step, learning rates, evaluation, and what it hears once."""

import pytest
import torch
from tiny_audiobert import assemble, without_dropout
from trainer_rows import arguments, losses, random_features, rows_with_clips, trained_weights

from audiobert import AudioBertInputError, AudioBertTrainer
from audiobert.trainers.learning_rates import LearningRates


@pytest.fixture
def model(parts):
    return without_dropout(assemble(parts))


def trainer_of(model, folder, hears_audio=True, rates=None, **settings) -> AudioBertTrainer:
    return AudioBertTrainer(
        model=model,
        args=arguments(folder, **settings),
        train_dataset=rows_with_clips(model),
        eval_dataset=rows_with_clips(model),
        features=random_features(model) if hears_audio else None,
        learning_rates=rates,
    )


def test_accumulated_small_batches_take_the_step_of_the_large_one_though_answers_differ_in_length(parts, tmp_path):
    found = {}
    for size, steps in ((8, 1), (2, 4)):
        model = without_dropout(assemble(parts))
        before = trained_weights(model)
        settings = {"per_device_train_batch_size": size, "gradient_accumulation_steps": steps, "max_steps": 2}
        trainer = trainer_of(model, tmp_path, **settings)
        trainer.train()
        found[size] = (losses(trainer), before, trained_weights(model))
    assert {sum(label != -100 for label in row.labels) for row in rows_with_clips(model)} == {1, 2}
    (large_losses, before, large), (small_losses, _, small) = found[8], found[2]
    assert len(large_losses) == 2
    assert small_losses == pytest.approx(large_losses, rel=1e-4)
    moved = {name for name in large if (large[name] - before[name]).abs().max() > 1e-5}
    assert any("lora_B" in name for name in moved)
    assert any(name.startswith("audio_encoder.") for name in moved)
    for name in large:
        torch.testing.assert_close(small[name] - before[name], large[name] - before[name], atol=1e-6, rtol=1e-3)


def test_each_part_has_its_own_learning_rate_on_one_schedule(model, tmp_path):
    rates = LearningRates(adapter=0.4, audio_encoder=0.1)
    settings = {"learning_rate": 0.2, "weight_decay": 0.01, "lr_scheduler_type": "linear"}
    trainer = trainer_of(model, tmp_path, rates=rates, max_steps=4, **settings)
    trainer.create_optimizer_and_scheduler(4)
    names = {id(weight): name for name, weight in model.named_parameters()}
    found = {names[id(weight)]: group["lr"] for group in trainer.optimizer.param_groups for weight in group["params"]}
    assert found.keys() == trained_weights(model).keys()
    for name, rate in found.items():
        expected = 0.4 if "lora_" in name else 0.1 if name.startswith("audio_encoder.") else 0.2
        assert rate == expected, name
    assert {name.partition(".")[0] for name, rate in found.items() if rate == 0.2} == {"projection"}
    decays = {group["weight_decay"] for group in trainer.optimizer.param_groups if group["lr"] == 0.1}
    assert decays == {0.0, 0.01}
    for _ in range(2):
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert {round(group["lr"], 6) for group in trainer.optimizer.param_groups} == {0.2, 0.1, 0.05}


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (LearningRates(adapter=0.0), r"learning_rates.adapter is 0.0; give a number above 0"),
        (LearningRates(audio_encoder=1e-4), r"its audio encoder is frozen \(train_audio_encoder=false\)"),
    ],
    ids=["zero", "frozen"],
)
def test_a_learning_rate_that_nothing_follows_is_an_error(model, tmp_path, rates, message):
    with pytest.raises(AudioBertInputError, match=message):
        trainer_of(model, tmp_path, hears_audio=False, rates=rates)


def test_without_features_the_encoder_is_frozen_and_the_banks_values_are_heard(model, tmp_path):
    encoder = {name: weight.clone() for name, weight in model.audio_encoder.state_dict().items()}
    values = model.bank.values.clone()
    trainer = trainer_of(model, tmp_path, hears_audio=False, max_steps=2)
    before = trained_weights(model)
    trainer.train()
    trainer.refresh_bank()
    assert torch.equal(model.bank.values, values)
    assert all(torch.equal(encoder[name], weight) for name, weight in model.audio_encoder.state_dict().items())
    assert any(not torch.equal(before[name], weight) for name, weight in trained_weights(model).items())


def test_a_clip_that_occurs_several_times_in_a_batch_is_encoded_once(model, tmp_path):
    trainer = trainer_of(model, tmp_path, per_device_train_batch_size=8, max_steps=1)
    rows = []
    model.audio_encoder.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    trainer.train()
    assert rows == [3]  # eight rows hear three clips


def test_it_evaluates_whole_answers(model, tmp_path):
    settings = {"optim": "adamw_torch", "learning_rate": 3e-2, "per_device_eval_batch_size": 3, "max_steps": 20}
    trainer = trainer_of(model, tmp_path, **settings)
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_loss"] < before["eval_loss"]
    # By hand: row by row, all pieces right.
    right = []
    for row in trainer.eval_dataset:
        batch = trainer.data_collator([row])
        logits = model.eval()(**batch).logits[0]
        asked = batch["labels"][0] != -100
        right.append(torch.equal(logits.argmax(dim=-1)[asked], batch["labels"][0][asked]))
    assert after["eval_accuracy"] == sum(right) / len(right) > 0


def test_it_tells_the_share_of_time_spent_waiting_for_data(model, tmp_path):
    trainer = trainer_of(model, tmp_path, num_train_epochs=2, per_device_train_batch_size=4)
    assert trainer.data_wait_share is None
    trainer.train()
    assert 0 < trainer.data_wait_share < 1


def test_the_head_reads_the_gaps_alone_in_training_and_everything_in_evaluation(model, tmp_path):
    trainer = trainer_of(model, tmp_path, hears_audio=False, max_steps=1)
    read = []
    model.language_model.get_output_embeddings().register_forward_hook(
        lambda module, args, out: read.append(out.shape[1])
    )
    trainer.train()
    assert read
    assert max(read) <= 2  # the longest answer has two word pieces
    read.clear()
    trainer.evaluate()
    assert min(read) == max(len(row.input_ids) for row in trainer.eval_dataset)


def test_rows_of_like_length_are_batched_together_if_asked(model, tmp_path):
    trainer = trainer_of(model, tmp_path, hears_audio=False, per_device_train_batch_size=2)
    chosen = "train_sampling_strategy" if hasattr(trainer.args, "train_sampling_strategy") else "group_by_length"
    setattr(trainer.args, chosen, "group_by_length")
    lengths = [batch["attention_mask"].sum(dim=1).tolist() for batch in trainer.get_train_dataloader()]
    assert sorted(length for batch in lengths for length in batch) == sorted(
        len(row.input_ids) for row in trainer.train_dataset
    )
    by_length = sorted(length for batch in lengths for length in batch)
    assert sorted(sorted(batch) for batch in lengths) == [by_length[place : place + 2] for place in range(0, 8, 2)]
