"""The `datasets` builder of AuditoryBench."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow as pa

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .downloading import download_files
from .features import FEATURES
from .overlap import without_shared_sentences
from .rows import read_rows
from .sources import (
    ANIMAL,
    PINNED,
    REPOSITORY,
    SPLITS,
    TASKS,
    check_row_count,
    check_source,
    find_local_files,
    is_published,
    read_source,
    tasks_of,
)


__all__ = ["AuditoryBench", "AuditoryBenchConfig"]

logger = logging.getLogger(__name__)

DOWNLOAD_URL = f"https://raw.githubusercontent.com/{REPOSITORY}"
VERSION = "1.0.0"
CITATION = """\
@article{ok2024audiobert,
  title   = {AudioBERT: Audio Knowledge Augmented Language Model},
  author  = {Ok, Hyunjong and Yoo, Suho and Lee, Jaeho},
  journal = {arXiv preprint arXiv:2409.08199},
  year    = {2024}
}
"""
_ROWS_PER_BLOCK = 1000  # what one process of num_proc takes at a time


@dataclass
class AuditoryBenchConfig(datasets.BuilderConfig):
    """What `load_dataset("auditorybench", ...)` takes beside `data_dir`.

    Attributes:
        verify (`bool`, defaults to False):
            Demand that the files of `data_dir` are the published ones, as downloads always have to be.
        allow_leaked_train (`bool`, defaults to False):
            Serve a train split that equals the test split, with a warning, instead of refusing it.
        clean_train (`bool`, defaults to False):
            Leave out of train every row whose sentence also stands in validation, test or wiki.
        url (`str`):
            Where `REVISION/PATH` of the published repository is fetched from; for mirrors.
    """

    verify: bool = False
    allow_leaked_train: bool = False
    clean_train: bool = False
    url: str = DOWNLOAD_URL

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        """Return the name of the cache folder: it changes with the content of the source files, not with their place.

        Raises:
            AudioBertInputError: `data_dir` cannot be used.
        """
        digest = hashlib.sha256(repr((self.verify, self.allow_leaked_train, self.clean_train)).encode())
        if self.data_dir is None:
            digest.update(repr((self.url, sorted(PINNED.items()))).encode())
        else:
            for task in tasks_of(self.name):
                for split, path in find_local_files(self.data_dir, task).items():
                    digest.update(f"{task} {split} {path.name} {_sha256(path)}".encode())
        if custom_features is not None:
            digest.update(repr(custom_features).encode())
        return f"{self.name}-{digest.hexdigest()[:16]}"


class AuditoryBench(datasets.ArrowBasedBuilder):
    """AuditoryBench (arXiv 2409.08199) in the row schema of this package, from verified files."""

    BUILDER_CONFIG_CLASS = AuditoryBenchConfig
    BUILDER_CONFIGS = tuple(AuditoryBenchConfig(name=task, version=datasets.Version(VERSION)) for task in TASKS)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Auditory knowledge as masked sentences: which animal makes a sound, which sound is higher.",
            features=FEATURES,
            citation=CITATION,
            homepage=f"https://github.com/{REPOSITORY}",
            license="MIT",
            version=VERSION,
        )

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        # Everything is read here and not in _generate_tables, where datasets would hide our errors in its own.
        tasks = {task: self._read_task(task, dl_manager) for task in tasks_of(self.config.name)}
        for task, splits in tasks.items():
            _refuse_leaked_train(task, splits, self.config)
        generators = []
        for split in SPLITS:
            rows = [row for splits in tasks.values() for row in splits[split]]
            if split == "train" and self.config.clean_train:
                rows = self._cleaned(rows, tasks)
            blocks = [rows[start : start + _ROWS_PER_BLOCK] for start in range(0, len(rows), _ROWS_PER_BLOCK)]
            name = datasets.NamedSplit(split)
            generators.append(datasets.SplitGenerator(name=name, gen_kwargs={"blocks": blocks}))
        return generators

    def _generate_tables(self, blocks: list[list[dict]]) -> Iterator[tuple[str, pa.Table]]:
        for block in blocks:
            yield block[0]["id"], pa.Table.from_pylist(block, schema=FEATURES.arrow_schema)

    def _read_task(self, task: str, dl_manager) -> dict[str, list[dict]]:
        """Return the rows of each split of one task, from the local folder or a verified download."""
        if self.config.data_dir is None:
            paths = self._download(task, dl_manager)
        else:
            paths = find_local_files(self.config.data_dir, task)
        splits = {}
        for split, path in paths.items():
            content = read_source(path)
            if self.config.data_dir is None:
                splits[split] = _downloaded_rows(content, Path(path), task, split)
            else:
                splits[split] = _local_rows(content, Path(path), task, split, self.config.verify)
        return splits

    def _download(self, task: str, dl_manager) -> dict[str, str]:
        """Return the downloaded file of each split."""
        files = {split: PINNED[task, split] for split in SPLITS}
        urls = {split: f"{self.config.url}/{file.revision}/{file.path}" for split, file in files.items()}
        folder = (
            f"the CSV files of github.com/{REPOSITORY}, the animal train file from revision "
            f"{PINNED[ANIMAL, 'train'].revision[:12]}"
        )
        return download_files(urls, folder, dl_manager, pinned=True)

    def _cleaned(self, rows: list[dict], tasks: dict[str, dict[str, list[dict]]]) -> list[dict]:
        held_out = [row for splits in tasks.values() for split in SPLITS[1:] for row in splits[split]]
        kept = without_shared_sentences(rows, held_out)
        logger.info("train: %d of %d rows kept, the others' sentences are also evaluated", len(kept), len(rows))
        return kept


def _downloaded_rows(content: bytes, path: Path, task: str, split: str) -> list[dict]:
    """Return the rows of a download, after checking that it is the pinned file."""
    expected = PINNED[task, split]
    try:
        check_source(content, expected.name, expected)
        rows = read_rows(content, expected.name, task, split, expected)
        check_row_count(rows, expected.name, expected)
    except AudioBertInputError:
        path.unlink(missing_ok=True)  # or the next attempt would meet the same bytes in the download cache
        raise
    return rows


def _local_rows(content: bytes, path: Path, task: str, split: str, verify: bool) -> list[dict]:
    """Return the rows of a local file; with `verify`, only of a published one."""
    if verify and not is_published(content, task, split):
        expected = PINNED[task, split]
        check_source(content, str(path), expected)
        rows = read_rows(content, str(path), task, split, expected)
        check_row_count(rows, str(path), expected)
        return rows
    return read_rows(content, str(path), task, split)


def _refuse_leaked_train(task: str, splits: dict[str, list[dict]], config: AuditoryBenchConfig) -> None:
    """Refuse a train split that is the test split, whatever its file's bytes."""
    if _triples(splits["train"]) != _triples(splits["test"]):
        return
    files = " and ".join(dict.fromkeys(splits[split][0]["source"] for split in ("train", "test")))
    rows = len(splits["test"])
    what = f"data_dir '{config.data_dir}', {task}: the train split is the test split ({rows} rows; {files})"
    if config.allow_leaked_train:
        logger.warning("%s; a model trained on it has seen the test answers. Do not report its test numbers.", what)
        return
    raise AudioBertInputError(
        f"{what}, as in the published head, so a model trained on it would be tested on what it was taught. Put the "
        f"train file of revision {PINNED[ANIMAL, 'train'].revision[:12]} ({PINNED[ANIMAL, 'train'].path}) beside it, "
        f"or pass allow_leaked_train=True (--allow-leaked-train) to load it all the same."
    )


def _triples(rows: list[dict]) -> Counter:
    return Counter((row["answer"], tuple(span["text"] for span in row["spans"]), row["sentence"]) for row in rows)


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_source(path)).hexdigest()
