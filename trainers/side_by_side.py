"""Two trainings at once, each on half of the threads."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import torch

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = ["run_side_by_side", "worth_side_by_side"]


def worth_side_by_side() -> bool:
    """Whether two small trainings end sooner at once: on a processor with threads for both.

    What a step of the quickstart computes is too little to keep two threads busy, let alone more.
    """
    return torch.get_num_threads() > 1 and not torch.accelerator.is_available()


def run_side_by_side(
    here: Callable[[], Any], beside: Callable[[Any], Any], argument: Any, log: Path
) -> tuple[float, float]:
    """Run one function here and another in a process of its own, each with half of the threads.

    Args:
        here (`Callable[[], Any]`): shows its progress as ever.
        beside (`Callable[[Any], Any]`), argument: a function of a module, and what it is given; both can be pickled.
        log (`Path`): where the other process writes what it prints.

    Returns:
        The seconds that each took.

    Raises:
        AudioBertInputError: the other process was killed.
        BaseException: what either raises, once both have stopped; an interruption here interrupts the other too.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // 2))
    try:
        pool = ProcessPoolExecutor(1, get_context("spawn"), _start, (max(1, threads - threads // 2), str(log)))
        with pool, _interrupting_both():
            other = pool.submit(_timed, beside, argument)
            seconds = _timed(lambda _: here(), None)
            return seconds, other.result()
    except BrokenProcessPool as error:
        raise AudioBertInputError(
            f"the process beside this one was killed, as happens where memory runs out; '{log}' has what it printed. "
            f"The same command goes on, with OMP_NUM_THREADS=1 without a second process."
        ) from error
    finally:
        torch.set_num_threads(threads)


def _timed(run: Callable[[Any], Any], argument: Any) -> float:
    started = time.monotonic()
    run(argument)
    return time.monotonic() - started


def _start(threads: int, log: str) -> None:
    torch.set_num_threads(threads)
    # Ctrl-C in a terminal reaches a whole group of processes, and here it comes once already, from the first one.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    # Two progress bars would write over each other.
    sys.stdout = sys.stderr = open(log, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - as long as the process


@contextlib.contextmanager
def _interrupting_both() -> Iterator[None]:
    try:
        yield
    except BaseException:
        for child in active_children():
            os.kill(child.pid, signal.SIGINT)
        raise
