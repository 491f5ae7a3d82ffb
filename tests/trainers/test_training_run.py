import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
)

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.row_order import RowOrder, RowOrderMixin
from audiobert.trainers.training_run import (
    last_checkpoint,
    require_folder,
    run_training,
    seed_folders,
    start_run,
    training_arguments,
)


STEPS = 6


@dataclass
class RunRecipe:
    kind: ClassVar[str] = "test_run"

    output_dir: Path = Path("runs/test")
    seeds: list[int] = field(default_factory=lambda: [0])
    width: int = 1
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 2.0,
            "per_device_train_batch_size": 2,
            "learning_rate": 1e-2,
            "disable_tqdm": True,
            "use_cpu": True,
            "eval_strategy": "epoch",
            "load_best_model_at_end": True,
        }
    )


class InterruptAt(TrainerCallback):
    """Presses Ctrl-C when a step ends, `times` times."""

    def __init__(self, step: int, times: int = 1):
        self.step, self.times = step, times

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


class CountSteps(TrainerCallback):
    def __init__(self):
        self.count = 0

    def on_step_end(self, args, state, control, **kwargs):
        self.count += 1


class OrderedTrainer(RowOrderMixin, Trainer):
    pass


def make_trainer(parts, folder: Path, *callbacks: TrainerCallback) -> Trainer:
    """Six steps of token classification with dropout, so that the random state matters, and the best epoch kept."""
    run = start_run(RunRecipe(), folder, seed=0)
    tokenizer = AutoTokenizer.from_pretrained(parts.language_model)
    texts = [
        "a cat makes a meow",
        "a dog",
        "the bee has a buzz sound",
        "i like tea",
        "the tuba is loud",
        "it is a drum",
    ]
    encoded = [tokenizer(text) for text in texts]
    rows = [{**entry, "labels": [index % 2 for index, _ in enumerate(entry["input_ids"])]} for entry in encoded]
    return OrderedTrainer(
        model=load_part(AutoModelForTokenClassification, parts.language_model, complete=False, num_labels=2),
        args=training_arguments(run, folder, seed=0),
        train_dataset=rows,
        eval_dataset=rows,
        data_collator=DataCollatorForTokenClassification(tokenizer),
        callbacks=list(callbacks),
    )


def evaluations(trainer: Trainer) -> list[tuple[int, float]]:
    return [(entry["step"], entry["eval_loss"]) for entry in trainer.state.log_history if "eval_loss" in entry]


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


