"""Training of the masked-LM adapter: a head and LoRA that make a masked language model of a BERT encoder."""

import dataclasses
import hashlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from peft import LoraConfig, inject_adapter_in_model
from transformers import BertForMaskedLM, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .lora_trainer import LoraTrainer
from .masked_text import IGNORED, MaskedTextCollator, Masking, TextBatches, masked_token_accuracy, read_lines
from .model_card import CardFacts, write_model_card
from .provenance import versions
from .starter.adapter_file import adapter_tensors, apply_adapter, save_adapter
from .starter.starter_model import ADAPTER_FILE, STARTER_NAME, STARTER_SHA256, read_starter_encoder
from .training_run import run_seeds, run_training, start_run, training_arguments, write_metrics


__all__ = ["LmAdapterRecipe", "LmAdapterTrainer", "LoraShape", "train_lm_adapter"]

logger = logging.getLogger(__name__)


@dataclass
class LoraShape:
    """The LoRA part of the adapter.

    Args:
        r (`int`): rank.
        alpha (`int`): scale.
        dropout (`float`): before the LoRA matrices.
        target_modules (`list[str]`): the linear layers, by the end of their names; in BERT `dense` are those after
            the attention and of the feed-forward part.
    """

    r: int = 30
    alpha: int = 60
    dropout: float = 0.0
    target_modules: list[str] = field(default_factory=lambda: ["query", "key", "value", "dense"])


@dataclass
class LmAdapterRecipe:
    """How a masked-LM adapter is trained.

    Args:
        data (`Path`): a text file, one text a line, plain or gzipped.
        encoder (`str`, *optional*): folder of a BERT encoder with its tokenizer; by default all-MiniLM-L6-v2 from the
            package that the extra `starter` installs.
        output_dir (`Path`): where the adapter is saved; with several seeds, each in `seed-<n>` below it.
        seeds (`list[int]`): one run each.
        held_out_lines (`int`): the file's first lines, which only measure.
        max_length (`int`): tokens of a text; the rest is cut.
        tokens_per_batch (`int`): at most, padding included; `per_device_train_batch_size` counts such
            batches.
        masking (`Masking`): what is hidden, in training and in the measurement.
        lora (`LoraShape`): of the adapter; the head is trained in full.
        encoder_dropout (`float`): inside the frozen encoder, in training.
        training (`dict`): settings of `transformers.TrainingArguments`, merged into the defaults.
    """

    kind: ClassVar[str] = "lm_adapter"

    data: Path | None = None
    encoder: str | None = None
    output_dir: Path = Path("runs/lm_adapter")
    seeds: list[int] = field(default_factory=lambda: [0])
    held_out_lines: int = 2000
    max_length: int = 128
    tokens_per_batch: int = 2048
    masking: Masking = field(default_factory=Masking)
    lora: LoraShape = field(default_factory=LoraShape)
    encoder_dropout: float = 0.0
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 1.0,
            "per_device_train_batch_size": 1,
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
        }
    )


class LmAdapterTrainer(LoraTrainer):
    """Trains a `BertForMaskedLM` that holds LoRA layers; the head reads the hidden tokens' places alone."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        hidden = model.bert(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        wanted = inputs["labels"] != IGNORED
        logits = model.cls(hidden[wanted]).float()  # (num_guessed, vocab_size)
        loss = torch.nn.functional.cross_entropy(logits, inputs["labels"][wanted], reduction="sum")
        loss = loss / wanted.sum().clamp(min=1)
        return (loss, {"logits": logits}) if return_outputs else loss


def train_lm_adapter(recipe: LmAdapterRecipe) -> list[dict[str, Any]]:
    """Train one masked-LM adapter per seed; save each as one file with metrics, recipe and model card.

    `audiobert.starter.build_starter_model(folder, adapter=FILE)` makes a masked language model of it. A run that was
    interrupted goes on from its last checkpoint, one that has ended is not repeated.

    Returns:
        The metrics of each run, as in its `metrics.json`.

    Raises:
        AudioBertInputError: the text, the encoder or a checkpoint cannot be used, or an output folder holds another
            run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    if recipe.data is None:
        raise AudioBertInputError("'data' is not set: give a text file with one text a line, data=FILE.")
    lines = read_lines(recipe.data)
    if not 0 < recipe.held_out_lines < len(lines):
        raise AudioBertInputError(
            f"'{recipe.data}' has {len(lines)} lines, held_out_lines is {recipe.held_out_lines}: at least one line "
            f"must measure, and one train. Give more text, or another held_out_lines."
        )
    return run_seeds(recipe, lambda seed, folder: _train_one(recipe, seed, folder, lines))


