"""A small benchmark of our own sentences, and a cache for each test."""

from pathlib import Path

import datasets
import pytest
from tiny_benchmark import write_benchmark

from audiobert.dataset_scripts.auditorybench import load_both_tasks


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    """Nothing that datasets prepares is left behind, or found by another test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "cache" / "downloads")
    return tmp_path / "cache"


@pytest.fixture
def benchmark_folder(tmp_path) -> Path:
    """All eight files in the gathered layout: `published` and `animal_train`."""
    return write_benchmark(tmp_path / "benchmark")


@pytest.fixture
def checkout(benchmark_folder, tmp_path) -> Path:
    """The same files in the layout of a checkout of the published repository."""
    folder = tmp_path / "checkout"
    nested = folder / "dataset" / "animal_sound_recognition"
    nested.mkdir(parents=True)
    for file in (benchmark_folder / "published").iterdir():
        (folder / "dataset" / file.name).write_bytes(file.read_bytes())
    train = benchmark_folder / "animal_train" / "animal_sound_recognition_train.csv"
    (nested / "train.csv").write_bytes(train.read_bytes())
    return folder


@pytest.fixture(scope="session")
def real_tasks(shared, tmp_path_factory) -> dict[str, datasets.DatasetDict]:
    """The real benchmark by task, every file verified."""
    cache = tmp_path_factory.mktemp("real_cache")
    return load_both_tasks(shared / "auditorybench", verify=True, cache_dir=str(cache))
