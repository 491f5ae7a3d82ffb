"""Shards of a step as a datatrove pipeline: on this machine, on Slurm, or on Ray."""

import logging
import subprocess
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .outcome import Step
from .step_run import run_shard
from .work_folder import WorkFolder


__all__ = ["EXECUTORS", "ShardTask", "distribute"]

logger = logging.getLogger(__name__)

EXECUTORS = {
    "local": ("datatrove.executor.local", "LocalPipelineExecutor"),
    "slurm": ("datatrove.executor.slurm", "SlurmPipelineExecutor"),
    "ray": ("datatrove.executor.ray", "RayPipelineExecutor"),
}
_JOB = "slurm_job.txt"


class ShardTask:
    """The one step of the pipeline: does the shards that fall to a task. What is done already is left alone.

    Args:
        step (`Step`): what to do.
        out (`str`): its output file, at the same path on all machines.
        shards (`list[int]`): of all tasks.
    """

    name = "audiobert construct"

    def __init__(self, step: Step, out: str, shards: list[int]):
        self.step, self.out, self.shards = step, out, shards

    def __call__(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        work = WorkFolder(Path(self.out))
        worker = self.step.worker(work.cache)
        for index in self.shards[rank::world_size]:
            run_shard(self.step, worker, work, index)
        return data


def distribute(step: Step, work: WorkFolder, shards: list[int], executor: dict[str, Any]) -> None:
    """Run shards by an executor of datatrove: until they are done (local, Ray), or until they are submitted (Slurm).

    While the job that was submitted last is in Slurm's queue, no other is.

    Args:
        executor (`dict`):
            `kind` (`"local"`, `"slurm"` or `"ray"`), `tasks` (*optional*, one a shard by default), and whatever else
            that executor's class takes, such as `workers`, or `partition` and `time` of Slurm. The concurrency and
            rate limits of the language model's settings hold for each task.

    Raises:
        AudioBertInputError: datatrove, or Ray for it, is not installed; a setting is unknown; a shard failed.
    """
    logs = work.folder.resolve() / "datatrove"
    settings = dict(executor)
    kind = settings.pop("kind", "local")
    if kind not in EXECUTORS:
        raise AudioBertInputError(f"there is no executor '{kind}'; give one of {', '.join(EXECUTORS)}.")
    tasks = min(settings.pop("tasks", len(shards)), len(shards))
    defaults = {"logging_dir": str(logs), "tasks": tasks}
    if kind == "slurm":
        if _is_queued(work.folder / _JOB):
            return
        defaults |= {"job_name": f"audiobert-{step.name}", "mail_type": "NONE"}
    task = ShardTask(step, str(work.out.resolve()), shards)
    try:
        # Which shards are done is told by their files, not by datatrove: its tasks are other ones in every run.
        pipeline = _executor_class(kind)(pipeline=[task], skip_completed=False, **{**defaults, **settings})
    except TypeError as error:
        raise AudioBertInputError(f"the {kind} executor cannot be set up so: {error}.") from error
    logger.info("%d shards in %d tasks of the %s executor", len(shards), tasks, kind)
    pipeline.run()
    if kind == "slurm":
        with staged_file(work.folder / _JOB) as temporary:
            temporary.write_text(str(pipeline.job_id), encoding="utf-8")
        return
    failed = [index for index in shards if not work.is_done(index)]
    if failed:
        raise AudioBertInputError(
            f"{len(failed)} of {len(shards)} shards failed; '{logs / 'logs'}' says why. What was done is kept: put it "
            "right, then give the same command again."
        )


def _is_queued(job_file: Path) -> bool:
    """Return whether Slurm still has the job that was submitted last."""
    if not job_file.is_file():
        return False
    command = ["squeue", "--noheader", "--jobs", job_file.read_text(encoding="utf-8")]
    try:
        # It fails for a job that ended a while ago.
        queue = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise AudioBertInputError("the slurm executor needs Slurm's commands; 'squeue' is not there.") from error
    return bool(queue.stdout.strip())


def _executor_class(kind: str) -> type:
    import importlib

    module, name = EXECUTORS[kind]
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        missing = 'pip install "audiobert[construct]"' if kind != "ray" else 'pip install "audiobert[construct]" ray'
        raise AudioBertInputError(f"the {kind} executor needs packages that are not installed: {missing}.") from error
