"""Kills at every moment, full disks, and shards on several machines: nothing lost, nothing duplicated."""

import json
import multiprocessing
import os
import re
import resource
import signal
import stat
import sys

import pytest
from chat_stand_in import Misdeeds
from tiny_clips import CAPTIONS, write_manifest

from audiobert.dataset_scripts.construction.categorize import CategorizeStep
from audiobert.dataset_scripts.construction.generate import GenerateStep
from audiobert.dataset_scripts.construction.step_run import run_step
from audiobert.modeling_audiobert.errors import AudioBertInputError


def run_and_die(step, out, moment, **options):
    """Run in a process that is killed just before it puts its n-th file or folder in place."""

    def die():
        count, replace = 0, os.replace

        def counted(*paths):
            nonlocal count
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*paths)

        os.replace = counted
        run_step(step, out, shard_size=3, **options)

    child = multiprocessing.get_context("fork").Process(target=die)
    child.start()
    child.join(60)
    assert child.exitcode is not None
    return child.exitcode == -signal.SIGKILL


def everything(out):
    names = (out.name, f"{out.stem}.rejects.jsonl")
    return {name: out.with_name(name).read_bytes() for name in names}


@pytest.fixture
def clips(tmp_path):
    return write_manifest(tmp_path / "clips", [*CAPTIONS[:5], ""])


def steps(clips, categorized, settings):
    return {
        "categorize": CategorizeStep(str(clips), settings),
        "generate": GenerateStep(str(categorized), settings),
    }


@pytest.mark.parametrize(("name", "stride"), [("categorize", 2), ("generate", 7)])
def test_a_kill_at_any_moment_loses_and_duplicates_nothing(chat, clips, tmp_path, name, stride):
    state, settings = chat(concurrency=1)
    categorized = tmp_path / "categorized.jsonl"
    run_step(steps(clips, categorized, settings)["categorize"], categorized)
    step = steps(clips, categorized, settings)[name]
    before = len(state.requests)
    run_step(step, tmp_path / "whole" / "out.jsonl", shard_size=3)
    expected, calls = everything(tmp_path / "whole" / "out.jsonl"), len(state.requests) - before
    assert calls >= 5
    killed = True
    moment = 1 - stride
    while killed:
        moment += stride  # 1 tries every moment; it takes half a minute
        before = len(state.requests)
        out = tmp_path / f"killed-{moment}" / "out.jsonl"
        killed = run_and_die(step, out, moment)
        if killed:
            run_step(step, out, shard_size=3)
        assert everything(out) == expected
        # The answer that was on its way when the process died is the only one that may be asked for twice.
        assert len(state.requests) - before <= calls + 1
        assert json.loads((out.parent / "out.report.json").read_text())["complete"]
    assert moment > 15


def test_a_kill_while_failed_inputs_are_tried_again_loses_nothing(chat, clips, tmp_path):
    sick = {"now": True}
    _, settings = chat(
        Misdeeds(status=lambda data, times: 500 if sick["now"] and "cow" in data else None), max_retries=0
    )
    step = CategorizeStep(str(clips), settings)
    for moment in range(1, 6):  # the answer, the three files of the shard, and the merged rows
        sick["now"], out = True, tmp_path / str(moment) / "out.jsonl"
        assert run_step(step, out, shard_size=3)["rows"] == 4
        sick["now"] = False
        assert run_and_die(step, out, moment, retry_failed=True)
        report = run_step(step, out, shard_size=3, retry_failed=True)
        assert (report["rows"], report["rejects"]) == (5, 1)


def test_a_full_disk_is_told_and_the_same_command_goes_on(chat, clips, tmp_path):
    _, settings = chat()
    step, out = CategorizeStep(str(clips), settings), tmp_path / "out.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))  # as a disk that is full after 600 bytes of a file
        with pytest.raises(AudioBertInputError, match=r"cannot write '.*': a file may not grow that large"):
            run_step(step, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, kept)
    assert not out.exists()
    assert run_step(step, out)["rows"] == 5


