"""`audiobert train`: one subcommand a part."""

import typer

from .train_audio_encoder import train_audio_encoder
from .train_audiobert import train_audiobert
from .train_clap import train_clap
from .train_detector import train_detector
from .train_lm_adapter import train_lm_adapter


train = typer.Typer(
    help="Train the parts of an AudioBERT. Interrupted training goes on when the same command is given again.",
    no_args_is_help=True,
)
train.command("detector")(train_detector)
train.command("clap")(train_clap)
train.command("audio-encoder")(train_audio_encoder)
train.command("audiobert")(train_audiobert)
train.command("lm-adapter")(train_lm_adapter)
