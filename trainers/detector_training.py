"""Training of the span detector: which words of a sentence name a sound (arXiv 2409.08199, section II-B1)."""

import hashlib
import logging
import random
import time
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Subset
from transformers import AutoTokenizer, EvalPrediction, PreTrainedModel, PreTrainedTokenizerBase, Trainer

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import COMBINED
from audiobert.modeling_audiobert import TrunkDetector
from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .detector_evaluation import DetectorBenchmark, choose_threshold, measure_detector
from .detector_kinds import SeparateKind, TrunkKind
from .detector_recipe import DetectorRecipe
from .detector_report import table_of, write_table
from .detector_rows import IGNORED, OrdinaryText, token_labels, without_full_stops
from .finite_loss import FiniteLossMixin
from .masked_sentences import require_mask_token
from .model_card import CardFacts, write_model_card
from .provenance import rows_digest, versions
from .recipe import save_recipe
from .row_order import RowOrderMixin
from .training_run import (
    METRICS_FILE,
    finished_run,
    read_metrics,
    require_folder,
    require_shares,
    run_training,
    seed_folders,
    start_run,
    training_arguments,
    write_json,
    write_metrics,
)
from .varied_sentences import SoundWords, varied_rows


__all__ = ["DetectorRecipe", "detector_kind", "load_detector_tokenizer", "span_token_metrics", "train_detector"]

logger = logging.getLogger(__name__)

COMBINED_FOLDER = "combined"
TABLE_FILE, TABLE_DATA_FILE = "table2.md", "table2.json"


class DetectorTrainer(FiniteLossMixin, RowOrderMixin, Trainer):
    """A `Trainer` whose resumed runs meet the rows in the order of uninterrupted ones."""


def train_detector(recipe: DetectorRecipe) -> list[dict[str, Any]]:
    """Train one span detector per seed, choose its threshold, measure it, and save it with its card.

    A run that was interrupted goes on from its last checkpoint; one that has ended is not repeated. Beside the runs,
    `table2.md` and `table2.json` give Table II over the seeds. Where the recipe says `combine`, a detector of all
    probes is saved in `combined`, and is a row of the table.

    Returns:
        The metrics of each run, as in its `metrics.json`.

    Raises:
        AudioBertInputError: the data or the checkpoint cannot be used, or an output folder holds another run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    if recipe.data_dir is not None:
        require_folder(recipe.data_dir, "data_dir", "AuditoryBench's CSV files")
    require_shares(recipe, "open_ended_share")
    runs = seed_folders(recipe)
    if recipe.combine and recipe.detector != "trunk":
        raise AudioBertInputError(
            f"combine=true puts trunk detectors together, but this is detector={recipe.detector}; give combine=false."
        )
    combine = recipe.combine and len(runs) > 1
    # The same runs with and without it, so that detectors trained before can be combined.
    recipe = replace(recipe, combine=False)
    finished = {seed: finished_run(recipe, folder, seed) for seed, folder in runs}
    whole = _combined_before(recipe) if combine and all(finished.values()) else None
    if not all(finished.values()) or (combine and whole is None):
        inputs = _Inputs(recipe, [run for run in finished.values() if run] if combine else [])
        for seed, folder in runs:
            finished[seed] = finished[seed] or _train_one(recipe, seed, folder, inputs)
        whole = _combine(recipe, [finished[seed] for seed, _ in runs], inputs) if combine else None
    groups = {_row_name(recipe): [finished[seed] for seed, _ in runs]}
    if whole:
        groups[f"{_row_name(recipe)}, {whole['probes']} probes combined"] = [whole]
    table = table_of(groups)
    write_table(table, Path(recipe.output_dir) / TABLE_FILE)
    write_json(table, Path(recipe.output_dir) / TABLE_DATA_FILE)
    return [finished[seed] for seed, _ in runs]


def detector_kind(recipe: DetectorRecipe, tokenizer: PreTrainedTokenizerBase) -> SeparateKind | TrunkKind:
    """Return the kind of detector that a recipe asks for.

    Raises:
        AudioBertInputError: there is no such kind, or the language model cannot be used for it.
    """
    if recipe.detector == "trunk":
        return TrunkKind(recipe.language_model, tokenizer, asdict(recipe.probe))
    if recipe.detector == "separate":
        return SeparateKind(recipe.language_model, tokenizer)
    raise AudioBertInputError(f"detector='{recipe.detector}' is not known; give separate or trunk.")


def load_detector_tokenizer(language_model: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a language model.

    Raises:
        AudioBertInputError: it cannot be loaded, has no mask token, or cannot tell the characters of its tokens.
    """
    tokenizer = load_part(AutoTokenizer, language_model)
    if not tokenizer.is_fast:
        raise AudioBertInputError(
            f"the tokenizer of '{language_model}' does not tell which characters its tokens come from; a fast "
            f"tokenizer (tokenizer.json) is needed to label spans. Convert it, or start from another checkpoint."
        )
    require_mask_token(tokenizer, language_model)
    return tokenizer


