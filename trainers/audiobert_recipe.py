"""The recipe of an AudioBERT."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .language_model_settings import LanguageModelSettings
from .learning_rates import LearningRates


__all__ = ["AdapterSettings", "AudioBertRecipe"]


@dataclass
class AdapterSettings:
    """The adapter's shape; see [`AudioBertConfig`].

    Args:
        r (`int`): rank.
        alpha (`int`): scale.
        dropout (`float`): before the adapter.
    """

    r: int = 64
    alpha: int = 128
    dropout: float = 0.0


@dataclass
class AudioBertRecipe:
    """How an AudioBERT is assembled and trained. The defaults are the paper's.

    Args:
        data_dir (`Path`): the folder with AuditoryBench's CSV files.
        audio_dir (`Path`): the folder that the bank's clip paths are relative to; not needed with a frozen encoder.
        language_model, span_detector, clap, audio_encoder (`str`): checkpoints, each a folder or Hub id. The span
            detector is one of either kind: a token classifier, or a trunk detector of this language model.
        bank (`str`): the audio bank, a folder or Hub id.
        task (`str`): `animal_sound_recognition`, `sound_pitch_comparison` or `combined`.
        clean_train (`bool`): leave out the training rows whose sentence is in another split as well.
        output_dir (`Path`): where the model is saved; with several seeds, each in `seed-<n>` below it.
        seeds (`list[int]`): one run each.
        adapter (`AdapterSettings`): the adapter's shape.
        model (`dict`): further settings of `AudioBertConfig`: `injection`, `num_clips`, `min_similarity` …
        hearing (`str`): `"on"`, or `"text_only"` for the ablation that hears nothing: the same adapter, trained on the
            same rows by text alone, and merged into the language model. It needs no detector, CLAP, encoder or bank.
        train_audio_encoder (`bool`): as in the paper; if not, the bank's values are injected as they are.
        feature_cache (`Path`, *optional*): where the clips' features are kept; by default in `output_dir`'s parent.
        max_length (`int`): the longest row, in tokens.
        max_train_rows (`int`, *optional*): train on that many of the benchmark's rows only, drawn by the seed; by
            default on all.
        lessons (`Path`, *optional*): a Parquet file with further training rows, in the schema of the benchmark's: rows
            whose answer is what the bank's clips sound like, whatever the words make likely.
        counterfactuals (`int`): for each training row, so many further ones of the same words that hear something else
            and are asked for what is then right; see `with_counterfactuals`. Not with `hearing="text_only"`.
        counterfactual_share (`float`): of the training rows that have them, from 0 to 1.
        hidden_names (`float`): of the training rows, from 0 to 1, those whose spans are hidden by mask tokens, so that
            only what is heard tells the answer; see `with_hidden_names`. Not with `hearing="text_only"`. Where there
            are lessons, these alone have counterfactuals and hidden names.
        clip_choices (`int`, *optional*): in training, each row hears some of so many best clips for a span, drawn by
            the seed, as many as the model hears; by default the best.
        card (`dict`): fields of the model card's header: `license`, `widget`, `co2_eq_emissions` …
        language_model_settings (`LanguageModelSettings`): `dropout` and `attention` of the language model in training.
        learning_rates (`LearningRates`): of `adapter`, `projection` and `audio_encoder`, where they differ from
            `training.learning_rate`.
        training (`dict`): settings of `transformers.TrainingArguments`, merged into the defaults.
        trainer (`str`): `"standard"`, or `"gaudi"` for optimum-habana's on Intel Gaudi (`pip install
            "audiobert[gaudi]"`).
        gaudi (`dict`): with that trainer, what its `GaudiTrainingArguments` has beyond `training`; see
            `gaudi_arguments`.
    """

    kind: ClassVar[str] = "audiobert"

    data_dir: Path | None = None
    audio_dir: Path | None = None
    language_model: str = "google-bert/bert-base-uncased"
    span_detector: str | None = None
    clap: str = "laion/clap-htsat-fused"
    audio_encoder: str = "MIT/ast-finetuned-audioset-10-10-0.4593"
    bank: str | None = None
    task: str = "combined"
    clean_train: bool = False
    output_dir: Path = Path("runs/audiobert")
    seeds: list[int] = field(default_factory=lambda: [0])
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    model: dict[str, Any] = field(default_factory=dict)
    hearing: str = "on"
    train_audio_encoder: bool = True
    feature_cache: Path | None = None
    max_length: int = 128
    max_train_rows: int | None = None
    lessons: Path | None = None
    counterfactuals: int = 0
    counterfactual_share: float = 1.0
    hidden_names: float = 0.0
    clip_choices: int | None = None
    card: dict[str, Any] = field(default_factory=dict)
    language_model_settings: LanguageModelSettings = field(default_factory=LanguageModelSettings)
    learning_rates: LearningRates = field(default_factory=LearningRates)
    trainer: str = "standard"
    gaudi: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 20.0,
            "per_device_train_batch_size": 32,
            "learning_rate": 3e-4,
        }
    )
