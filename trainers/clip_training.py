"""What all training on sound clips shares: the recipe's fields, and the steps from the clips to the saved model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import Trainer

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_features import AudioFeatureCache
from .audio_model_saving import clip_facts, save_audio_model
from .clip_sources import Clip, ClipSource, read_clips
from .clip_splits import split_clips
from .model_card import CardFacts
from .provenance import versions
from .spectrogram_masking import SpectrogramMasking
from .training_run import run_training, start_run, training_arguments


__all__ = ["ClipRecipe", "ClipRun", "held_out_facts", "recipe_clips"]


@dataclass
class ClipRecipe:
    """The fields that all recipes of models trained on clips have.

    Args:
        clips (`Path`): a manifest, or a folder with one; see `read_clips`.
        output_dir (`Path`): where the model is saved; with several seeds, each in `seed-<n>` below it.
        seeds (`list[int]`): one run each; a seed also decides which clips are held out.
        validation_share (`float`): share of the recordings that is held out to measure with.
        held_out_sources (`list[str]`): sources of the manifest that are held out as a whole.
        masking (`SpectrogramMasking`): what is hidden of the clips in training.
        feature_cache (`Path`): where log-mel features are kept between epochs and runs.
        training (`dict`): settings of `transformers.TrainingArguments`, merged into the defaults.
    """

    clips: Path | None = None
    output_dir: Path = Path("runs/model")
    seeds: list[int] = field(default_factory=lambda: [0])
    validation_share: float = 0.1
    held_out_sources: list[str] = field(default_factory=list)
    masking: SpectrogramMasking = field(default_factory=SpectrogramMasking)
    feature_cache: Path = Path("runs/features")
    training: dict[str, Any] = field(default_factory=dict)


def recipe_clips(recipe: ClipRecipe, kind: str) -> ClipSource:
    """Return the clips that a recipe names.

    Args:
        kind (`str`): "captioned" or "labelled", for the message.

    Raises:
        AudioBertInputError: the recipe names none, or they cannot be read.
    """
    if recipe.clips is None:
        raise AudioBertInputError(f"'clips' is not set: give a manifest of {kind} clips, clips=FILE.")
    return read_clips(recipe.clips)


class ClipRun:
    """One run of a recipe: its clips split, its features read, its model trained and saved.

    Args:
        recipe (`ClipRecipe`): of all seeds.
        seed (`int`), folder (`Path`): of this run.
        source (`ClipSource`): the clips that can be used.

    Attributes:
        split (`ClipSplit`): the clips to train on and those held out.
        recipe (`ClipRecipe`): from `start` on, that of this run alone.
        args (`TrainingArguments`): from `start` on.
    """

    def __init__(self, recipe: ClipRecipe, seed: int, folder: Path, source: ClipSource):
        self.recipe = recipe
        self.seed = seed
        self.folder = folder
        self.source = source
        self.split = split_clips(source.clips, recipe.validation_share, seed, recipe.held_out_sources)

    def start(self) -> None:
        """Claim the run's folder and set the random state; call it before the model is made.

        Raises:
            AudioBertInputError: see `start_run` and `training_arguments`.
        """
        self.recipe = start_run(self.recipe, self.folder, self.seed)
        self.args = training_arguments(self.recipe, self.folder, self.seed)

    def features(self, clips: Sequence[Clip], feature_extractor, name: str) -> AudioFeatureCache:
        """Return the clips' features, all of them on disk; of several processes, one computes them."""
        cache = AudioFeatureCache(self.recipe.feature_cache, clips, feature_extractor, self.source.folder)
        with self.args.main_process_first(local=False, desc=name):
            return cache.prepare(name)

    def train(self, trainer: Trainer) -> dict[str, Any]:
        """Train to the end; return what the metrics of every run tell."""
        started = time.monotonic()
        run_training(trainer, self.folder)
        return {
            "kind": self.recipe.kind,
            "seed": self.seed,
            "clips": self.split.counts(),
            "steps": trainer.state.global_step,
            "seconds_since_start_or_resume": round(time.monotonic() - started, 1),
            "processes": trainer.accelerator.num_processes,
            "versions": versions(),
        }

    def save(self, trainer: Trainer, companions: Sequence[Any], card: CardFacts, metrics: dict[str, Any]) -> None:
        """Write the model folder, once; the card gets the facts that every run has."""
        facts = {name: metrics[name] for name in ("clips", "steps", "seed", "versions")}
        card.facts.update(facts | clip_facts(self.source.clips))
        if trainer.is_world_process_zero():
            save_audio_model(self.folder, trainer.model, companions, card, metrics)
        trainer.accelerator.wait_for_everyone()


def held_out_facts(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what a run measured on held-out clips under the names that a card shows."""
    titles = {"validation": "held-out clips", "held_out_sources": "clips of held-out sources"}
    return {
        f"{title}, {name.replace('_', ' ')}": value
        for part, title in titles.items()
        for name, value in (metrics.get(part) or {}).items()
    }