def span_token_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Return precision, recall and F1 of the label "span" over all labelled tokens; 0 where undefined.

    Args:
        prediction: `predictions` are label ids, `label_ids` have -100 where there is no label; both of shape
            `(num_rows, sequence_length)`.
    """
    counted = prediction.label_ids != IGNORED
    found, wanted = prediction.predictions[counted] == 1, prediction.label_ids[counted] == 1
    right = int(np.sum(found & wanted))
    precision = right / max(int(found.sum()), 1)
    recall = right / max(int(wanted.sum()), 1)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, np.finfo(float).tiny),
    }


class _Inputs:
    """What the runs of all seeds share; a trunk detector's hidden states are computed here, once."""

    def __init__(self, recipe: DetectorRecipe, to_combine: list[dict[str, Any]]):
        self.tokenizer = load_detector_tokenizer(recipe.language_model)
        self.rows = {
            split: load_auditorybench(recipe.task, split, recipe.data_dir, clean_train=recipe.clean_train).to_list()
            for split in ("train", "validation")
        }
        _check_same_data(to_combine, self.digests())
        ordinary = None
        if recipe.ordinary_text.path is not None:
            ordinary = OrdinaryText.read(recipe.ordinary_text)
        self.more = _more_rows(recipe, self.rows["train"], ordinary)
        self.kind = detector_kind(recipe, self.tokenizer)
        more = [row for rows in self.more.values() for row in rows]
        train = without_full_stops(self.rows["train"], recipe.open_ended_share)
        encoded = token_labels(train + more, self.tokenizer, recipe.max_length)
        if not any(1 in row["labels"] for row in encoded):
            raise AudioBertInputError(
                f"no train row of '{recipe.task}' has a span that is in its sentence, so there is one label only and "
                f"nothing to tell apart. Correct the spans; audiobert data check lists them."
            )
        self._encoded = encoded
        self.benchmark = DetectorBenchmark.prepare(
            self.kind, self.tokenizer, recipe.data_dir, recipe.max_length, ordinary
        )
        validation = self.benchmark.rows["validation"]
        own = [index for index, row in enumerate(validation) if recipe.task in (COMBINED, row["task"])]
        self.validation = Subset(self.benchmark.datasets["validation"], own)

    @cached_property
    def train(self) -> Dataset:
        """The encoded train rows; of use only where a seed is still to be trained."""
        return self.kind.dataset(self._encoded, "train")

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each split's rows."""
        return {split: rows_digest(content) for split, content in self.rows.items()}

    def train_rows(self, recipe: DetectorRecipe, seed: int) -> tuple[Subset, int]:
        """Return the rows that a seed trains on, and how many of them are of the benchmark; `more` are behind them."""
        count = len(self.rows["train"])
        chosen = list(range(count))
        if recipe.max_train_rows is not None:
            chosen = random.Random(seed).sample(chosen, min(recipe.max_train_rows, count))
        return Subset(self.train, [*chosen, *range(count, len(self.train))]), len(chosen)


