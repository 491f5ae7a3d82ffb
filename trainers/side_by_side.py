"""Two trainings at once, each on half of the threads."""

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, connection, get_context, parent_process
from pathlib import Path
from typing import Any

import torch

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .thread_limits import limited_threads


__all__ = ["run_side_by_side", "worth_side_by_side"]


def worth_side_by_side() -> bool:
    """Whether two small trainings end sooner at once: on a processor with threads for both.

    What a step of the quickstart computes is too little to keep two threads busy, let alone more. Not on Windows,
    where a process cannot be asked to stop after its step.
    """
    return torch.get_num_threads() > 1 and not torch.accelerator.is_available() and os.name != "nt"


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
        AudioBertInputError: the other process cannot be started, or was killed.
        BaseException: what either raises, once both have stopped; an interruption here interrupts the other too.
    """
    threads = torch.get_num_threads()
    before = set(active_children())
    try:
        pool = ProcessPoolExecutor(1, get_context("spawn"), _start, (threads - threads // 2, str(log)))
        with limited_threads(max(1, threads // 2)), pool, _interrupting_both(before):
            pool.submit(os.getpid).result()  # that it can be started is known before anything is trained
            other = pool.submit(_timed, beside, argument)
            seconds = _timed(lambda _: here(), None)
            return seconds, other.result()
    except BrokenProcessPool as error:
        raise AudioBertInputError(
            f"the process beside this one ended unexpectedly, for example since memory ran out; '{log}' has what it "
            f"printed. The same command goes on; with OMP_NUM_THREADS=1 it needs no second process. A script has to "
            f'call it under if __name__ == "__main__".'
        ) from error


def _timed(run: Callable[[Any], Any], argument: Any) -> float:
    started = time.monotonic()
    try:
        run(argument)
    except BaseException:
        if parent_process() is not None:
            traceback.print_exc()  # into the log
        raise
    return time.monotonic() - started


def _start(threads: int, log: str) -> None:
    # Ctrl-C in a terminal reaches a whole group of processes, and here it comes once already, from the first one.
    os.setpgrp()
    torch.set_num_threads(threads)
    # Two progress bars would write over each other.
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)
    threading.Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    """Without it, this process would go on writing into the folder when the first one is killed and begun again."""
    connection.wait([parent_process().sentinel])
    os._exit(1)


@contextlib.contextmanager
def _interrupting_both(before: set) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for child in set(active_children()) - before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGINT)
        raise
