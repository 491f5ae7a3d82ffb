"""A benchmark as tasks of EleutherAI's lm-evaluation-harness, for any causal language model."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import datasets
import yaml

from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .benchmarks import load_benchmark
from .candidates import candidates_of, train_answers
from .sources import COMBINED
from .spans import MASK_TOKEN


__all__ = ["LmEvalTask", "export_lm_eval"]

_ROWS_MODULE = "lm_eval_rows"
_CARD = "lm_eval_card.md"
# Raised whenever the same rows would be scored otherwise; lm-evaluation-harness prints it beside each result.
_VERSION = 1.0


@dataclass
class LmEvalTask:
    """One exported task of lm-evaluation-harness: one split of one of the benchmark's tasks.

    Attributes:
        name (`str`): what `lm_eval --tasks` takes.
        task, split (`str`): what it holds.
        rows (`list[dict]`): `id`, `task`, `sentence`, `answer`, and `choices`, None for all answers of train.
        unanswerable (`list[str]`): ids of rows whose answer is no candidate; they count as wrong.
        left_out (`list[str]`): ids of rows without exactly one gap; they are not exported.
    """

    name: str
    task: str
    split: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    unanswerable: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def data(self) -> str:
        """Return the rows as JSON lines."""
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)

    def configuration(self) -> str:
        """Return the task's YAML."""
        settings = {
            "task": self.name,
            "dataset_kwargs": {"task": self.task, "split": self.split},
            "test_split": self.split,
            "output_type": "multiple_choice",
            "doc_to_text": "",
            "target_delimiter": "",
            "num_fewshot": 0,
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc_norm", "acc")
            ],
            "metadata": {"version": _VERSION, "data_sha256": hashlib.sha256(self.data().encode()).hexdigest()},
        }
        functions = {
            "custom_dataset": "load",
            "doc_to_choice": "filled_sentences",
            "doc_to_target": "right_sentence",
        }
        tags = "".join(f"{key}: !function {_ROWS_MODULE}.{name}\n" for key, name in functions.items())
        return yaml.safe_dump(settings, sort_keys=False) + tags


def export_lm_eval(benchmark: str, out: str | Path, data_dir: str | Path | None = None, **options) -> list[LmEvalTask]:
    """Write tasks that `lm_eval --include_path OUT --tasks NAME` runs with any causal language model.

    Each row is a multiple choice: its sentence filled with each candidate, as `candidates_of` gives them. The choice
    with the highest log-likelihood per character is the prediction, `acc_norm` the share of right ones. Rows whose
    answer is no candidate count as wrong. A group holds each split's rows of all tasks.

    Args:
        benchmark (`str`): `"auditorybench"` or `"auditorybench_pp"`; tasks are named `BENCHMARK_TASK_SPLIT`.
        out (`str` or `Path`): the folder; what stands there under other names stays. It may be moved afterwards.
        data_dir, options: as for `load_benchmark`. An exported or constructed folder will do.

    Returns:
        `list[LmEvalTask]`: the tasks, without those that have no row with exactly one gap.

    Raises:
        AudioBertInputError: the benchmark cannot be loaded, has no row with one gap, or rows without candidates; the
            folder cannot be written.
    """
    tasks = load_benchmark(benchmark, data_dir, **options)
    answers = {task: train_answers(splits.get("train", [])) for task, splits in tasks.items()}
    exported = [
        _task(f"{benchmark}_{task}_{split}", (task, split), rows, answers[task])
        for task, splits in tasks.items()
        for split, rows in splits.items()
    ]
    exported = [task for task in exported if task.rows]
    if not exported:
        raise AudioBertInputError(
            f"no row of '{data_dir or benchmark}' has exactly one {MASK_TOKEN} in its sentence, so there is nothing "
            f"to export. Correct the sentences; 'audiobert data check' lists them."
        )
    with staged_folder(out) as stage:
        for task in exported:
            _write(stage / f"{task.name}.yaml", task.configuration())
            _write(stage / "data" / task.task / f"{task.split}.jsonl", task.data())
        for task in {task.task for task in exported if any(row["choices"] is None for row in task.rows)}:
            _write(stage / "data" / task / "train_answers.json", json.dumps(answers[task], ensure_ascii=False) + "\n")
        for name, text in _groups(benchmark, exported).items():
            _write(stage / f"{name}.yaml", text)
        _write(stage / f"{_ROWS_MODULE}.py", _packaged(f"{_ROWS_MODULE}.py"))
        _write(stage / "README.md", _card(benchmark, exported))
    return exported


def _task(name: str, place: tuple[str, str], rows: datasets.Dataset, answers: Sequence[str]) -> LmEvalTask:
    exported = LmEvalTask(name, *place)
    for row in rows.to_list():
        if row["sentence"].count(MASK_TOKEN) != 1:
            exported.left_out.append(row["id"])
            continue
        candidates, right = candidates_of(row, answers)
        if right is None:
            exported.unanswerable.append(row["id"])
        answer = row["answer"] if right is None else candidates[right]
        kept = {"id": row["id"], "task": place[0], "sentence": row["sentence"], "answer": answer}
        exported.rows.append(kept | {"choices": row["choices"] or None})
    return exported


def _groups(benchmark: str, exported: Iterable[LmEvalTask]) -> dict[str, str]:
    """Return the YAML of the groups: for each split the union of its rows, and one of all but train."""
    by_split: dict[str, list[str]] = {}
    for task in exported:
        by_split.setdefault(task.split, []).append(task.name)
    # A group's mean is over rows, as the paper's "combined": weight_by_size.
    means = [{"metric": name, "aggregation": "mean", "weight_by_size": True} for name in ("acc_norm", "acc")]
    groups = {
        f"{benchmark}_{COMBINED}_{split}": {"task": names, "aggregate_metric_list": means}
        for split, names in by_split.items()
    }
    groups[benchmark] = {"task": [f"{benchmark}_{COMBINED}_{split}" for split in by_split if split != "train"]}
    return {
        name: yaml.safe_dump({"group": name, **content, "metadata": {"version": _VERSION}}, sort_keys=False)
        for name, content in groups.items()
        if content["task"]
    }


def _card(benchmark: str, exported: Sequence[LmEvalTask]) -> str:
    lines = [
        f"| `{task.name}` | {len(task.rows):,} | {len(task.unanswerable):,} | {len(task.left_out):,} |"
        for task in exported
    ]
    example = next((task.split for task in exported if task.split == "test"), exported[0].split)
    return Template(_packaged(_CARD)).substitute(
        benchmark=benchmark, group=f"{benchmark}_{COMBINED}_{example}", tasks="\n".join(lines)
    )


def _packaged(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