def _more_rows(
    recipe: DetectorRecipe, benchmark: list[dict[str, Any]], ordinary: OrdinaryText | None
) -> dict[str, list[dict[str, Any]]]:
    """Return what is trained on beside the benchmark."""
    lines = ordinary.train if ordinary is not None else []
    if recipe.varied_rows:
        # Their sounds would be unlearnt where an ordinary line names one.
        words = SoundWords(benchmark)
        lines = [row for row in lines if not words.occur_in(row["sentence"])]
    return {"ordinary": lines, "varied": varied_rows(benchmark, recipe.varied_rows)}


def _counts(rows: dict[str, list]) -> dict[str, int]:
    return {name: len(content) for name, content in rows.items()}


def _train_one(recipe: DetectorRecipe, seed: int, folder: Path, inputs: _Inputs) -> dict[str, Any]:
    recipe = start_run(recipe, folder, seed)
    train_rows, count = inputs.train_rows(recipe, seed)
    trainer = _trainer(recipe, seed, folder, inputs, inputs.kind.new_model(), train_rows)
    started = time.monotonic()
    run_training(trainer, folder)
    seconds = time.monotonic() - started
    metrics = {
        "kind": recipe.kind,
        "detector": recipe.detector,
        "task": recipe.task,
        "seed": seed,
        "rows": {"train": count, **_counts(inputs.more), "validation": len(inputs.validation)},
        "data_sha256": inputs.digests(),
        "steps": trainer.state.global_step,
        "seconds_since_start_or_resume": round(seconds, 1),
        "versions": versions(),
        "validation": _token_scores(trainer),
    }
    metrics |= _measure(recipe, trainer.model, inputs)
    _save(trainer.model, inputs.tokenizer, folder, recipe, metrics)
    return metrics


def _trainer(
    recipe: DetectorRecipe, seed: int, folder: Path, inputs: _Inputs, model: PreTrainedModel, train_rows: Subset | None
) -> DetectorTrainer:
    return DetectorTrainer(
        model=model,
        args=training_arguments(recipe, folder, seed),
        train_dataset=train_rows,
        eval_dataset=inputs.validation,
        data_collator=inputs.kind.collator,
        processing_class=inputs.tokenizer,
        compute_metrics=span_token_metrics,
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(dim=-1),
    )


def _token_scores(trainer: DetectorTrainer) -> dict[str, float]:
    measured = trainer.evaluate()
    return {name: measured[f"eval_{name}"] for name in ("loss", "precision", "recall", "f1")}


def _combined_before(recipe: DetectorRecipe) -> dict[str, Any] | None:
    """Return the metrics of the combined detector of these seeds, None if there is none yet."""
    folder = Path(recipe.output_dir) / COMBINED_FOLDER
    metrics = read_metrics(folder) if (folder / METRICS_FILE).is_file() else None
    return metrics if metrics and metrics.get("runs") == _digests(recipe) else None


def _digests(recipe: DetectorRecipe) -> dict[str, str]:
    """Return a digest of each seed's metrics: of another run they would differ."""
    return {
        str(seed): hashlib.sha256((folder / METRICS_FILE).read_bytes()).hexdigest()
        for seed, folder in seed_folders(recipe)
    }


def _combine(recipe: DetectorRecipe, runs: list[dict[str, Any]], inputs: _Inputs) -> dict[str, Any]:
    """Save one detector with the probes of all seeds, its threshold chosen anew, and return its metrics.

    Args:
        runs: the metrics of each seed.
    """
    folder = Path(recipe.output_dir) / COMBINED_FOLDER
    model = TrunkDetector.combined([load_part(TrunkDetector, run) for _, run in seed_folders(recipe)])
    trainer = _trainer(recipe, recipe.seeds[0], folder, inputs, model, None)
    metrics = {name: runs[0][name] for name in ("kind", "detector", "task", "rows", "data_sha256")}
    metrics |= {
        "seed": " ".join(map(str, recipe.seeds)),
        "runs": _digests(recipe),
        "probes": model.config.num_probes,
        "steps": sum(run["steps"] for run in runs),
        "versions": versions(),
        "validation": _token_scores(trainer),
    }
    metrics |= _measure(recipe, trainer.model, inputs)
    recipe = replace(recipe, combine=True)
    save_recipe(recipe, folder)
    _save(model, inputs.tokenizer, folder, recipe, metrics)
    return metrics


