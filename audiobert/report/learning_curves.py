"""What a training logged on its way."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.training_run import METRICS_FILE, last_checkpoint, read_metrics


__all__ = ["TrainingRun", "read_run"]


@dataclass(frozen=True)
class TrainingRun:
    """One training that has ended.

    Attributes:
        folder (`Path`): where it is.
        name (`str`): runs of several seeds share it.
        metrics (`dict`): its `metrics.json`.
        loss, evaluation_loss (`list[tuple[int, float]]`): (step, loss) as logged; empty where nothing was kept.
    """

    folder: Path
    name: str
    metrics: dict[str, Any]
    loss: list[tuple[int, float]]
    evaluation_loss: list[tuple[int, float]]

    @property
    def kind(self) -> str:
        """What was trained: `"audiobert"`, `"detector"`, `"clap"` …"""
        return self.metrics.get("kind", "not recorded")


def read_run(folder: Path, name: str) -> TrainingRun:
    """Return a training, with the losses that its last checkpoint remembers.

    Raises:
        AudioBertInputError: its `metrics.json` cannot be read.
    """
    path = folder / METRICS_FILE
    try:
        metrics = read_metrics(folder)
    except (OSError, ValueError) as error:
        raise AudioBertInputError(f"cannot read '{path}' ({error}). Give another folder.") from error
    if not isinstance(metrics, dict):
        raise AudioBertInputError(f"'{path}' is not the metrics of a training. Give another folder.")
    checkpoint = last_checkpoint(folder)
    history = []
    if checkpoint is not None:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        history = state.get("log_history", [])
    return TrainingRun(folder, name, metrics, _logged(history, "loss"), _logged(history, "eval_loss"))


def _logged(history: list[dict[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(entry["step"], entry[key]) for entry in history if key in entry]