def test_ids_that_are_there_twice_are_refused_before_anything_is_asked(chat, tmp_path):
    state, settings = chat()
    source = tmp_path / "clips.jsonl"
    source.write_text('{"id": "a", "path": "a.wav", "caption": "x"}\n' * 2)
    with pytest.raises(AudioBertInputError, match="the id 'a' is there twice"):
        run_step(CategorizeStep(str(source), settings), tmp_path / "out.jsonl")
    assert state.requests == []


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_run_as_a_datatrove_pipeline(chat, clips, tmp_path, workers):
    pytest.importorskip("datatrove", reason='pip install "audiobert[construct]"')
    _, settings = chat()
    step = CategorizeStep(str(clips), settings)
    run_step(step, tmp_path / "here.jsonl")
    executor = {"kind": "local", "workers": workers, "start_method": "fork"}
    report = run_step(step, tmp_path / "there.jsonl", shard_size=1, executor=executor)
    assert report["complete"]
    assert (tmp_path / "there.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    assert len(list((tmp_path / "there.jsonl.work" / "datatrove" / "completions").iterdir())) == 6


def test_shards_are_submitted_to_slurm_and_merged_when_they_are_done(chat, clips, tmp_path, monkeypatch):
    pytest.importorskip("datatrove", reason='pip install "audiobert[construct]"')
    _, settings = chat()
    from datatrove.tools import launch_pickled_pipeline

    # What Slurm itself does with the jobs is not ours to test; their scripts are kept, and a number is told.
    commands = {"sbatch": f'cat "$last" >> {tmp_path}/jobs\necho Submitted batch job 7', "scontrol": "echo node1"}
    commands["squeue"] = f"test -e {tmp_path}/queued && echo 7"
    for name, does in commands.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\nfor last; do :; done\n{does}\n")
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    executor = {"kind": "slurm", "time": "01:00:00", "partition": "cpu", "tasks": 2, "requeue_signals": []}
    step, out = CategorizeStep(str(clips), settings), tmp_path / "out.jsonl"
    report = run_step(step, out, shard_size=2, executor=executor)
    assert report == {"step": "categorize", "out": str(out), "complete": False, "pending": 3}
    jobs = (tmp_path / "jobs").read_text()
    for setting in ("--partition=cpu", "--time=01:00:00", "--array=0-1", "--job-name=audiobert-categorize"):
        assert f"#SBATCH {setting}\n" in jobs
    (tmp_path / "queued").touch()
    assert run_step(step, out, shard_size=2, executor=executor) == report
    assert (tmp_path / "jobs").read_text() == jobs, "a job in the queue is not submitted again"
    (tmp_path / "queued").unlink()
    pickled = re.search(r"launch_pickled_pipeline (\S+)", jobs)[1]
    monkeypatch.setenv("SLURM_NODELIST", "node1")
    for task in ("0", "1"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        monkeypatch.setattr(sys, "argv", ["launch_pickled_pipeline", pickled])
        launch_pickled_pipeline.main()
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    assert run_step(step, out, shard_size=2, executor=executor)["rows"] == 5


def test_a_shard_that_fails_in_a_pipeline_is_told_and_done_by_the_next_run(chat, clips, tmp_path, monkeypatch):
    pytest.importorskip("datatrove", reason='pip install "audiobert[construct]"')
    state, settings = chat()
    state.key = "the-key"
    step, executor = CategorizeStep(str(clips), settings), {"kind": "local", "workers": 2, "start_method": "fork"}
    with pytest.raises(AudioBertInputError, match="answered 401: it refused the key"):
        run_step(step, tmp_path / "out.jsonl", shard_size=1, executor=executor)
    monkeypatch.setenv("AUDIOBERT_API_KEY", "the-key")
    assert run_step(step, tmp_path / "out.jsonl", shard_size=1, executor=executor)["rows"] == 5


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ({"kind": "cloud"}, "no executor 'cloud'; give one of local, slurm, ray"),
        ({"kind": "local", "colour": 1}, r"the local executor cannot be set up so: .*colour"),
        ({"kind": "slurm"}, r"the slurm executor cannot be set up so: .*time"),
    ],
)
def test_an_executor_that_does_not_exist_is_refused(chat, clips, tmp_path, executor, said):
    pytest.importorskip("datatrove", reason='pip install "audiobert[construct]"')
    _, settings = chat()
    with pytest.raises(AudioBertInputError, match=said):
        run_step(CategorizeStep(str(clips), settings), tmp_path / "out.jsonl", executor=executor)


def test_missing_packages_are_named(chat, clips, tmp_path, monkeypatch):
    _, settings = chat()
    monkeypatch.setitem(sys.modules, "datatrove.executor.ray", None)
    step = CategorizeStep(str(clips), settings)
    with pytest.raises(AudioBertInputError, match=r'needs packages.*pip install "audiobert\[construct\]" ray'):
        run_step(step, tmp_path / "out.jsonl", executor={"kind": "ray"})
    monkeypatch.delitem(sys.modules, "audiobert.dataset_scripts.construction.answers", raising=False)
    monkeypatch.delattr("audiobert.dataset_scripts.construction.answers", raising=False)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(AudioBertInputError, match=r'pydantic, which is not installed: pip install "audiobert'):
        run_step(step, tmp_path / "out.jsonl")
