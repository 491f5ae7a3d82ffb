"""Two functions at once: both run, and what stops one stops the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from audiobert.trainers.side_by_side import worth_side_by_side


# A program of its own, since the other process has to import what it is given, and a test runner's path is its own.
PROGRAM = """
import os, sys, time
from pathlib import Path
import torch
from audiobert import AudioBertInputError
from audiobert.trainers.side_by_side import run_side_by_side

def wait_for(file):
    for _ in range(600):
        if file.exists():
            return
        time.sleep(0.1)
    raise TimeoutError(file)

def meet(folder):
    (folder / "there").write_text(str(os.getpid()))
    wait_for(folder / "here")
    print(f"met, with {torch.get_num_threads()} threads")

def wait_to_be_stopped(folder):
    (folder / "there").write_text(str(os.getpid()))
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        (folder / "stopped").touch()
        raise

def refuse(folder):
    raise AudioBertInputError(f"{folder.name} is refused")

def die(folder):
    print("dying", flush=True)
    os._exit(9)

def here(folder, what):
    print(f"here, with {torch.get_num_threads()} threads", flush=True)
    if what in ("meet", "wait_to_be_stopped"):
        wait_for(folder / "there")
    (folder / "here").touch()
    if what == "wait_to_be_stopped":
        time.sleep(100) if sys.argv[3] == "sleep" else [][1]

if __name__ == "__main__":
    torch.set_num_threads(3)
    folder, what = Path(sys.argv[1]), sys.argv[2]
    try:
        seconds = run_side_by_side(lambda: here(folder, what), globals()[what], folder, folder / "log")
        assert all(took > 0 for took in seconds)
    finally:
        print(f"after, with {torch.get_num_threads()} threads")
"""


@pytest.fixture
def start(tmp_path):
    """Start the program in a folder; what it was left doing at the end of the test is killed."""
    started = []

    def start(*arguments: str) -> subprocess.Popen:
        (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
        command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path), *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError


def is_running(process_id: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def log_of(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8")


def test_both_run_at_once_and_share_the_threads(start, tmp_path):
    out, err = start("meet").communicate(timeout=100)
    assert out.splitlines() == ["here, with 1 threads", "after, with 3 threads"], err
    assert "met, with 2 threads" in log_of(tmp_path)


@pytest.mark.parametrize("how", ["sleep", "fail"])
def test_what_stops_it_here_stops_the_other_too(start, tmp_path, how):
    program = start("wait_to_be_stopped", how)
    wait_for((tmp_path / "here").exists)
    if how == "sleep":
        program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=50)
    assert ("KeyboardInterrupt" if how == "sleep" else "IndexError") in err
    assert (tmp_path / "stopped").exists()
    assert out.splitlines()[-1] == "after, with 3 threads"
    assert "KeyboardInterrupt" in log_of(tmp_path)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc, which Linux alone has")
def test_the_other_does_not_outlive_the_one_that_is_killed(start, tmp_path):
    program = start("wait_to_be_stopped", "sleep")
    wait_for((tmp_path / "here").exists)
    other = int((tmp_path / "there").read_text(encoding="utf-8"))
    assert is_running(other)
    program.kill()
    wait_for(lambda: not is_running(other))


@pytest.mark.parametrize(
    ("what", "told", "logged"),
    [
        ("refuse", " is refused", " is refused"),
        ("die", "ended unexpectedly, for example since memory ran out", "dying"),
    ],
)
def test_what_the_other_raises_is_raised_here(start, tmp_path, what, told, logged):
    _, err = start(what).communicate(timeout=100)
    assert (
        f"AudioBertInputError: {tmp_path.name if what == 'refuse' else 'the process beside this one'} {told.strip()}"
        in err
    )
    assert logged in log_of(tmp_path)


def test_one_thread_is_not_shared():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert not worth_side_by_side()
        torch.set_num_threads(2)
        assert worth_side_by_side() == (not torch.accelerator.is_available() and os.name != "nt")
    finally:
        torch.set_num_threads(before)
