"""The differences between the transformers versions that training runs on, in one place."""

import os
import typing
from dataclasses import fields
from typing import Any

from transformers import TrainingArguments


__all__ = ["chosen_row_order", "current_training_names", "forget_precision", "training_hints"]

_PRECISION = "ACCELERATE_MIXED_PRECISION"
# What "accelerate launch" told this process, before any training began in it.
_PRECISION_AT_START = os.environ.get(_PRECISION)


def training_hints() -> dict[str, Any]:
    """Return the settings of `TrainingArguments` that can be given, with their type hints."""
    hints = typing.get_type_hints(TrainingArguments)
    return {field.name: hints[field.name] for field in fields(TrainingArguments) if field.init}


def current_training_names(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `settings` under the names of the installed transformers, and the hints of all names.

    Two settings of ours changed their names: the share of warm-up steps, `warmup_ratio` in transformers 4, a
    `warmup_steps` below 1 in transformers 5; and `group_by_length`, now a `train_sampling_strategy`. Either spelling
    works on either version. Goes when 5 is the minimum.

    Raises:
        ValueError: both spellings are given.
    """
    hints = training_hints()
    settings = dict(settings)
    steps = settings.get("warmup_steps")
    if "warmup_ratio" in hints:
        old, new, translate = "warmup_steps", "warmup_ratio", isinstance(steps, float) and 0 < steps < 1
    else:
        old, new, translate = "warmup_ratio", "warmup_steps", "warmup_ratio" in settings
    if translate:
        if new in settings:
            raise ValueError(f"'training.{old}' and 'training.{new}' are the same setting; keep one.")
        settings[new] = settings.pop(old)
    return _current_row_order(settings, hints), hints


def chosen_row_order(args: TrainingArguments) -> str:
    """Return the order of training rows that was chosen, in transformers 5's words. Goes when 5 is the minimum."""
    if getattr(args, "group_by_length", False):
        return "group_by_length"
    return getattr(args, "train_sampling_strategy", "random")


def _current_row_order(settings: dict[str, Any], hints: dict[str, Any]) -> dict[str, Any]:
    if "train_sampling_strategy" in settings and "group_by_length" in settings:
        raise ValueError(
            "'training.group_by_length' and 'training.train_sampling_strategy' are the same setting; keep one."
        )
    chosen = settings.get("train_sampling_strategy")
    if "group_by_length" in hints:
        if chosen in ("random", "group_by_length"):
            del settings["train_sampling_strategy"]
            settings["group_by_length"] = chosen == "group_by_length"
    elif str(settings.get("group_by_length")).lower() in ("true", "false"):  # text, out of an argument
        grouped = str(settings.pop("group_by_length")).lower() == "true"
        settings["train_sampling_strategy"] = "group_by_length" if grouped else "random"
    return settings


def forget_precision() -> None:
    """Undo what an earlier training of this process did to the next one's precision.

    `TrainingArguments(bf16=True)` of transformers 4 sets an environment variable, by which every later training, and
    every `Accelerator`, of the process computes in bf16 too. Goes when 5 is the minimum.
    """
    if _PRECISION_AT_START is None:
        os.environ.pop(_PRECISION, None)
    else:
        os.environ[_PRECISION] = _PRECISION_AT_START
