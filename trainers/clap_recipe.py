"""The recipe of CLAP's training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .clap_assembly import ClapAudioTower, ClapWindow
from .clip_training import ClipRecipe


__all__ = ["ClapRecipe"]


@dataclass
class ClapRecipe(ClipRecipe):
    """How a CLAP is trained on captioned clips. The fields of [`ClipRecipe`], and:

    Args:
        clap (`str`, *optional*): a `ClapModel` to go on training, a folder or Hub id. Left out, a new one is made.
        text_model (`str`): the BERT or RoBERTa whose weights a new CLAP's text tower starts with.
        audio_tower (`ClapAudioTower`), window (`ClapWindow`), projection_dim (`int`): the shape of a new CLAP.
        temperature (`float`, *optional*): the paper's tau; by default the CLAP's own, 0.07 for a new one.
        learn_temperature (`bool`): whether tau is trained, one for each direction.
        same_label_negatives (`bool`, *optional*): whether other rows of a batch with the same label or text count as
            wrong answers. The paper's equations count them; right for captions that describe one clip each. By
            default they count only where captions are that varied (see `are_class_like`).
        query_template (`str`, *optional*): makes more texts for each clip, as AudioBERT will ask: from its label, and
            from what is heard by its caption ("mooing" of "a cow mooing"); null for the captions alone.
        text_learning_rate (`float`, *optional*): of the text tower's language model, where it should differ from
            `training.learning_rate`; 0 freezes it.
        locked_text (`bool`): leave the text side as it is, with its projection, and train what meets it: audio tower,
            audio projection and temperatures (arXiv 2111.07991 does so with pictures). Few clips teach a text side to
            tell their own captions apart, and to forget which words mean alike; where a bank's keys are captions, that
            is what counts. Not with `text_learning_rate` above 0.
    """

    kind: ClassVar[str] = "clap"

    output_dir: Path = Path("runs/clap")
    clap: str | None = None
    text_model: str = "google-bert/bert-base-uncased"
    audio_tower: ClapAudioTower = field(default_factory=ClapAudioTower)
    window: ClapWindow = field(default_factory=ClapWindow)
    projection_dim: int = 256
    temperature: float | None = None
    learn_temperature: bool = True
    same_label_negatives: bool | None = None
    query_template: str | None = "{span} sound"
    text_learning_rate: float | None = None
    locked_text: bool = False
    training: dict[str, Any] = field(
        default_factory=lambda: {
            "num_train_epochs": 10.0,
            "per_device_train_batch_size": 64,
            "learning_rate": 5e-4,
            "weight_decay": 0.05,
            "dataloader_drop_last": True,
        }
    )
