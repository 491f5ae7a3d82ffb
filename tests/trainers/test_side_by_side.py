"""Two functions at once: both run, and what stops one stops the other."""

import os
import sys
import time
from pathlib import Path

import pytest
import torch

from audiobert import AudioBertInputError
from audiobert.trainers.side_by_side import run_side_by_side, worth_side_by_side


def meet(folder: Path) -> None:
    """Return once the other one has come too."""
    (folder / "there").touch()
    wait_for(folder / "here")
    sys.stdout.write(f"met, with {torch.get_num_threads()} threads")


def wait_to_be_stopped(folder: Path) -> None:
    (folder / "there").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        (folder / "stopped").touch()
        raise


def refuse(folder: Path) -> None:
    raise AudioBertInputError(f"{folder.name} is refused")


def die(folder: Path) -> None:
    os._exit(9)


def wait_for(file: Path) -> None:
    for _ in range(600):
        if file.exists():
            return
        time.sleep(0.1)
    raise TimeoutError(file)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3  # whatever happened
    torch.set_num_threads(before)


def test_both_run_at_once_and_share_the_threads(tmp_path, three_threads):
    seen = []

    def here() -> None:
        seen.append(torch.get_num_threads())
        wait_for(tmp_path / "there")
        (tmp_path / "here").touch()

    seconds = run_side_by_side(here, meet, tmp_path, tmp_path / "log")
    assert seen == [1]
    assert "met, with 2 threads" in (tmp_path / "log").read_text(encoding="utf-8")
    assert all(took > 0 for took in seconds)


def test_an_interruption_here_stops_the_other_too(tmp_path, three_threads):
    def here() -> None:
        wait_for(tmp_path / "there")
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(here, wait_to_be_stopped, tmp_path, tmp_path / "log")
    assert time.monotonic() - started < 50
    assert (tmp_path / "stopped").exists()


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        (refuse, "is refused"),
        (die, r"ended unexpectedly, for example since memory ran out; '.*log' has what it printed"),
    ],
)
def test_what_the_other_raises_is_raised_here(tmp_path, three_threads, beside, message):
    with pytest.raises(AudioBertInputError, match=message):
        run_side_by_side(lambda: None, beside, tmp_path, tmp_path / "log")


def test_one_thread_is_not_shared():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert not worth_side_by_side()
        torch.set_num_threads(2)
        assert worth_side_by_side() == (not torch.accelerator.is_available())
    finally:
        torch.set_num_threads(before)
