"""Banks that are built by processes that are killed, or by several at once: the same bytes."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bank_files import files_of
from tiny_sounds import noise, write_clips
from tiny_tars import sound_bytes, write_tars

from audiobert.modeling_audiobert.audio_bank import AudioBank
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.bank_building import add_clips, build_bank, remove_clips
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
from audiobert.trainers.clip_sources import Clip, ClipSource, read_clips
from audiobert.trainers.clip_streams import ClipShard, ClipStream, StreamedClip


OPTIONS = BankOptions(chunk_size=2)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork: run it on Linux or macOS")


@pytest.fixture(scope="module")
def encoders(parts):
    return load_bank_encoders(parts.clap, parts.audio_encoder)


def killed(work, step: int) -> bool:
    """Run `work` in a process that kills itself, as `kill -9` does, before its so-manieth renaming of a file.

    Returns False where it was done before.
    """
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        rename, calls = os.replace, iter(range(1 << 30))

        def replace(*names):
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*names)

        os.replace = replace
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def killed_at_every_step(work, prepare, bank: Path) -> int:
    """Kill `work` before each renaming, once a step, on what `prepare` makes; it must then go on to the same bytes."""
    prepare()
    work()
    whole = files_of(bank)
    for step in range(100):
        prepare()
        if not killed(work, step):
            return step
        work()
        assert files_of(bank) == whole, f"killed before renaming number {step}"
        assert sorted(path.name for path in bank.parent.iterdir() if path.name.startswith(".")) == []
    raise AssertionError("it never ends")


@needs_fork
@pytest.mark.parametrize("source", ["a folder", "tars"])
def test_a_build_killed_at_any_step_goes_on_to_the_same_bytes(encoders, tmp_path, source):
    clips = write_tars(tmp_path / "set") if source == "tars" else write_clips(tmp_path / "clips", 2)
    (tmp_path / "out").mkdir()
    bank = tmp_path / "out" / "bank"
    steps = killed_at_every_step(
        lambda: build_bank(clips, encoders, bank, OPTIONS), lambda: shutil.rmtree(bank, ignore_errors=True), bank
    )
    assert steps >= 3 + 1 + 5, "three chunks, what was measured, five files of the bank"


@needs_fork
@pytest.mark.parametrize("change", ["add", "remove", "replace"])
def test_a_change_killed_at_any_step_is_done_by_the_same_command(encoders, tmp_path, change):
    source = read_clips(write_clips(tmp_path / "clips", 2))
    first, second = (ClipSource(source.folder, part) for part in (source.clips[:4], source.clips[4:]))
    build_bank(first, encoders, tmp_path / "before", OPTIONS)
    (tmp_path / "out").mkdir()
    bank = tmp_path / "out" / "bank"

    def prepare():
        shutil.rmtree(bank, ignore_errors=True)
        shutil.copytree(tmp_path / "before", bank)

    def work():
        if change == "replace":
            build_bank(second, encoders, bank, OPTIONS)
        elif change == "add":
            add_clips(bank, second, encoders, OPTIONS)
        else:
            remove_clips(bank, ["hum-0"])

    steps = killed_at_every_step(work, prepare, bank)
    assert steps >= 10, "five files out of the way, five into their places"


@needs_fork
def test_a_bank_that_is_being_built_is_left_to_that_process(encoders, tmp_path):
    manifest = write_clips(tmp_path / "clips", 2)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)

        def wait(module, inputs):
            os.write(writing, b"x")
            signal.pause()

        encoders.audio_encoder.register_forward_pre_hook(wait)
        try:
            build_bank(manifest, encoders, tmp_path / "bank")
        finally:
            os._exit(0)
    try:
        assert os.read(reading, 1) == b"x"
        with pytest.raises(AudioBertInputError, match=r"another process is changing the audio bank .*wait for it"):
            build_bank(manifest, encoders, tmp_path / "bank")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert len(build_bank(manifest, encoders, tmp_path / "bank")[0]) == 6


class Counted(ClipStream):
    """A long stream of sounds as bytes, that notes how many were handed over."""

    def __init__(self, count: int):
        self.name = "counted"
        self.count = count
        self.drawn = 0

    def shards(self):
        return [ClipShard("one", "1", self._walk)]

    def _walk(self):
        for number in range(self.count):
            self.drawn += 1
            yield StreamedClip(Clip(f"clip-{number}", f"{number}.wav"), sound_bytes(noise(0.12, number), "wav"))


def test_a_source_is_read_as_it_is_needed(encoders, tmp_path):
    stream, ahead = Counted(120), []
    hook = encoders.audio_encoder.register_forward_pre_hook(
        lambda module, inputs: ahead.append(stream.drawn - len(ahead))
    )
    bank, _ = build_bank(stream, encoders, tmp_path / "bank", BankOptions(chunk_size=4))
    hook.remove()
    assert len(bank) == len(ahead) == 120
    assert max(ahead) <= 40, "clips in memory at a time do not grow with the source"


def test_a_full_disk_and_a_place_that_is_none_are_one_error_and_lose_nothing(encoders, tmp_path):
    manifest = write_clips(tmp_path / "clips", 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioBertInputError, match=r"cannot write '.*file.*': a part of that path is a file"):
        build_bank(manifest, encoders, tmp_path / "file" / "bank")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(AudioBertInputError, match=r"cannot write '.*chunk-.*': a file may not grow that large"):
            build_bank(manifest, encoders, tmp_path / "bank")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "bank").exists()
    assert len(build_bank(manifest, encoders, tmp_path / "bank")[0]) == 3


def test_processes_that_decode_change_nothing(encoders, tmp_path):
    clips = write_tars(tmp_path / "set")
    build_bank(clips, encoders, tmp_path / "one")
    _, report = build_bank(clips, encoders, tmp_path / "two", BankOptions(num_proc=2))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert report.speed["cpu_seconds_decoding_and_features"] > 0


def test_two_processes_under_accelerate_make_the_same_bank_as_one(encoders, parts, tmp_path):
    clips = write_tars(tmp_path / "set", num_tars=3)
    (tmp_path / "set" / "1.tar").write_bytes((tmp_path / "set" / "1.tar").read_bytes()[:9000])
    build_bank(clips, encoders, tmp_path / "one")
    launched = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launched += [
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
    ]
    command = ["-m", "audiobert", "bank", "build", str(clips), "--clap", str(parts.clap)]
    command += ["--audio-encoder", str(parts.audio_encoder), "--out", str(tmp_path / "two"), "--json"]
    done = subprocess.run([*launched, *command], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"clips"') == 2, "one report, its speed included"
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert AudioBank.load(tmp_path / "two").clips["id"].to_pylist()[:3] == ["0/0", "0/1", "0/2"]
