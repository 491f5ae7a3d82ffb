"""Training of the audio encoder, whose embeddings are injected: an audio spectrogram transformer on clip labels."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.utils.data import Dataset
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification, AutoFeatureExtractor

from audiobert.modeling_audiobert.checkpoint_loading import load_part
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.modeling_audiobert.injection import pool_audio

from .audio_features import AudioFeatureCache
from .clip_sources import ClipSource
from .clip_training import ClipRecipe, ClipRun, held_out_facts, recipe_clips
from .model_card import CardFacts
from .pitch_target import PitchedAudioClassifier, PitchScale, pitch_loss, pitch_measures, pitch_scale
from .resumable_trainer import ResumableTrainer
from .spectrogram_masking import SpectrogramMasking, augment
from .training_run import run_seeds


__all__ = ["AudioEncoderRecipe", "AudioEncoderShape", "AudioEncoderTrainer", "LabelRows", "train_audio_encoder"]

_IGNORED = -100


@dataclass
class AudioEncoderShape:
    """The shape of a new audio encoder; names as in `ASTConfig` and `ASTFeatureExtractor`.

    Args:
        sampling_rate (`int`): in Hz.
        max_length (`int`): frames of 10 ms; a shorter clip is padded, of a longer one the beginning is taken.
        num_mel_bins (`int`): height of the spectrogram.
        patch_size (`int`), time_stride (`int`), frequency_stride (`int`): of the patches, in frames and mel bins.
        hidden_size (`int`), num_hidden_layers (`int`), num_attention_heads (`int`), intermediate_size (`int`).
        hidden_dropout_prob (`float`), attention_probs_dropout_prob (`float`): from 0 to 1.
    """

    sampling_rate: int = 16_000
    max_length: int = 512
    num_mel_bins: int = 64
    patch_size: int = 16
    time_stride: int = 16
    frequency_stride: int = 16
    hidden_size: int = 192
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int = 768
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.0


@dataclass
class AudioEncoderRecipe(ClipRecipe):
    """How an audio encoder is trained to tell the labels of clips apart. The fields of [`ClipRecipe`], and:

    Args:
        audio_encoder (`str`, *optional*): an audio spectrogram transformer to go on training, a folder or Hub id.
            Left out, a new one is made.
        shape (`AudioEncoderShape`): of a new one.
        pitch_weight (`float`): above 0, the encoder also learns the manifest's `average_pitch_hz`, and this is the
            weight of that loss beside the labels'; for banks that are asked which of two sounds is higher.

    Clips without a label are left out.
    """

    kind: ClassVar[str] = "audio_encoder"

    output_dir: Path = Path("runs/audio_encoder")
    audio_encoder: str | None = None
    shape: AudioEncoderShape = field(default_factory=AudioEncoderShape)
    pitch_weight: float = 0.0
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 20.0,
            "per_device_train_batch_size": 64,
            "learning_rate": 1e-3,
            "weight_decay": 0.05,
        }
    )


class LabelRows(Dataset):
    """One row for each clip: its features, the number of its label, and with a scale its pitch.

    Args:
        features (`AudioFeatureCache`): of the clips.
        numbers (`dict[str, int]`): of the labels; a clip with another one gets -100, which no loss counts.
        scale (`PitchScale`, *optional*): of the pitches; left out, rows have none.
    """

    def __init__(self, features: AudioFeatureCache, numbers: dict[str, int], scale: PitchScale | None = None):
        self.features = features
        self.labels = [numbers.get(clip.label, _IGNORED) for clip in features.clips]
        self.pitches = None if scale is None else scale.standardized(features.clips)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = {"input_values": self.features[index], "labels": torch.tensor(self.labels[index])}
        return row if self.pitches is None else row | {"pitches": self.pitches[index]}


class AudioEncoderTrainer(ResumableTrainer):
    """Trains an `ASTForAudioClassification` so that both what its head reads and what AudioBERT injects tell labels.

    The head reads the two class tokens, so that by its loss alone the last layer's other positions would learn
    nothing; but the mean over all positions is what a bank keeps. So the same head reads that mean too, and the loss
    is the mean of both (ours; the paper takes a finished encoder). Rows with pitches, given to a
    [`PitchedAudioClassifier`], add the loss of the pitch that is read from that mean.

    Args:
        masking (`SpectrogramMasking`): applied in training.
        pitch_weight (`float`, *optional*, defaults to 0.0): of the pitch's loss.
        **trainer_kwargs: of `transformers.Trainer`.

    Raises:
        AudioBertInputError: it is started in several processes.
    """

    def __init__(self, *, masking: SpectrogramMasking, pitch_weight: float = 0.0, **trainer_kwargs):
        super().__init__(**trainer_kwargs)
        self.masking = masking
        self.pitch_weight = pitch_weight
        if self.accelerator.num_processes > 1:
            raise AudioBertInputError(
                "the audio encoder is trained by one process; give the command without 'accelerate launch'."
            )

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        values = augment(inputs["input_values"], self.masking) if model.training else inputs["input_values"]
        encoded = model.audio_spectrogram_transformer(values)
        mean = pool_audio(encoded.last_hidden_state)
        logits = [model.classifier(state) for state in (encoded.pooler_output, mean)]
        loss = sum(torch.nn.functional.cross_entropy(part, inputs["labels"], ignore_index=_IGNORED) for part in logits)
        loss = loss / 2
        if "pitches" in inputs:
            logits.append(model.pitch_head(mean)[:, 0])
            loss = loss + self.pitch_weight * pitch_loss(logits[-1], inputs["pitches"])
        return (loss, {"logits": tuple(logits)}) if return_outputs else loss


def train_audio_encoder(recipe: AudioEncoderRecipe) -> list[dict[str, Any]]:
    """Train one audio encoder per seed; save each with feature extractor, metrics, recipe and model card.

    `ASTModel` and `AutoModel` load the saved folder without the head. A run that was interrupted goes on from its
    last checkpoint, one that has ended is not repeated.

    Returns:
        The metrics of each run, as in its `metrics.json`.

    Raises:
        AudioBertInputError: the clips or a checkpoint cannot be used, or an output folder holds another run.
        KeyboardInterrupt: Ctrl-C, after a checkpoint was saved.
    """
    if not recipe.pitch_weight >= 0:
        raise AudioBertInputError(f"pitch_weight={recipe.pitch_weight} must be 0 or above.")
    source = recipe_clips(recipe, "labelled")
    labelled = ClipSource(source.folder, tuple(clip for clip in source.clips if clip.label), source.name)
    return run_seeds(recipe, lambda seed, folder: _train_one(ClipRun(recipe, seed, folder, labelled)))


def feature_statistics(features: AudioFeatureCache) -> tuple[float, float]:
    """Return mean and standard deviation of all features before normalisation, their padding included.

    With padding, as the published statistics of AudioSet were taken.
    """
    total, squares, count = 0.0, 0.0, 0
    for index in range(len(features)):
        values = features.raw(index).double()
        total, squares, count = (
            total + values.sum().item(),
            squares + values.square().sum().item(),
            count + values.numel(),
        )
    mean = total / count
    return mean, max(squares / count - mean**2, 0.0) ** 0.5


def _train_one(run: ClipRun) -> dict[str, Any]:
    split = run.split
    labels = sorted({clip.label for clip in split.train})
    if len(labels) < 2:
        raise AudioBertInputError(
            f"the clips of '{run.source.name}' that are trained on have {len(labels)} different labels; at least 2 "
            f"are needed. Fill the column 'label' of the manifest."
        )
    scale = pitch_scale(split.train, run.source.name) if run.recipe.pitch_weight > 0 else None
    run.start()
    model, feature_extractor = _load_or_make(run.recipe, labels)
    parts = {"training": split.train, "held-out": split.recordings, "held-out sources'": split.sources}
    features = {name: run.features(clips, feature_extractor, f"{name} clips") for name, clips in parts.items()}
    if run.recipe.audio_encoder is None:
        feature_extractor.mean, feature_extractor.std = feature_statistics(features["training"])
    rows = {name: LabelRows(part, model.config.label2id, scale) for name, part in features.items()}
    trainer = AudioEncoderTrainer(
        masking=run.recipe.masking,
        pitch_weight=run.recipe.pitch_weight,
        model=model,
        args=run.args,
        train_dataset=rows["training"],
        eval_dataset=rows["held-out"],
    )
    metrics = run.train(trainer) | {"labels": len(labels), "validation": _measured(trainer, rows["held-out"], scale)}
    if split.sources:
        metrics["held_out_sources"] = _measured(trainer, rows["held-out sources'"], scale)
    if scale is not None:
        trainer.model = model.plain()
    run.save(trainer, [feature_extractor], _card(run.recipe, metrics), metrics)
    return metrics


def _load_or_make(recipe: AudioEncoderRecipe, labels: list[str]):
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: number for number, label in enumerate(labels)}}
    model_class = PitchedAudioClassifier if recipe.pitch_weight > 0 else ASTForAudioClassification
    if recipe.audio_encoder is not None:
        model = load_part(model_class, recipe.audio_encoder, complete=False, ignore_mismatched_sizes=True, **names)
        return model, load_part(AutoFeatureExtractor, recipe.audio_encoder)
    settings = dict(vars(recipe.shape))
    sampling_rate = settings.pop("sampling_rate")
    shape = recipe.shape
    if shape.hidden_size % shape.num_attention_heads or min(shape.max_length, shape.num_mel_bins) < shape.patch_size:
        raise AudioBertInputError(
            "this audio encoder cannot be built: hidden_size must be a multiple of num_attention_heads, max_length "
            "and num_mel_bins at least patch_size. Change the recipe's shape."
        )
    feature_extractor = ASTFeatureExtractor(
        sampling_rate=sampling_rate, num_mel_bins=shape.num_mel_bins, max_length=shape.max_length
    )
    # The default, 0.02, is meant for a width of 768; a small encoder starts all but mute with it and learns slowly.
    config = ASTConfig(initializer_range=shape.hidden_size**-0.5, **settings, **names)
    return model_class(config), feature_extractor


def _measured(
    trainer: AudioEncoderTrainer, rows: LabelRows, scale: PitchScale | None
) -> dict[str, float | int | None]:
    """Return how many held-out clips are given their label, among those whose label has a training clip; and, with a
    scale, how well their pitch is told."""
    known = [label != _IGNORED for label in rows.labels]
    result: dict[str, float | int | None] = {"clips_of_known_labels": sum(known)}
    readings = [torch.as_tensor(part) for part in trainer.predict(rows).predictions] if len(rows) else []
    labels = torch.tensor(rows.labels)
    for place, name in enumerate(("class_tokens", "mean")):
        if any(known):
            right = readings[place].argmax(dim=-1) == labels
            result[f"accuracy_by_{name}"] = right[torch.tensor(known)].double().mean().item()
        else:
            result[f"accuracy_by_{name}"] = None
    if scale is not None:
        guesses = readings[2] if readings else torch.empty(0)
        result |= pitch_measures(guesses, rows.pitches, scale)
    return result


def _card(recipe: AudioEncoderRecipe, metrics: dict[str, Any]) -> CardFacts:
    pitches = " and pitches" if recipe.pitch_weight > 0 else ""
    return CardFacts(
        title="Audio encoder",
        summary=(
            f"An audio spectrogram transformer, trained to tell the labels{pitches} of sound clips apart. AudioBERT "
            "injects the mean over its last hidden states (arXiv 2409.08199, section II-B3)."
        ),
        limits=(
            "It knows the labels it was trained on, from few clips each, and was measured on clips of the same "
            "labels. It takes mono sound at its own sampling rate, and of a long clip only the beginning."
        ),
        recipe=recipe,
        facts={
            "base checkpoint": recipe.audio_encoder or "none, trained from random weights",
            "labels": metrics["labels"],
        },
        metrics=held_out_facts(metrics),
        metadata={"pipeline_tag": "audio-classification"},
    )
