"""One run of a recipe: its folder, its `TrainingArguments`, and training that can be stopped and goes on."""

import dataclasses
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from audiobert.modeling_audiobert.atomic_files import output_errors, staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .compat import forget_precision
from .gaudi import gaudi_arguments
from .recipe import RECIPE_FILE, differing_keys, load_recipe, save_recipe, with_training_defaults


__all__ = [
    "METRICS_FILE",
    "finished_run",
    "last_checkpoint",
    "read_metrics",
    "require_folder",
    "require_shares",
    "run_seeds",
    "run_training",
    "seed_folders",
    "start_run",
    "training_arguments",
    "write_json",
    "write_metrics",
]

logger = logging.getLogger(__name__)

_DEFAULTS = {
    "report_to": "none",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "logging_steps": 20,
}
METRICS_FILE = "metrics.json"  # written last
# A run that is moved to another folder is still the same run.
_MAY_DIFFER = {"output_dir"}


def seed_folders(recipe: Any) -> list[tuple[int, Path]]:
    """Return (seed, folder) of each run: `output_dir` itself for one seed, `output_dir/seed-<n>` for several.

    Raises:
        AudioBertInputError: the recipe has no seeds, or one twice.
    """
    seeds = list(recipe.seeds)
    if not seeds or len(set(seeds)) != len(seeds):
        raise AudioBertInputError(f"the recipe's seeds are {seeds}: give one or more different whole numbers.")
    folder = Path(recipe.output_dir)
    return [(seed, folder if len(seeds) == 1 else folder / f"seed-{seed}") for seed in seeds]


def finished_run(recipe: Any, output_dir: str | Path, seed: int) -> dict[str, Any] | None:
    """Return the metrics of a run that has ended in `output_dir`, None if there is none yet.

    Raises:
        AudioBertInputError: the folder holds something else, or a run of another recipe.
    """
    path = Path(output_dir) / METRICS_FILE
    if not path.is_file() or not (Path(output_dir) / RECIPE_FILE).is_file():
        return None
    _check_run_folder(_resolved(recipe, seed), Path(output_dir))
    logger.info("%s: seed %d has ended before and is not repeated", output_dir, seed)
    return read_metrics(output_dir)


def run_seeds(recipe: Any, train_one: Callable[[int, Path], dict[str, Any]]) -> list[dict[str, Any]]:
    """Train once for each seed, leaving out those that have ended before; return the metrics of all.

    Args:
        train_one (`Callable`): takes seed and folder, trains, and returns the run's metrics.

    Raises:
        AudioBertInputError: see `seed_folders` and `finished_run`.
    """
    runs = seed_folders(recipe)
    finished = {seed: finished_run(recipe, folder, seed) for seed, folder in runs}
    return [finished[seed] or train_one(seed, folder) for seed, folder in runs]


