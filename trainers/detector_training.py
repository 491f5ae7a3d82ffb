"""Training of the span detector: which words of a sentence name a sound (arXiv 2409.08199, section II-B1)."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
)

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.span_decoding import span_token_range

from .masked_sentences import require_mask_token, require_matching_vocabulary, with_mask_token
from .model_card import CardFacts, write_model_card
from .provenance import rows_digest, versions
from .row_order import RowOrderMixin
from .training_run import require_folder, run_training, seed_folders, start_run, training_arguments


__all__ = ["DetectorRecipe", "span_token_metrics", "token_labels", "train_detector"]

IGNORED = -100
LABELS = {0: "outside", 1: "span"}


@dataclass
class DetectorRecipe:
    """How a span detector is trained. The defaults are the paper's.

    Args:
        data_dir (`Path`, *optional*): the folder with AuditoryBench's CSV files; downloaded by default.
        language_model (`str`): the checkpoint to start from, a folder or Hub id: a masked language model or encoder.
        task (`str`): `animal_sound_recognition`, `sound_pitch_comparison` or `combined`.
        output_dir (`Path`): where the detector is saved; with several seeds, each in `seed-<n>` below it.
        seeds (`list[int]`): one run each.
        max_length (`int`): tokens of a sentence that are read; longer ones are cut.
        max_train_rows (`int`, *optional*): train on that many rows only, drawn by the seed; all rows by default.
        training (`dict`): settings of `transformers.TrainingArguments`, merged into the defaults.
    """

    kind: ClassVar[str] = "detector"

    data_dir: Path | None = None
    language_model: str = "google-bert/bert-base-uncased"
    task: str = "combined"
    output_dir: Path = Path("runs/detector")
    seeds: list[int] = field(default_factory=lambda: [0])
    max_length: int = 128
    max_train_rows: int | None = None
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 5.0,
            "per_device_train_batch_size": 16,
            "learning_rate": 1e-5,
        }
    )


class DetectorTrainer(RowOrderMixin, Trainer):
    """A `Trainer` whose resumed runs meet the rows in the order of uninterrupted ones."""


def train_detector(recipe: DetectorRecipe) -> list[dict[str, Any]]:
    """Train one span detector per seed, and save each with tokenizer, metrics, recipe and model card.

    A run that was interrupted goes on from its last checkpoint.

    Returns:
        The metrics of each run, as in its `metrics.json`.

    Raises:
        AudioBertInputError: the data or the checkpoint cannot be used, or an output folder holds another run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    if recipe.data_dir is not None:
        require_folder(recipe.data_dir, "data_dir", "AuditoryBench's CSV files")
    runs = seed_folders(recipe)
    tokenizer = _load_tokenizer(recipe)
    rows = {split: load_auditorybench(recipe.task, split, recipe.data_dir) for split in ("train", "validation")}
    return [_train_one(recipe, seed, folder, tokenizer, rows) for seed, folder in runs]


