"""Training of CLAP, which finds the clip for a span (arXiv 2409.08199, equations 1 to 3)."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils.data import Dataset
from transformers import AutoFeatureExtractor, AutoTokenizer, ClapModel, PreTrainedTokenizerBase

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .audio_encoding import (
    clap_audio_embeddings,
    clap_text_embeddings,
    encode_keys,
    encode_texts,
    in_batches,
    text_length,
)
from .audio_features import AudioFeatureCache
from .audio_model_saving import clip_facts, save_audio_model
from .clap_assembly import ClapAudioTower, ClapWindow, new_clap
from .clip_sources import Clip, ClipSource, read_clips
from .clip_splits import split_clips
from .model_card import CardFacts
from .provenance import versions
from .resumable_trainer import ResumableTrainer
from .retrieval_metrics import label_retrieval
from .spectrogram_masking import SpectrogramMasking, augment
from .training_run import run_training, seed_folders, start_run, training_arguments


__all__ = [
    "CaptionRows",
    "ClapCollator",
    "ClapRecipe",
    "ClapTrainer",
    "caption_spans",
    "contrastive_loss",
    "train_clap",
]

_HEARD = re.compile(r"\b[a-z]{3,}ing\b")


@dataclass
class ClapRecipe:
    """How a CLAP is trained on captioned clips.

    Args:
        clips (`Path`): a manifest, or a folder with one; see `read_clips`.
        output_dir (`Path`): where the CLAP is saved; with several seeds, each in `seed-<n>` below it.
        seeds (`list[int]`): one run each; a seed also decides which clips are held out.
        clap (`str`, *optional*): a `ClapModel` to go on training, a folder or Hub id. Left out, a new one is made.
        text_model (`str`): the BERT or RoBERTa whose weights a new CLAP's text tower starts with.
        audio_tower (`ClapAudioTower`), window (`ClapWindow`), projection_dim (`int`): the shape of a new CLAP.
        temperature (`float`, *optional*): the paper's tau; by default the CLAP's own, 0.07 for a new one.
        learn_temperature (`bool`): whether tau is trained, one for each direction.
        same_label_negatives (`bool`): whether other rows of a batch with the same label or text count as wrong
            answers. The paper's equations count them; right for captions that describe one clip each.
        query_template (`str`, *optional*): makes more texts for each clip, as AudioBERT will ask: from its label, and
            from what is heard by its caption ("mooing" of "a cow mooing"); null for the captions alone.
        validation_share (`float`): share of the recordings that is held out to measure retrieval.
        text_learning_rate (`float`, *optional*): of the text tower's language model, where it should differ from
            `training.learning_rate`; 0 freezes it.
        masking (`SpectrogramMasking`): what is hidden of the clips in training.
        feature_cache (`Path`): where log-mel features are kept between epochs and runs.
        training (`dict`): settings of `transformers.TrainingArguments`, merged into the defaults.
    """

    kind: ClassVar[str] = "clap"

    clips: Path | None = None
    output_dir: Path = Path("runs/clap")
    seeds: list[int] = field(default_factory=lambda: [0])
    clap: str | None = None
    text_model: str = "google-bert/bert-base-uncased"
    audio_tower: ClapAudioTower = field(default_factory=ClapAudioTower)
    window: ClapWindow = field(default_factory=ClapWindow)
    projection_dim: int = 256
    temperature: float | None = None
    learn_temperature: bool = True
    same_label_negatives: bool = False
    query_template: str | None = "{span} sound"
    validation_share: float = 0.1
    text_learning_rate: float | None = None
    masking: SpectrogramMasking = field(default_factory=SpectrogramMasking)
    feature_cache: Path = Path("runs/features")
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 10.0,
            "per_device_train_batch_size": 64,
            "learning_rate": 5e-4,
            "weight_decay": 0.05,
            "dataloader_drop_last": True,
        }
    )


class CaptionRows(Dataset):
    """One row for each text of each clip: its caption, and the queries that its label and caption make.

    Args:
        features (`AudioFeatureCache`): of clips with captions.
        query_template (`str`, *optional*): with `{span}` for the label, or for what the caption says is heard.
    """

    def __init__(self, features: AudioFeatureCache, query_template: str | None):
        self.features = features
        numbers: dict[str, int] = {}
        self.rows: list[tuple[int, str, tuple[int, int]]] = []
        for index, clip in enumerate(features.clips):
            meaning = numbers.setdefault(clip.label or clip.caption, len(numbers))
            texts = [clip.caption]
            if query_template:
                texts += [query_template.format(span=span) for span in caption_spans(clip)]
            for text in dict.fromkeys(texts):
                self.rows.append((index, text, (meaning, numbers.setdefault(text, len(numbers)))))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> dict[str, Any]:
        index, text, same = self.rows[position]
        return {"input_features": self.features[index], "text": text, "same": same}


def caption_spans(clip: Clip) -> list[str]:
    """Return what of a clip a sentence might name: its label, and the caption's words in -ing ("roaring")."""
    words = _HEARD.findall(clip.caption.lower()) if clip.caption else []
    return [span for span in dict.fromkeys([clip.label, *words]) if span]


