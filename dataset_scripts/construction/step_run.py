"""Running a construction step: shard by shard, many calls at a time, going on where it was stopped."""

import json
import logging
import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .chat_model import EndpointDown, Usage
from .llm_settings import LlmSettings
from .outcome import ENDPOINT, REFUSED, Outcome, Step, StepWorker
from .work_folder import WorkFolder


__all__ = ["DEFAULT_SHARD_SIZE", "run_shard", "run_step"]

logger = logging.getLogger(__name__)

DEFAULT_SHARD_SIZE = 500
# So many inputs in a row without an answer are no accident of single inputs.
_MOST_FAILURES_IN_A_ROW = 20


def run_step(
    step: Step,
    out: str | os.PathLike,
    shard_size: int = DEFAULT_SHARD_SIZE,
    executor: dict[str, Any] | None = None,
    retry_failed: bool = False,
) -> dict[str, Any]:
    """Run a step and write what it makes; the same call goes on where an earlier one was stopped, at any moment.

    Beside `out` (`NAME.jsonl`) stand `NAME.rejects.jsonl` (what became no row, with its reason), `NAME.report.json`
    (what is returned) and the folder `NAME.jsonl.work` (inputs, finished shards, all answers of the language model).

    Args:
        step (`Step`): what to do.
        out (`str` or `Path`): a file that ends in `.jsonl`.
        shard_size (`int`, *optional*, defaults to 500): inputs in a shard, the unit of resuming and distributing.
        executor (`dict`, *optional*): how shards are distributed; see `distribute`. One after another by default.
        retry_failed (`bool`, *optional*, defaults to False): try again what the endpoint did not answer.

    Returns:
        `dict` for a JSON file: `step`, `out`, `complete`, `settings`, `rows`, `rejects`, `reasons`, `usage`, `cost`
        (None without prices or token counts). With an executor that works later, only the first three and `pending`
        (`int`, shards).

    Raises:
        AudioBertInputError: the source or the model cannot be used, `out` cannot be written, or no row came out.
    """
    work = WorkFolder(_checked_out(out))
    if shard_size < 1:
        raise AudioBertInputError(f"the shard size is {shard_size}; give 1 or more.")
    shards = work.plan(step, shard_size)
    pending = work.pending(shards, retry_failed)
    logger.info("%s: %d of %d shards to do", step.name, len(pending), shards)
    if pending and executor:
        from .distribution import distribute

        distribute(step, work, pending, executor)
    elif pending:
        worker = step.worker(work.cache)
        for index in tqdm(pending, desc=step.name, unit="shard", disable=None):
            run_shard(step, worker, work, index)
    facts = {"step": step.name, "out": str(out), "complete": True}
    left = work.pending(shards)
    if left:
        return {**facts, "complete": False, "pending": len(left)}
    merged = work.merge(shards)
    report = {**facts, "settings": step.settings(), **merged, "cost": _cost(merged["usage"], step.llm)}
    with staged_file(work.report_file) as temporary:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if not report["rows"]:
        raise AudioBertInputError(
            f"no row came out of {report['rejects']} inputs, most often because: {next(iter(report['reasons']))}. See "
            f"'{work.rejects_file}'."
        )
    return report


def run_shard(step: Step, worker: StepWorker, work: WorkFolder, index: int) -> None:
    """Do one shard, `step.llm.concurrency` inputs at a time, and write its result.

    Args:
        worker (`StepWorker`): the step's; one serves for many shards.

    Raises:
        AudioBertInputError: the model cannot be used, or answers nothing at all; nothing of the shard is written.
    """
    items = work.inputs(index)
    usage = Usage()
    pool = ThreadPoolExecutor(step.llm.concurrency, thread_name_prefix=step.name)
    try:
        futures = [pool.submit(worker, item, usage) for item in items]
        _watch(futures)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    work.finish(index, (future.result() for future in futures), usage)
    logger.info("%s: shard %d: %s", step.name, index, asdict(usage))


def _watch(futures: Iterable[Future]) -> None:
    """Wait for all; stop at the first error, and where failures do not end."""
    futures = list(futures)
    in_a_row = 0
    with tqdm(total=len(futures), unit="input", disable=None, leave=False) as progress:
        for future in as_completed(futures):
            failed = _failure(future.result())
            in_a_row = in_a_row + 1 if failed else 0
            if in_a_row == _MOST_FAILURES_IN_A_ROW:
                raise EndpointDown(
                    f"{in_a_row} inputs in a row got no answer, the last one because {failed}. Put that right, then "
                    "give the same command again: what was answered before is kept."
                )
            progress.update()


def _failure(outcome: Outcome) -> str | None:
    """Return why the endpoint gave no answer; None where it gave one."""
    return next((row["reason"] for row in outcome.rejects if row["reason_kind"] in (ENDPOINT, REFUSED)), None)


def _checked_out(out: str | os.PathLike) -> Path:
    path = Path(out)
    if path.suffix != ".jsonl":
        raise AudioBertInputError(f"'{out}' is no name for the output: let it end in .jsonl.")
    return path


def _cost(usage: dict[str, int], llm: LlmSettings) -> float | None:
    if llm.prompt_price is None or llm.completion_price is None or usage["unmetered_calls"]:
        return None
    prices = usage["prompt_tokens"] * llm.prompt_price + usage["completion_tokens"] * llm.completion_price
    return round(prices / 1e6, 6)
