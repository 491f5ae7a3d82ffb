"""The ablation that hears nothing: AudioBERT's adapter, trained on the same rows by text alone."""

import random
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.adapter import attention_projections, inject_adapter, is_adapter_weight
from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.head_positions import head_at, label_positions, prepare_head

from .answer_loss import IGNORED, AnswerLossMixin
from .collation import EncodedRow, encode_rows
from .evaluation import evaluate_model
from .lora_trainer import LoraTrainer, merge_lora
from .masked_sentences import require_matching_vocabulary
from .model_card import CardFacts, write_model_card
from .provenance import rows_digest, versions
from .training_run import read_metrics, run_training, start_run, training_arguments, write_metrics


if TYPE_CHECKING:
    from .audiobert_training import AudioBertRecipe


__all__ = ["TEXT_ONLY", "TextOnlyCollator", "TextOnlyTrainer", "train_text_only"]

TEXT_ONLY = "text_only"
_ANY_NUMBER_OF_SPANS = 64


class TextOnlyCollator:
    """Makes batches for a masked language model of encoded rows; their spans are left out."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self.tokenizer = tokenizer

    def __call__(self, rows: Sequence[EncodedRow]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `labels` (-100 where there is no loss)."""
        batch = dict(self.tokenizer.pad({"input_ids": [row.input_ids for row in rows]}, return_tensors="pt"))
        batch["labels"] = torch.full_like(batch["input_ids"], IGNORED)
        for labels, mask, row in zip(batch["labels"], batch["attention_mask"], rows, strict=True):
            labels[mask.bool()] = torch.tensor(row.labels)
        return batch


class TextOnlyTrainer(AnswerLossMixin, LoraTrainer):
    """Trains a masked language model by AudioBERT's loss."""

    def mean_loss(self, model, inputs) -> tuple[torch.Tensor, dict]:
        labels, reading = inputs["labels"], nullcontext()
        if self.reads_gaps_alone(model):
            positions, labels = label_positions(labels)
            reading = head_at(self.accelerator.unwrap_model(model), positions)
        texts = {name: tensor for name, tensor in inputs.items() if name != "labels"}
        with reading:
            logits = model(**texts).logits
        wanted = labels != IGNORED
        loss = torch.nn.functional.cross_entropy(logits[wanted].float(), labels[wanted], reduction="sum")
        return loss / wanted.sum().clamp(min=1), {"logits": logits}


def train_text_only(
    recipe: "AudioBertRecipe",
    seed: int,
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    rows: dict[str, list[dict]],
) -> dict[str, Any]:
    """Train the adapter by text alone, merge it, and save a standard masked language model with metrics and card.

    Returns:
        The run's metrics, as in its `metrics.json`.
    """
    recipe = start_run(recipe, folder, seed)
    model = load_part(AutoModelForMaskedLM, recipe.language_model)
    require_matching_vocabulary(tokenizer, model, recipe.language_model)
    recipe.language_model_settings.apply(model)
    _put_adapter_in(model, recipe)
    encoded = encode_rows(rows["train"], tokenizer, recipe.max_length, _ANY_NUMBER_OF_SPANS)
    if recipe.max_train_rows is not None:
        encoded = random.Random(seed).sample(encoded, min(recipe.max_train_rows, len(encoded)))
    encoded += encode_rows(rows.get("lessons", []), tokenizer, recipe.max_length, _ANY_NUMBER_OF_SPANS)
    trainer = TextOnlyTrainer(
        model=model,
        args=training_arguments(recipe, folder, seed),
        train_dataset=encoded,
        data_collator=TextOnlyCollator(tokenizer),
    )
    started = time.monotonic()
    run_training(trainer, folder)
    seconds = time.monotonic() - started
    if trainer.is_world_process_zero():
        _save(trainer.model, tokenizer, folder, recipe)
        metrics = {
            "kind": recipe.kind,
            "hearing": TEXT_ONLY,
            "task": recipe.task,
            "seed": seed,
            "rows": {"train": len(encoded), "validation": len(rows["validation"])},
            "data_sha256": {split: rows_digest(content) for split, content in rows.items()},
            "steps": trainer.state.global_step,
            "seconds_since_start_or_resume": round(seconds, 1),
            "processes": trainer.accelerator.num_processes,
            "versions": versions(),
            "validation": evaluate_model(folder, recipe.data_dir, task=recipe.task, split="validation")["results"],
        }
        with staged_folder(folder) as stage:
            write_model_card(stage, _card(recipe, metrics))
        write_metrics(metrics, folder)
    trainer.accelerator.wait_for_everyone()
    return read_metrics(folder)


def _save(
    trained: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path, recipe: "AudioBertRecipe"
) -> None:
    """Merge the adapter into the language model that it was trained on, and save that."""
    plain = load_part(AutoModelForMaskedLM, recipe.language_model)
    merge_lora(trained, plain)
    plain.config._name_or_path = ""  # would carry the folder of whoever trained it
    with staged_folder(folder) as stage:
        plain.save_pretrained(stage)
        tokenizer.save_pretrained(stage)


def _put_adapter_in(model: PreTrainedModel, recipe: "AudioBertRecipe") -> None:
    """Put AudioBERT's adapter into a language model, and freeze all else."""
    targets = recipe.model.get("lora_target_modules") or attention_projections(model)
    shape = SimpleNamespace(
        lora_r=recipe.adapter.r,
        lora_alpha=recipe.adapter.alpha,
        lora_dropout=recipe.adapter.dropout,
        lora_target_modules=targets,
    )
    inject_adapter(model, shape)
    prepare_head(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_adapter_weight(name))


def _card(recipe: "AudioBertRecipe", metrics: dict[str, Any]) -> CardFacts:
    return CardFacts(
        title="Language model, fine-tuned on text alone",
        summary=(
            "A masked language model with AudioBERT's adapter, trained on the same sentences without any sound, and "
            "merged into its weights: what AudioBERT is compared with, to tell hearing from reading."
        ),
        limits="It knows of sounds what its sentences said, and nothing of sounds that they did not name.",
        recipe=recipe,
        facts={
            "language model": recipe.language_model,
            "task": recipe.task,
            "rows": metrics["rows"],
            "sha256 of the rows": metrics["data_sha256"],
            "steps": metrics["steps"],
            "seed": metrics["seed"],
            "versions": metrics["versions"],
        },
        metrics={f"accuracy on validation, {result['task']}": result["accuracy"] for result in metrics["validation"]},
        metadata={"pipeline_tag": "fill-mask", "language": "en"},
    )