def _train_one(recipe: LmAdapterRecipe, seed: int, folder: Path, lines: list[str]) -> dict[str, Any]:
    recipe = start_run(recipe, folder, seed)
    model, tokenizer = read_starter_encoder(recipe.encoder)
    held_out = lines[: recipe.held_out_lines]
    before = masked_token_accuracy(model, tokenizer, held_out, recipe.masking, recipe.max_length)
    logger.info("masked-token accuracy before: %.4f", before["accuracy"])
    _set_dropout(model.bert, recipe.encoder_dropout)
    _put_lora_in(model, recipe.lora)
    texts = tokenizer(lines[recipe.held_out_lines :], truncation=True, max_length=recipe.max_length)["input_ids"]
    batches = TextBatches(texts, recipe.tokens_per_batch, seed)
    trainer = LmAdapterTrainer(
        model=model,
        args=training_arguments(recipe, folder, seed),
        train_dataset=batches,
        data_collator=MaskedTextCollator(tokenizer, recipe.masking),
    )
    started = time.monotonic()
    run_training(trainer, folder)
    metrics = {
        "kind": recipe.kind,
        "seed": seed,
        "lines": {"train": len(texts), "held_out": len(held_out)},
        "data_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "encoder_sha256": STARTER_SHA256 if recipe.encoder is None else None,
        "steps": trainer.state.global_step,
        "seconds_since_start_or_resume": round(time.monotonic() - started, 1),
        "bf16": bool(recipe.training.get("bf16")),
        "versions": versions(),
        "before": before,
    }
    return _save(recipe, folder, trainer.model, tokenizer, (held_out, metrics))


def _save(
    recipe: LmAdapterRecipe,
    folder: Path,
    trained: BertForMaskedLM,
    tokenizer: PreTrainedTokenizerBase,
    measured: tuple[list[str], dict[str, Any]],
) -> dict[str, Any]:
    held_out, metrics = measured
    tensors = adapter_tensors(trained)
    # What is measured is what will be loaded: float16, merged.
    model, _ = read_starter_encoder(recipe.encoder)
    apply_adapter(model, tensors)
    metrics["after"] = masked_token_accuracy(model, tokenizer, held_out, recipe.masking, recipe.max_length)
    facts = {"encoder": STARTER_NAME if recipe.encoder is None else Path(recipe.encoder).name, **metrics}
    facts |= {"lora": dataclasses.asdict(recipe.lora), "masking": dataclasses.asdict(recipe.masking)}
    save_adapter(folder / ADAPTER_FILE, tensors, facts)
    metrics["bytes"] = (folder / ADAPTER_FILE).stat().st_size
    write_model_card(folder, _card(recipe, facts, metrics))
    write_metrics(metrics, folder)
    return metrics


def _put_lora_in(model: BertForMaskedLM, shape: LoraShape) -> None:
    """Freeze the encoder, put LoRA into its linear layers, and leave the head to be trained."""
    model.requires_grad_(False)
    names = [
        name
        for name, module in model.bert.encoder.named_modules(prefix="bert.encoder")
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in shape.target_modules
    ]
    if not names:
        raise AudioBertInputError(
            f"the encoder has no linear layer named {' or '.join(shape.target_modules)}; correct lora.target_modules."
        )
    lora = LoraConfig(r=shape.r, lora_alpha=shape.alpha, lora_dropout=shape.dropout, target_modules=names)
    inject_adapter_in_model(lora, model)
    for name, parameter in model.named_parameters():
        if name.startswith("cls.predictions.") and not name.startswith("cls.predictions.decoder.weight"):
            parameter.requires_grad_(True)


def _set_dropout(encoder: torch.nn.Module, share: float) -> None:
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share
        if hasattr(module, "dropout_prob"):  # of the attention, in transformers 4
            module.dropout_prob = share


def _card(recipe: LmAdapterRecipe, facts: dict[str, Any], metrics: dict[str, Any]) -> CardFacts:
    named = ("encoder", "lines", "data_sha256", "steps", "seed", "bf16", "versions")
    return CardFacts(
        title="Masked-LM adapter",
        summary=(
            "A masked-LM head and LoRA matrices, in float16, that make a masked language model of a BERT encoder. "
            "audiobert.starter.build_starter_model merges them into the encoder's weights."
        ),
        limits="It knows the language of its text: definitions and example sentences, if it was a dictionary.",
        recipe=recipe,
        facts={name.replace("_", " "): facts[name] for name in named},
        metrics={
            f"{name} on held-out lines, {when} training": metrics[when][name]
            for when in ("before", "after")
            for name in ("accuracy", "cross_entropy")
        },
    )