def token_labels(
    rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[dict[str, list[int]]]:
    """Return the tokenizer's encoding of each row's sentence, with `labels`.

    Labels are 1 for tokens that touch a span, 0 for other words, -100 for special tokens, the mask among them. A span
    that starts at -1 is not in the sentence and labels nothing.

    Args:
        rows: with `sentence` (gap as `[MASK]`) and `spans` (`text`, and `start`, `end` in characters, end exclusive).
    """
    prepared = [
        with_mask_token(row["sentence"], tokenizer.mask_token, [(span["start"], span["end"]) for span in row["spans"]])
        for row in rows
    ]
    encoding = tokenizer(
        [text for text, _ in prepared], truncation=True, max_length=max_length, return_offsets_mapping=True
    )
    offsets = encoding.pop("offset_mapping")
    special_ids = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    encoded = []
    for index, (_, spans) in enumerate(prepared):
        inputs = {name: values[index] for name, values in encoding.items()}
        special = [token in special_ids for token in inputs["input_ids"]]
        labels = [IGNORED if is_special else 0 for is_special in special]
        for start, end in spans:
            first, last = span_token_range(offsets[index], start, end, special) or (0, 0)
            labels[first:last] = [IGNORED if label == IGNORED else 1 for label in labels[first:last]]
        encoded.append({**inputs, "labels": labels})
    return encoded


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


def _train_one(
    recipe: DetectorRecipe, seed: int, folder: Path, tokenizer: PreTrainedTokenizerBase, rows: dict[str, Dataset]
) -> dict[str, Any]:
    recipe = start_run(recipe, folder, seed)
    train_rows = rows["train"]
    if recipe.max_train_rows is not None:
        train_rows = train_rows.shuffle(seed=seed).select(range(min(recipe.max_train_rows, len(train_rows))))
    trainer = _make_trainer(recipe, folder, tokenizer, {**rows, "train": train_rows})
    started = time.monotonic()
    run_training(trainer, folder)
    seconds = time.monotonic() - started
    measured = trainer.evaluate()
    metrics = {
        "kind": recipe.kind,
        "task": recipe.task,
        "seed": seed,
        "rows": {"train": len(train_rows), "validation": len(rows["validation"])},
        "data_sha256": {split: rows_digest(content.to_list()) for split, content in rows.items()},
        "steps": trainer.state.global_step,
        "seconds_since_start_or_resume": round(seconds, 1),
        "versions": versions(),
        "validation": {name: measured[f"eval_{name}"] for name in ("loss", "precision", "recall", "f1")},
    }
    _save(trainer.model, tokenizer, folder, recipe, metrics)
    return metrics


def _make_trainer(
    recipe: DetectorRecipe, folder: Path, tokenizer: PreTrainedTokenizerBase, rows: dict[str, Dataset]
) -> Trainer:
    model = load_part(
        AutoModelForTokenClassification,
        recipe.language_model,
        complete=False,
        num_labels=len(LABELS),
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
    )
    require_matching_vocabulary(tokenizer, model, recipe.language_model)
    encoded = {split: token_labels(content.to_list(), tokenizer, recipe.max_length) for split, content in rows.items()}
    return DetectorTrainer(
        model=model,
        args=training_arguments(recipe, folder, recipe.seeds[0]),
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        data_collator=DataCollatorForTokenClassification(tokenizer),
        processing_class=tokenizer,
        compute_metrics=span_token_metrics,
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(dim=-1),
    )


def _save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    recipe: DetectorRecipe,
    metrics: dict[str, Any],
) -> None:
    model.config._name_or_path = ""  # would carry the folder of whoever trained it
    card = CardFacts(
        title="AudioBERT span detector",
        summary=(
            "Marks the words of an English sentence that name a sound (`span`), so that AudioBERT can look for a "
            "recording of it (arXiv 2409.08199). One label a token; a run of `span` tokens is a span."
        ),
        limits=(
            "It has learnt from AuditoryBench's sentence patterns, generated by a large language model; sentences of "
            "other forms, languages other than English, and sounds that are only implied are outside of what was "
            "measured."
        ),
        recipe=recipe,
        facts={
            "base checkpoint": recipe.language_model,
            "task": recipe.task,
            "rows": metrics["rows"],
            "sha256 of the rows": metrics["data_sha256"],
            "steps": metrics["steps"],
            "seed": metrics["seed"],
            "versions": metrics["versions"],
        },
        metrics={f"validation, token-level {name}": value for name, value in metrics["validation"].items()},
        metadata={"pipeline_tag": "token-classification", "language": "en"},
    )
    with staged_folder(folder) as stage:
        model.save_pretrained(stage)
        tokenizer.save_pretrained(stage)
        write_model_card(stage, card)
        (stage / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def _load_tokenizer(recipe: DetectorRecipe) -> PreTrainedTokenizerBase:
    tokenizer = load_part(AutoTokenizer, recipe.language_model)
    if not tokenizer.is_fast:
        raise AudioBertInputError(
            f"the tokenizer of '{recipe.language_model}' does not tell which characters its tokens come from; a fast "
            f"tokenizer (tokenizer.json) is needed to label spans. Convert it, or start from another checkpoint."
        )
    require_mask_token(tokenizer, recipe.language_model)
    return tokenizer