def write_metrics(metrics: dict[str, Any], folder: str | Path) -> None:
    """Write a run's metrics; the last thing that it does, since a folder with metrics is not trained again.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    write_json(metrics, Path(folder) / METRICS_FILE)


def write_json(content: Any, path: str | Path) -> None:
    """Write a file of a run.

    Raises:
        AudioBertInputError: the file cannot be written.
    """
    with staged_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_metrics(folder: str | Path) -> dict[str, Any]:
    """Return the metrics that a run has written."""
    return json.loads((Path(folder) / METRICS_FILE).read_text(encoding="utf-8"))


def require_folder(path: str | Path | None, setting: str, holds: str) -> Path:
    """Return `path` as an existing folder.

    Args:
        setting (`str`): the recipe's key, for the message.
        holds (`str`): what the folder should hold, for the message ("the AuditoryBench CSV files").

    Raises:
        AudioBertInputError: the setting is missing, or not a folder.
    """
    if path is None:
        raise AudioBertInputError(f"'{setting}' is not set: give the folder with {holds}, {setting}=FOLDER.")
    if not Path(path).is_dir():
        raise AudioBertInputError(f"'{setting}' is '{path}', which is not a folder: give the folder with {holds}.")
    return Path(path)


def require_shares(recipe: Any, *settings: str) -> None:
    """Refuse a recipe in which one of the settings is not a share, from 0 to 1.

    Raises:
        AudioBertInputError: naming the setting.
    """
    for setting in settings:
        value = getattr(recipe, setting)
        if not 0 <= value <= 1:
            raise AudioBertInputError(f"{setting}={value} is no share; give a number from 0 to 1.")


def start_run(recipe: Any, output_dir: str | Path, seed: int) -> Any:
    """Check that `output_dir` is new or holds this very run, save the recipe there, and set the random state.

    Call it before the model is made, whose new weights depend on the random state.

    Returns:
        The recipe of this run: `recipe` with this seed alone and every default of its `training` filled in.

    Raises:
        AudioBertInputError: the folder holds something else, or a run of another recipe; or it cannot be written to.
    """
    recipe = _resolved(recipe, seed)
    _check_run_folder(recipe, Path(output_dir))
    save_recipe(recipe, output_dir)
    set_seed(seed)
    return recipe


def training_arguments(recipe: Any, output_dir: str | Path, seed: int) -> TrainingArguments:
    """Return the `TrainingArguments` of a run: our defaults, then the recipe's `training:`.

    Ours are: `report_to="none"`, a checkpoint each epoch of which the last is kept, a log line every 20 steps, and
    `remove_unused_columns=False`, which cannot be changed. A recipe with `trainer: gaudi` gets optimum-habana's.

    Raises:
        AudioBertInputError: transformers or optimum-habana refuses a value, or the latter is not installed.
    """
    forget_precision()
    pin = {"dataloader_pin_memory": torch.accelerator.is_available()}
    fixed = {"output_dir": str(output_dir), "seed": seed, "remove_unused_columns": False}
    settings = _DEFAULTS | pin | dict(recipe.training) | fixed
    try:
        if getattr(recipe, "trainer", "standard") == "gaudi":
            return gaudi_arguments(settings, recipe.gaudi)
        return TrainingArguments(**settings)
    except AudioBertInputError:
        raise
    except ImportError as error:
        raise AudioBertInputError(str(error)) from error
    except ValueError as error:
        raise AudioBertInputError(f"the recipe's 'training' settings are refused by transformers: {error}") from error


def run_training(trainer: Trainer, output_dir: str | Path) -> None:
    """Train to the end, from the last checkpoint in `output_dir` if there is one.

    Ctrl-C lets the current step finish and saves a checkpoint there; a second Ctrl-C stops at once, and the last
    checkpoint stays.

    Raises:
        KeyboardInterrupt: after the checkpoint is written.
        AudioBertInputError: a checkpoint cannot be written.
    """
    checkpoint = last_checkpoint(output_dir)
    if checkpoint is not None:
        logger.info("resuming from %s", checkpoint)
    callback = _StopOnInterrupt()
    trainer.add_callback(callback)
    try:
        with _handling_interrupts(callback), output_errors(output_dir):
            trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    except KeyboardInterrupt:
        if callback.began:  # closes progress bars, so that what is printed next has a line of its own
            trainer.callback_handler.on_train_end(trainer.args, trainer.state, trainer.control)
        raise
    finally:
        trainer.remove_callback(callback)
        forget_precision()
    if callback.interrupted:
        raise KeyboardInterrupt


def last_checkpoint(output_dir: str | Path) -> Path | None:
    """Return the newest complete checkpoint of a run, or None.

    The Trainer writes `trainer_state.json` last, so a checkpoint that was cut off while being written has none.
    """
    complete = [path.parent for path in Path(output_dir).glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class _StopOnInterrupt(TrainerCallback):
    """Saves a checkpoint at the end of the step in which Ctrl-C came, and stops.

    Stopping the Trainer in its own way (`should_training_stop`) lets it end the epoch and the training, which with
    `load_best_model_at_end` and `save_total_limit=1` removes the checkpoint just written (transformers 4.55 to 5.23).
    """

    def __init__(self):
        self.began = False
        self.interrupted = False

    def on_train_begin(self, args, state, control, **kwargs):
        self.began = True

    def on_step_end(self, args, state, control, **kwargs):
        # The last step of an epoch is saved after what the recipe does at its end, such as an evaluation.
        if self.interrupted and state.epoch != int(state.epoch):
            control.should_save = True

    def on_epoch_end(self, args, state, control, **kwargs):
        if self.interrupted:
            control.should_save = True

    def on_evaluate(self, args, state, control, **kwargs):
        if self.interrupted:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self.interrupted:
            raise KeyboardInterrupt


@contextmanager
def _handling_interrupts(callback: _StopOnInterrupt) -> Iterator[None]:
    # Handlers can be set in the main thread only; and a job in the background of a script ignores Ctrl-C on purpose.
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def on_signal(number, frame):
        if callback.interrupted:
            raise KeyboardInterrupt
        callback.interrupted = True
        logger.warning("interrupted: saving a checkpoint after this step; press Ctrl-C again to stop at once.")

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _resolved(recipe: Any, seed: int) -> Any:
    training = with_training_defaults(type(recipe), recipe.training)
    return dataclasses.replace(recipe, seeds=[seed], training=training)


def _check_run_folder(recipe: Any, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise AudioBertInputError(f"output_dir '{folder}' is a file; give a folder, output_dir=FOLDER.")
    if not folder.is_dir() or not any(not entry.name.startswith(".") for entry in folder.iterdir()):
        return
    saved_path = folder / RECIPE_FILE
    if not saved_path.is_file():
        raise AudioBertInputError(
            f"output_dir '{folder}' holds files that are not of such a run; give an empty or new folder, "
            f"output_dir=FOLDER."
        )
    try:
        saved = load_recipe(type(recipe), saved_path)
    except AudioBertInputError as error:
        raise AudioBertInputError(
            f"output_dir '{folder}' holds another run ({error}); give another folder, output_dir=FOLDER."
        ) from error
    differing = [key for key in differing_keys(recipe, saved) if key not in _MAY_DIFFER]
    if differing:
        raise AudioBertInputError(
            f"output_dir '{folder}' holds a run of another recipe (it differs in {', '.join(differing)}); it cannot "
            f"be resumed with this one; give another folder, output_dir=FOLDER."
        )


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
