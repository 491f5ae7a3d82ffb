"""How much of training is spent waiting for data."""

import time

from transformers import TrainerCallback


__all__ = ["DataWaitMixin"]


class DataWaitMixin:
    """For a `Trainer`: measures the share of a step that passes in waiting for its batches.

    Evaluating, logging and saving are not counted. The first epoch, which may fill caches, counts only in runs that
    have no second one.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._clock = _StepClock()
        self.add_callback(self._clock)

    @property
    def data_wait_share(self) -> float | None:
        """Share (0 to 1) of the steps' time from the second epoch on; None before the first step."""
        return self._clock.share

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        started = time.perf_counter()
        batches = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._clock.waited(time.perf_counter() - started, epoch=int(self.state.epoch or 0))
        return batches


class _StepClock(TrainerCallback):
    def __init__(self):
        self.seconds = {"first": [0.0, 0.0], "later": [0.0, 0.0]}  # waiting, computing
        self.part = "first"
        self.began = 0.0

    @property
    def share(self) -> float | None:
        waiting, computing = self.seconds["later" if sum(self.seconds["later"]) else "first"]
        return waiting / (waiting + computing) if computing else None

    def waited(self, seconds: float, epoch: int) -> None:
        self.part = "later" if epoch else "first"
        self.seconds[self.part][0] += seconds

    def on_step_begin(self, args, state, control, **kwargs):
        self.began = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        self.seconds[self.part][1] += time.perf_counter() - self.began