@dataclass
class ClapCollator:
    """Rows to a batch: `input_ids`, `attention_mask`, `input_features`, and `same` of shape `(batch_size, 2)`, with
    equal numbers in a column for rows of one label (without labels, one caption), and for rows of one text.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        tokens = self.tokenizer(
            [row["text"] for row in rows],
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        return {
            **tokens,
            "input_features": torch.stack([row["input_features"] for row in rows]),
            "same": torch.tensor([row["same"] for row in rows]),
        }


def contrastive_loss(
    audio_embeddings: torch.Tensor,
    text_embeddings: torch.Tensor,
    scales: tuple[torch.Tensor | float, torch.Tensor | float],
    same: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the symmetric InfoNCE loss of a batch of clips and their texts.

    Args:
        audio_embeddings, text_embeddings (`torch.FloatTensor` of shape `(batch_size, projection_dim)`):
            Of norm 1, so that their products are cosines.
        scales (`tuple`): 1 / tau from clips to texts, and from texts to clips; the paper has one tau.
        same (`torch.LongTensor` of shape `(batch_size, num_columns)`, *optional*):
            Rows with equal numbers in any column do not count as wrong answers for each other.

    Returns:
        `torch.FloatTensor` of shape `()`.

    Source:
        arXiv 2409.08199, equations 1 to 3; `same` is ours. (The loss inside transformers' `ClapModel` takes the
        direction from texts to clips twice.)
    """
    cosines = audio_embeddings @ text_embeddings.T  # (num_clips, num_texts)
    excluded = torch.zeros_like(cosines, dtype=torch.bool)
    if same is not None:
        alike = (same[:, None, :] == same[None, :, :]).any(dim=-1)
        excluded = alike & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    right = torch.arange(len(cosines), device=cosines.device)
    to_texts, to_clips = scales
    from_audio = torch.nn.functional.cross_entropy((cosines * to_texts).masked_fill(excluded, -torch.inf), right)
    from_text = torch.nn.functional.cross_entropy((cosines.T * to_clips).masked_fill(excluded, -torch.inf), right)
    return (from_audio + from_text) / 2