def _check_same_data(runs: list[dict[str, Any]], digests: dict[str, str]) -> None:
    for run in runs:
        other = [split for split, digest in digests.items() if run["data_sha256"].get(split) != digest]
        if other:
            raise AudioBertInputError(
                f"seed {run['seed']} was trained on other {' and '.join(other)} rows than those that are read now, so "
                f"that its probe cannot be combined with others. Give the data_dir of then, another output_dir, or "
                f"combine=false."
            )


def _measure(recipe: DetectorRecipe, model: PreTrainedModel, inputs: _Inputs) -> dict[str, Any]:
    """Choose the threshold, keep it in the model's configuration, and measure the detector with it."""
    benchmark = inputs.benchmark
    found = benchmark.probabilities(model, inputs.kind.collator)
    own = inputs.validation.indices
    labels = benchmark.labels("validation")
    threshold = choose_threshold(
        [found["validation"][index] for index in own],
        [labels[index] for index in own],
        found.get("choose"),
        recipe.ordinary_text.false_alarm_weight,
    )
    model.config.detector_threshold = threshold["value"]
    logger.info("threshold %.2f: %s", threshold["value"], threshold["rule"])
    return {"threshold": threshold, **measure_detector(benchmark, found, threshold["value"])}


def _row_name(recipe: DetectorRecipe) -> str:
    name = f"{recipe.detector}, {Path(recipe.language_model).name}, {recipe.task}"
    if recipe.clean_train:
        name += ", clean train"
    lines = recipe.ordinary_text.train_lines if recipe.ordinary_text.path is not None else 0
    name += f", {lines} ordinary lines" if lines else ""
    return name + (f", {recipe.varied_rows} varied rows" if recipe.varied_rows else "")


def _save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    recipe: DetectorRecipe,
    metrics: dict[str, Any],
) -> None:
    model.config._name_or_path = ""  # would carry the folder of whoever trained it
    with staged_folder(folder) as stage:
        model.save_pretrained(stage)
        tokenizer.save_pretrained(stage)
        write_model_card(stage, _card(recipe, metrics))
    # Last, since a folder with metrics holds a run that is not repeated.
    write_metrics(metrics, folder)


def _card(recipe: DetectorRecipe, metrics: dict[str, Any]) -> CardFacts:
    way = {
        "separate": "One label a token; a run of `span` tokens is a span.",
        "trunk": "A probe: it reads hidden states of the language model named below, and works with no other one.",
    }
    measured = {f"validation, token-level {name}": value for name, value in metrics["validation"].items()}
    for result in metrics["results"]:
        measured[f"{result['task']}, {result['split']}, weighted F1"] = result["weighted_f1"]
    for name, counted in (metrics["ordinary_text"] or {}).items():
        title = "ordinary sentences with a gap" if name.endswith("gap") else "ordinary sentences"
        measured[f"{title}, share with a span"] = counted["share"]
    return CardFacts(
        title="AudioBERT span detector",
        summary=(
            "Marks the words of an English sentence that name a sound (`span`), so that AudioBERT can look for a "
            f"recording of it (arXiv 2409.08199). {way[recipe.detector]}"
        ),
        limits=(
            "It has learnt from AuditoryBench's sentence patterns, generated by a large language model; sentences of "
            "other forms, languages other than English, and sounds that are only implied are outside of what was "
            "measured. The published train split shares sentences with the others; metrics.json has the scores "
            "without them."
        ),
        recipe=recipe,
        facts={
            "base checkpoint": recipe.language_model,
            "detector": recipe.detector,
            "task": recipe.task,
            "rows": metrics["rows"],
            "sha256 of the rows": metrics["data_sha256"],
            "threshold": f"{metrics['threshold']['value']} ({metrics['threshold']['rule']})",
            "steps": metrics["steps"],
            "seed": metrics["seed"],
            "probes, whose mean probability counts": metrics.get("probes", recipe.probe.num_probes),
            "versions": metrics["versions"],
        },
        metrics=measured,
        metadata={"pipeline_tag": "token-classification", "language": "en"},
    )
