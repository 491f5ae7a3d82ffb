"""The recipe of a span detector."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .detector_rows import OrdinaryTextSettings


__all__ = ["DetectorRecipe", "ProbeSettings"]


@dataclass
class ProbeSettings:
    """The shape of a trunk detector; see [`TrunkDetectorConfig`].

    Args:
        layer (`int`, *optional*): of the language model, behind which it reads; by default the middle one.
        width (`int`): of its hidden layer.
        window (`int`): tokens that its first layer looks at.
        attention_layers (`int`), num_attention_heads (`int`): self-attention over the whole sentence behind it.
        dropout (`float`): in training.
        num_probes (`int`): so many of this shape are trained side by side, and their mean probability counts.
    """

    layer: int | None = None
    width: int = 256
    window: int = 1
    attention_layers: int = 0
    num_attention_heads: int = 4
    dropout: float = 0.1
    num_probes: int = 1


@dataclass
class DetectorRecipe:
    """How a span detector is trained. The defaults are the paper's.

    Args:
        data_dir (`Path`, *optional*): the folder with AuditoryBench's CSV files; downloaded by default.
        language_model (`str`): the checkpoint to start from, a folder or Hub id: a masked language model or encoder;
            for a trunk detector the masked language model that it is for, which stays as it is.
        detector (`str`): `separate`, a token classifier of its own (section II-B1), or `trunk`, a probe on hidden
            states of the language model (ours).
        probe (`ProbeSettings`): the shape of a trunk detector.
        task (`str`): what is trained on: `animal_sound_recognition`, `sound_pitch_comparison` or `combined`. It is
            always measured on all three.
        clean_train (`bool`): leave out the training rows whose sentence is in another split as well.
        ordinary_text (`OrdinaryTextSettings`): for false alarms, and for the threshold.
        varied_rows (`int`): train on that many rows more, sounds of the training rows in sentences unlike the
            benchmark's; see `varied_rows`. Ordinary lines that name one of these sounds are then left out.
        open_ended_share (`float`): of the training rows that lose the full stop at their end, from 0 to 1; see
            `without_full_stops`.
        output_dir (`Path`): where the detector is saved; with several seeds, each in `seed-<n>` below it.
        seeds (`list[int]`): one run each; a run that has ended is not repeated.
        combine (`bool`): with several seeds of a trunk detector, also save one detector that has the probes of all, in
            `combined` below `output_dir`; on AuditoryBench it finds more than any of them. Each further probe takes as
            long as the first.
        max_length (`int`): tokens of a sentence that are read; longer ones are cut.
        max_train_rows (`int`, *optional*): train on that many rows only, drawn by the seed; all rows by default.
        training (`dict`): settings of `transformers.TrainingArguments`, merged into the defaults.
    """

    kind: ClassVar[str] = "detector"

    data_dir: Path | None = None
    language_model: str = "google-bert/bert-base-uncased"
    detector: str = "separate"
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    task: str = "combined"
    clean_train: bool = False
    ordinary_text: OrdinaryTextSettings = field(default_factory=OrdinaryTextSettings)
    varied_rows: int = 0
    open_ended_share: float = 0.0
    output_dir: Path = Path("runs/detector")
    seeds: list[int] = field(default_factory=lambda: [0])
    combine: bool = False
    max_length: int = 128
    max_train_rows: int | None = None
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 5.0,
            "per_device_train_batch_size": 16,
            "learning_rate": 1e-5,
        }
    )