class ClapTrainer(ResumableTrainer):
    """Trains a `ClapModel` with the paper's loss, and measures retrieval on held-out clips.

    Args:
        recipe (`ClapRecipe`): for the loss, the masking and the text tower's learning rate.
        validation (`tuple[Sequence[Clip], AudioFeatureCache]`, *optional*): the held-out clips, and their features.
        **trainer_kwargs: of `transformers.Trainer`; `processing_class` is the tokenizer.
    """

    def __init__(
        self,
        *,
        recipe: ClapRecipe,
        validation: tuple[Sequence[Clip], AudioFeatureCache] | None = None,
        **trainer_kwargs,
    ):
        super().__init__(**trainer_kwargs)
        self.recipe = recipe
        self.validation = validation

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        features = (
            augment(inputs["input_features"], self.recipe.masking) if model.training else inputs["input_features"]
        )
        audio = clap_audio_embeddings(model, features)
        text = clap_text_embeddings(model, inputs["input_ids"], inputs["attention_mask"])
        same = None if self.recipe.same_label_negatives else inputs["same"]
        # A scale above 100 lets the loss of one batch overflow the next; CLIP's limit (arXiv 2103.00020).
        scales = (model.logit_scale_a.exp().clamp(max=100), model.logit_scale_t.exp().clamp(max=100))
        loss = contrastive_loss(audio, text, scales, same)
        return (loss, {"audio_embeddings": audio, "text_embeddings": text}) if return_outputs else loss

    def get_decay_parameter_names(self, model) -> list[str]:
        """Leave the temperatures, too, out of weight decay, which would pull them towards 1."""
        return [name for name in super().get_decay_parameter_names(model) if not name.startswith("logit_scale")]

    def create_optimizer(self, *args, **kwargs):
        """Give the text tower's language model its own learning rate, where the recipe names one."""
        if self.optimizer is None:
            super().create_optimizer(*args, **kwargs)
            _split_groups(self.optimizer, self.model.text_model, self.recipe.text_learning_rate)
        return self.optimizer

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval") -> dict[str, float]:
        """Return, and log, how well texts find held-out clips; see `label_retrieval`."""
        clips, features = self.validation
        model = self.model.eval()
        size = self.args.per_device_eval_batch_size
        keys = in_batches(
            lambda batch: encode_keys(model, torch.stack(batch)), map(features.__getitem__, range(len(clips))), size
        )
        labels = sorted({clip.label for clip in clips if clip.label})
        template = self.recipe.query_template or "{span}"
        queries = encode_texts(model, self.processing_class, [template.format(span=label) for label in labels])
        found = label_retrieval(queries @ keys.T, labels, [clip.label for clip in clips])
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def train_clap(recipe: ClapRecipe) -> list[dict[str, Any]]:
    """Train one CLAP per seed; save each with tokenizer, feature extractor, metrics, recipe and model card.

    A run that was interrupted goes on from its last checkpoint.

    Returns:
        The metrics of each run, as in its `metrics.json`.

    Raises:
        AudioBertInputError: the clips or a checkpoint cannot be used, or an output folder holds another run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    if recipe.clips is None:
        raise AudioBertInputError("'clips' is not set: give a manifest of captioned clips, clips=FILE.")
    source = read_clips(recipe.clips)
    _require_captions(source)
    return [_train_one(recipe, seed, folder, source) for seed, folder in seed_folders(recipe)]


def _train_one(recipe: ClapRecipe, seed: int, folder: Path, source: ClipSource) -> dict[str, Any]:
    train_clips, held_out = split_clips(source.clips, recipe.validation_share, seed)
    if len(train_clips) < 2:
        raise AudioBertInputError(
            f"'{source.name}' leaves {len(train_clips)} clips to train on; at least 2 are needed. Add clips, or lower "
            f"validation_share."
        )
    recipe = start_run(recipe, folder, seed)
    clap, tokenizer, feature_extractor = _load_or_make(recipe)
    features = {
        name: AudioFeatureCache(recipe.feature_cache, clips, feature_extractor, source.folder).prepare(f"{name} clips")
        for name, clips in (("training", train_clips), ("held-out", held_out))
    }
    rows = CaptionRows(features["training"], recipe.query_template)
    trainer = ClapTrainer(
        recipe=recipe,
        validation=(held_out, features["held-out"]) if any(clip.label for clip in held_out) else None,
        model=clap,
        args=training_arguments(recipe, folder, seed),
        train_dataset=rows,
        data_collator=ClapCollator(tokenizer, text_length(clap)),
        processing_class=tokenizer,
    )
    started = time.monotonic()
    run_training(trainer, folder)
    metrics = {
        "kind": recipe.kind,
        "seed": seed,
        "clips": {"train": len(train_clips), "validation": len(held_out)},
        "rows": len(rows),
        "steps": trainer.state.global_step,
        "seconds_since_start_or_resume": round(time.monotonic() - started, 1),
        "versions": versions(),
        "validation": _without_prefix(trainer.evaluate()) if trainer.validation else None,
    }
    save_audio_model(
        folder, trainer.model, [tokenizer, feature_extractor], _card(recipe, source.clips, metrics), metrics
    )
    return metrics


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
    return clap, tokenizer, feature_extractor


def _split_groups(optimizer: torch.optim.Optimizer, text_model: torch.nn.Module, learning_rate: float | None) -> None:
    """Move the text tower's parameters, its pooler's not, into groups of their own with another learning rate."""
    if not learning_rate:
        return
    slow = {parameter for name, parameter in text_model.named_parameters() if not name.startswith("pooler.")}
    for group in list(optimizer.param_groups):
        moved = [parameter for parameter in group["params"] if parameter in slow]
        if moved:
            group["params"] = [parameter for parameter in group["params"] if parameter not in slow]
            optimizer.add_param_group({**group, "params": moved, "lr": learning_rate})


def _require_captions(source: ClipSource) -> None:
    without = [clip for clip in source.clips if not clip.caption]
    if without:
        raise AudioBertInputError(
            f"{len(without)} of the {len(source)} clips of '{source.name}' have no caption (first: "
            f"'{without[0].id}'); CLAP learns from captions. Add them, or leave those clips out."
        )


def _without_prefix(metrics: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix("eval_"): value for name, value in metrics.items()}


def _card(recipe: ClapRecipe, clips: Sequence[Clip], metrics: dict[str, Any]) -> CardFacts:
    measured = metrics["validation"] or {}
    return CardFacts(
        title="CLAP",
        summary=(
            "Embeds sound clips and English texts in one space, so that AudioBERT finds a clip for the words of a "
            "sentence that name a sound (arXiv 2409.08199, section II-B2)."
        ),
        limits=(
            "It knows the kinds of sound it was trained on, from short class-like captions, and was measured on clips "
            "of the same sources. It takes mono sound at its own sampling rate, and of a long clip the beginning."
        ),
        recipe=recipe,
        facts={
            "base checkpoint": recipe.clap or f"none; the text tower started from {Path(recipe.text_model).name}",
            "clips": metrics["clips"],
            "steps": metrics["steps"],
            "seed": metrics["seed"],
            "versions": metrics["versions"],
            **clip_facts(clips),
        },
        metrics={f"held-out clips, {name}": value for name, value in measured.items()},
    )
