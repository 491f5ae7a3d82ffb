"""A benchmark as Parquet files with a dataset card, which loads anywhere without code of ours."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import yaml

from audiobert.modeling_audiobert.atomic_files import staged_folder

from .checks import check_benchmark
from .dataset_card import CardTexts, render_card


__all__ = ["BenchmarkDescription", "export_benchmark"]


@dataclass(frozen=True)
class BenchmarkDescription:
    """What the export of one benchmark says of it.

    Attributes:
        texts (`CardTexts`): the parts of the card that the rows do not tell.
        metadata (`dict`): the card's YAML beside the configurations.
        licence (`str`, *optional*): the text of the file `LICENSE`; none is written without it.
        combined (`str`, *optional*): name of a configuration that holds all tasks.
        attachments (`Mapping[str, str]`): further files, name → text.
    """

    texts: CardTexts
    metadata: dict
    licence: str | None = None
    combined: str | None = None
    attachments: Mapping[str, str] = field(default_factory=dict)


def export_benchmark(
    out: str | Path, tasks: Mapping[str, datasets.DatasetDict], description: BenchmarkDescription
) -> Path:
    """Write `data/TASK/SPLIT.parquet`, `README.md`, `LICENSE` and attachments into a folder, all or nothing.

    Args:
        out (`str` or `Path`):
            The folder; what stands there under other names stays.
        tasks (`Mapping`):
            Task → splits, as `load_both_tasks` returns them.
        description (`BenchmarkDescription`):
            What the card says beside the numbers, which are taken from the rows.

    Returns:
        `Path`: the folder. `datasets.load_dataset(str(folder), TASK)` loads it.

    Raises:
        AudioBertInputError: the folder cannot be written.
    """
    with staged_folder(out) as stage:
        digests = {}
        for task, splits in tasks.items():
            for split, rows in splits.items():
                path = stage / "data" / task / f"{split}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                rows.to_parquet(path)
                digests[path.relative_to(stage).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        metadata = description.metadata | {"configs": _configurations(digests, description.combined)}
        card = render_card(tasks, check_benchmark(tasks), digests, description.texts)
        header = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
        (stage / "README.md").write_text(f"---\n{header}---\n\n{card}", encoding="utf-8")
        texts = dict(description.attachments) | ({"LICENSE": description.licence} if description.licence else {})
        for name, text in texts.items():
            (stage / name).write_text(text, encoding="utf-8")
    return Path(out)


def _configurations(digests: Mapping[str, str], combined: str | None) -> list[dict]:
    """The card's `configs`: every split by name, as undeclared ones (wiki) would be dropped without a word."""
    files: dict[str, dict[str, list[str]]] = {}
    for path in digests:
        task, split = path.removeprefix("data/").removesuffix(".parquet").split("/")
        files.setdefault(task, {}).setdefault(split, []).append(path)
        if combined:
            files.setdefault(combined, {}).setdefault(split, []).append(path)
    return [
        {
            "config_name": name,
            # datasets does not look into local files again: a description that names their content makes it do so.
            "description": f"content {_combined_digest(splits, digests)}",
            "data_files": [{"split": split, "path": paths} for split, paths in splits.items()],
        }
        for name, splits in files.items()
    ]


def _combined_digest(splits: Mapping[str, list[str]], digests: Mapping[str, str]) -> str:
    parts = "".join(digests[path] for paths in splits.values() for path in paths)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
