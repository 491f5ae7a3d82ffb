"""Table II of saved span detectors, of either kind and of several seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification

from audiobert.modeling_audiobert import AudioBertInputError, TrunkDetector, TrunkDetectorConfig
from audiobert.modeling_audiobert.checkpoint_loading import load_part, model_type_of

from .detector_evaluation import DetectorBenchmark, measure_detector
from .detector_kinds import SeparateKind, TrunkKind
from .detector_recipe import DetectorRecipe
from .detector_report import table_of
from .detector_rows import OrdinaryText, OrdinaryTextSettings
from .detector_training import load_detector_tokenizer
from .provenance import versions
from .recipe import RECIPE_FILE, load_recipe
from .training_run import require_folder


__all__ = ["evaluate_detectors"]

_DEFAULT_THRESHOLD = 0.5


def evaluate_detectors(
    detectors: Sequence[str | Path],
    data_dir: str | Path | None = None,
    ordinary_text: str | Path | None = None,
    language_model: str | None = None,
) -> dict[str, Any]:
    """Return the scores of saved span detectors on AuditoryBench, and their false alarms on ordinary text.

    Args:
        detectors: folders or Hub ids; a folder with `seed-<n>` folders in it counts as one detector, over its seeds.
        data_dir (`str` or `Path`, *optional*): the folder with AuditoryBench's CSV files; downloaded by default.
        ordinary_text (`str` or `Path`, *optional*): one text a line, of which the first 2,000 are read.
        language_model (`str`, *optional*): that of trunk detectors; by default the one in the recipe beside each.

    Returns:
        `dict` for a JSON file: `detectors`, a list of `{"detector", "folder", "threshold", "results",
        "ordinary_text"}` as of `measure_detector`, `table` as of `table_of`, and `versions`.

    Raises:
        AudioBertInputError: a detector, its language model, or the data cannot be used.
    """
    data_dir = None if data_dir is None else require_folder(data_dir, "data-dir", "AuditoryBench's CSV files")
    ordinary = None
    if ordinary_text is not None:
        ordinary = OrdinaryText.read(OrdinaryTextSettings(path=Path(ordinary_text), choose_lines=0))
    benchmarks: dict[tuple, tuple[Any, DetectorBenchmark]] = {}
    groups: dict[str, list[dict[str, Any]]] = {}
    for group in detectors:
        for folder in _seed_folders(group):
            saved = _SavedDetector(folder, language_model)
            if saved.key not in benchmarks:
                kind = saved.kind()
                prepared = DetectorBenchmark.prepare(kind, saved.tokenizer, data_dir, saved.max_length, ordinary)
                benchmarks[saved.key] = kind, prepared
            kind, benchmark = benchmarks[saved.key]
            measured = saved.measure(kind, benchmark)
            groups.setdefault(str(group), []).append({"detector": str(group), "folder": str(folder), **measured})
    return {
        "kind": "detector_evaluation",
        "detectors": [entry for entries in groups.values() for entry in entries],
        "table": table_of(groups),
        "versions": versions(),
    }


class _SavedDetector:
    """A saved detector, and what it takes to measure it.

    Attributes:
        key (`tuple`): detectors of one key read the same rows in the same form.
    """

    def __init__(self, folder: str | Path, language_model: str | None):
        recipe = None
        if (Path(folder) / RECIPE_FILE).is_file():
            recipe = load_recipe(DetectorRecipe, Path(folder) / RECIPE_FILE)
        self.folder = str(folder)
        self.max_length = 128 if recipe is None else recipe.max_length
        self.is_trunk = model_type_of(folder) == TrunkDetectorConfig.model_type
        self.model = load_part(TrunkDetector if self.is_trunk else AutoModelForTokenClassification, folder).eval()
        if torch.accelerator.is_available():
            self.model = self.model.to(torch.accelerator.current_accelerator())
        self.language_model = language_model or (recipe and recipe.language_model)
        if self.is_trunk and self.language_model is None:
            raise AudioBertInputError(
                f"'{folder}' is a trunk detector, and no {RECIPE_FILE} beside it names its language model: give it, "
                f"--language-model MODEL."
            )
        source = self.language_model if self.is_trunk else self.folder
        self.tokenizer = load_detector_tokenizer(source)
        layer = self.model.config.layer if self.is_trunk else None
        self.key = (source, layer, self.max_length)

    def kind(self) -> SeparateKind | TrunkKind:
        if not self.is_trunk:
            return SeparateKind(self.folder, self.tokenizer)
        return TrunkKind(self.language_model, self.tokenizer, {"layer": self.model.config.layer})

    def measure(self, kind: SeparateKind | TrunkKind, benchmark: DetectorBenchmark) -> dict[str, Any]:
        if self.is_trunk:
            self.model.check_language_model(kind.trunk, self.language_model)
        threshold = getattr(self.model.config, "detector_threshold", _DEFAULT_THRESHOLD)
        found = benchmark.probabilities(self.model, kind.collator)
        return {"threshold": threshold, **measure_detector(benchmark, found, threshold)}


def _seed_folders(group: str | Path) -> list[str | Path]:
    """Return the detectors of a group: the folder itself, or the `seed-<n>` folders in it."""
    folder = Path(group)
    if (folder / "config.json").is_file() or not folder.is_dir():
        return [group]
    seeds = sorted(folder.glob("seed-*/config.json"), key=lambda path: (len(path.parent.name), path.parent.name))
    if not seeds:
        raise AudioBertInputError(
            f"'{group}' holds neither a span detector nor seed-<n> folders with one. Train one: audiobert train "
            f"detector output_dir={group}."
        )
    return [path.parent for path in seeds]
