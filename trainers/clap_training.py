"""Training of CLAP, which finds the clip for a span (arXiv 2409.08199, equations 1 to 3)."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_encoding import text_length
from .clap_assembly import new_clap, set_input_statistics
from .clap_evaluation import encode_cached_keys, measure_retrieval
from .clap_recipe import ClapRecipe
from .clap_rows import CaptionRows, ClapCollator, are_class_like
from .clap_trainer import ClapTrainer
from .clip_sources import ClipSource
from .clip_training import ClipRun, held_out_facts, recipe_clips
from .model_card import CardFacts
from .training_run import run_seeds


__all__ = ["ClapRecipe", "train_clap"]

logger = logging.getLogger(__name__)


def train_clap(recipe: ClapRecipe) -> list[dict[str, Any]]:
    """Train one CLAP per seed; save each with tokenizer, feature extractor, metrics, recipe and model card.

    A run that was interrupted goes on from its last checkpoint. Under `accelerate launch` each process trains on its
    own rows, and counts those of all processes as wrong answers.

    Returns:
        The metrics of each run, as in its `metrics.json`; of held-out clips, see `measure_retrieval`.

    Raises:
        AudioBertInputError: the clips or a checkpoint cannot be used, or an output folder holds another run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    if recipe.locked_text and recipe.text_learning_rate:
        raise AudioBertInputError(
            f"locked_text leaves the text side as it is, but text_learning_rate={recipe.text_learning_rate} trains "
            f"it; give one of them (text_learning_rate=0)."
        )
    source = recipe_clips(recipe, "captioned")
    _require_captions(source)
    return run_seeds(recipe, lambda seed, folder: _train_one(ClipRun(recipe, seed, folder, source)))


def _train_one(run: ClipRun) -> dict[str, Any]:
    split = run.split
    _require_clips(run)
    run.start()
    recipe = _decide_negatives(run.recipe, split.train)
    clap, tokenizer, feature_extractor = _load_or_make(recipe)
    training = run.features(split.train, feature_extractor, "training clips")
    held_out = {
        "validation": run.features(split.recordings, feature_extractor, "held-out clips"),
        "held_out_sources": run.features(split.sources, feature_extractor, "clips of held-out sources"),
    }
    if recipe.clap is None:
        set_input_statistics(clap, training)
    rows = CaptionRows(training, recipe.query_template)
    trainer = ClapTrainer(
        recipe=recipe,
        validation=(split.recordings, held_out["validation"]) if split.recordings else None,
        model=clap,
        args=run.args,
        train_dataset=rows,
        # What the Trainer asks for where eval_strategy is set; ClapTrainer measures retrieval instead of the loss.
        eval_dataset=CaptionRows(held_out["validation"], recipe.query_template) if split.recordings else None,
        data_collator=ClapCollator(tokenizer, text_length(clap)),
        processing_class=tokenizer,
    )
    metrics = run.train(trainer) | {"rows": len(rows), "same_label_negatives": recipe.same_label_negatives}
    for name, features in held_out.items():
        if len(features) or name == "validation":
            metrics[name] = _measure(trainer, features) if len(features) else None
    run.save(trainer, [tokenizer, feature_extractor], _card(recipe, metrics), metrics)
    return metrics


def _measure(trainer: ClapTrainer, features) -> dict[str, float]:
    clap = trainer.model.eval()
    keys = encode_cached_keys(clap, features, trainer.args.per_device_eval_batch_size)
    return measure_retrieval(clap, trainer.processing_class, features.clips, keys, trainer.recipe.query_template)


def _decide_negatives(recipe: ClapRecipe, clips) -> ClapRecipe:
    if recipe.same_label_negatives is not None:
        return recipe
    counted = not are_class_like(clips)
    logger.info(
        "%d different captions on %d clips: rows of one label or text %s as wrong answers for each other",
        len({clip.caption for clip in clips}),
        len(clips),
        "count" if counted else "do not count",
    )
    return dataclasses.replace(recipe, same_label_negatives=counted)


def _load_or_make(recipe: ClapRecipe):
    if recipe.clap is None:
        clap, tokenizer, feature_extractor = new_clap(
            recipe.text_model, recipe.audio_tower, recipe.window, recipe.projection_dim
        )
    else:
        clap = load_part(ClapModel, recipe.clap)
        tokenizer = load_part(AutoTokenizer, recipe.clap)
        feature_extractor = load_part(AutoFeatureExtractor, recipe.clap)
    scales = (clap.logit_scale_a, clap.logit_scale_t)
    temperature = recipe.temperature if recipe.temperature is not None else (None if recipe.clap else 0.07)
    for scale in scales:
        if temperature is not None:
            scale.data.fill_(-torch.log(torch.tensor(temperature)))
        scale.requires_grad_(recipe.learn_temperature)
    if recipe.text_learning_rate == 0:
        clap.text_model.requires_grad_(False)
        # The pooler is no part of the language model that the tower starts from.
        clap.text_model.pooler.requires_grad_(True)
    if recipe.locked_text:
        clap.text_model.requires_grad_(False)
        clap.text_projection.requires_grad_(False)
    return clap, tokenizer, feature_extractor


def _require_clips(run: ClipRun) -> None:
    if len(run.split.train) < 2:
        raise AudioBertInputError(
            f"'{run.source.name}' leaves {len(run.split.train)} clips to train on; at least 2 are needed. Add clips, "
            f"or lower validation_share."
        )
    if not run.split.recordings and str(run.recipe.training.get("eval_strategy", "no")) != "no":
        raise AudioBertInputError(
            f"training.eval_strategy asks for measurements while training, but validation_share="
            f"{run.recipe.validation_share:g} holds no clip of '{run.source.name}' out. Raise it, or leave it out."
        )


def _require_captions(source: ClipSource) -> None:
    without = [clip for clip in source.clips if not clip.caption]
    if without:
        raise AudioBertInputError(
            f"{len(without)} of the {len(source)} clips of '{source.name}' have no caption (first: "
            f"'{without[0].id}'); CLAP learns from captions. Add them, or leave those clips out."
        )


def _card(recipe: ClapRecipe, metrics: dict[str, Any]) -> CardFacts:
    return CardFacts(
        title="CLAP",
        summary=(
            "Embeds sound clips and English texts in one space, so that AudioBERT finds a clip for the words of a "
            "sentence that name a sound (arXiv 2409.08199, section II-B2)."
        ),
        limits=(
            "It knows the kinds of sound it was trained on, from short class-like captions, and was measured on clips "
            "of the same kinds. It takes mono sound at its own sampling rate, and of a long clip the beginning."
        ),
        recipe=recipe,
        facts={"base checkpoint": recipe.clap or f"none; the text tower started from {Path(recipe.text_model).name}"},
        metrics=held_out_facts(metrics),
    )