@pytest.mark.parametrize("step", [0, 2, 4])
def test_interrupted_and_resumed_training_gives_the_weights_of_an_uninterrupted_run(parts, tmp_path, step):
    whole = make_trainer(parts, tmp_path / "whole")
    start = weights(whole)
    run_training(whole, tmp_path / "whole")
    expected = weights(whole)
    assert not any(torch.equal(start[name], expected[name]) for name in start if name.startswith("classifier"))

    with pytest.raises(KeyboardInterrupt):
        run_training(make_trainer(parts, tmp_path / "cut", InterruptAt(step)), tmp_path / "cut")
    assert last_checkpoint(tmp_path / "cut").name == f"checkpoint-{step + 1}"
    steps = CountSteps()
    resumed = make_trainer(parts, tmp_path / "cut", steps)
    run_training(resumed, tmp_path / "cut")
    assert steps.count == STEPS - step - 1
    assert evaluations(resumed) == evaluations(whole)
    assert len(evaluations(whole)) == 2
    assert resumed.state.global_step == whole.state.global_step == STEPS
    found = weights(resumed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


def test_the_order_of_rows_depends_on_seed_and_epoch_alone():
    def order(seed: int, epoch: int) -> list[int]:
        return list(RowOrder(50, seed, lambda: epoch))

    torch.manual_seed(3)
    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    torch.manual_seed(4)
    assert orders == [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(rows) == list(range(50)) for rows in orders)
    assert len({tuple(rows) for rows in orders}) == 4


def test_rows_of_like_length_make_up_a_batch_and_each_row_comes_once_in_an_epoch():
    lengths = [5 + (7 * row) % 40 for row in range(203)]

    def batches(epoch: int) -> list[list[int]]:
        order = list(RowOrder(203, 0, lambda: epoch, lengths, batch_size=4))
        return [order[start : start + 4] for start in range(0, 203, 4)]

    first = batches(0)
    assert sorted(row for batch in first for row in batch) == list(range(203))
    assert [len(batch) for batch in first] == [*[4] * 50, 3]
    spread = [max(lengths[row] for row in batch) - min(lengths[row] for row in batch) for batch in first]
    assert sorted(spread)[-10] <= 4  # those of a plain shuffle spread by 24 on average
    assert first == batches(0) != batches(1)
    left_over = [lengths[row] for epoch in range(30) for row in batches(epoch)[-1]]
    assert sum(left_over) / len(left_over) == pytest.approx(sum(lengths) / 203, abs=4)
    assert list(RowOrder(0, 0, lambda: 0, [], batch_size=4)) == []
    assert sorted(RowOrder(3, 0, lambda: 0, [5, 9, 7], batch_size=4)) == [0, 1, 2]
    shortest = [min(lengths[row] for row in batch) for batch in first]
    assert shortest != sorted(shortest)


def test_a_second_interrupt_stops_at_once_and_leaves_the_last_checkpoint(parts, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_training(make_trainer(parts, tmp_path, InterruptAt(4, times=2)), tmp_path)
    assert last_checkpoint(tmp_path).name == "checkpoint-3"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_checkpoint_that_was_cut_off_is_not_resumed_from(parts, tmp_path):
    run_training(make_trainer(parts, tmp_path), tmp_path)
    assert last_checkpoint(tmp_path).name == "checkpoint-6"
    (tmp_path / "checkpoint-8").mkdir()
    (tmp_path / "checkpoint-9").mkdir()
    (tmp_path / "checkpoint-9" / "trainer_state.json").write_text('{"epo')
    assert last_checkpoint(tmp_path).name == "checkpoint-6"
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_a_run_folder_takes_only_the_run_it_holds(parts, tmp_path):
    start_run(RunRecipe(width=3), tmp_path / "run", seed=1)
    start_run(RunRecipe(width=3, output_dir=Path("moved")), tmp_path / "run", seed=1)
    with pytest.raises(AudioBertInputError, match=r"another recipe \(it differs in seeds, width\).*output_dir="):
        start_run(RunRecipe(width=4), tmp_path / "run", seed=0)
    with pytest.raises(AudioBertInputError, match="holds files that are not of such a run"):
        start_run(RunRecipe(), parts.language_model, seed=0)
    (tmp_path / "run" / "recipe.yaml").write_text("kind: another\n")
    with pytest.raises(AudioBertInputError, match=r"holds another run.*kind: test_run"):
        start_run(RunRecipe(), tmp_path / "run", seed=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioBertInputError, match="is a file; give a folder"):
        start_run(RunRecipe(), tmp_path / "file", seed=0)


def test_several_seeds_have_a_folder_each(tmp_path):
    assert seed_folders(RunRecipe(output_dir=tmp_path)) == [(0, tmp_path)]
    several = seed_folders(RunRecipe(output_dir=tmp_path, seeds=[3, 1]))
    assert several == [(3, tmp_path / "seed-3"), (1, tmp_path / "seed-1")]
    for seeds in ([], [1, 1]):
        with pytest.raises(AudioBertInputError, match="one or more different whole numbers"):
            seed_folders(RunRecipe(seeds=seeds))


def test_training_settings_pass_through_and_refused_values_are_named(tmp_path):
    with pytest.raises(AudioBertInputError, match="'training' settings are refused by transformers: sideways"):
        training_arguments(RunRecipe(training={"lr_scheduler_type": "sideways"}), tmp_path, seed=7)
    arguments = training_arguments(RunRecipe(training={"max_grad_norm": 0.5, "use_cpu": True}), tmp_path, seed=7)
    assert (arguments.max_grad_norm, arguments.seed) == (0.5, 7)
    assert arguments.remove_unused_columns is False


def test_a_missing_folder_is_named_by_its_setting(tmp_path):
    assert require_folder(tmp_path, "data_dir", "the CSV files") == tmp_path
    with pytest.raises(AudioBertInputError, match="'data_dir' is not set: give the folder with the CSV files"):
        require_folder(None, "data_dir", "the CSV files")
    with pytest.raises(AudioBertInputError, match=r"'data_dir' is '.*nowhere', which is not a folder"):
        require_folder(tmp_path / "nowhere", "data_dir", "the CSV files")
