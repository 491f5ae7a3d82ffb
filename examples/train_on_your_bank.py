"""Build a bank of your own clips, and train an AudioBERT that hears them.

    python examples/train_on_your_bank.py CLIPS AUDITORYBENCH LANGUAGE_MODEL SPAN_DETECTOR CLAP AUDIO_ENCODER OUT

CLIPS is a folder with a manifest.csv (id, path, caption). Further words are settings of the recipe, such as
training.num_train_epochs=5. The encoder stays as it is here, so that the bank's values need no refreshing.
"""

import sys
from pathlib import Path

from audiobert.trainers.audiobert_training import AudioBertRecipe, train_audiobert
from audiobert.trainers.bank_building import build_bank
from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
from audiobert.trainers.prediction import fill_masks
from audiobert.trainers.recipe import load_recipe


def main(*arguments: str) -> None:
    clips, data_dir, language_model, span_detector, clap, audio_encoder, out, *settings = arguments
    bank = Path(out) / "bank"
    build_bank(clips, load_bank_encoders(clap, audio_encoder), bank, BankOptions(embed_audio=True))
    parts = {
        "data_dir": data_dir,
        "language_model": language_model,
        "span_detector": span_detector,
        "clap": clap,
        "audio_encoder": audio_encoder,
        "bank": bank,
        "output_dir": Path(out) / "audiobert",
        "train_audio_encoder": "false",
    }
    overrides = [*(f"{name}={value}" for name, value in parts.items()), *settings]
    train_audiobert(load_recipe(AudioBertRecipe, "cpu_small", overrides))
    for answer in fill_masks(parts["output_dir"], ["Meow is the sound a [MASK] makes."]):
        print([word["token_str"] for word in answer["predictions"][0]])


if __name__ == "__main__":
    main(*sys.argv[1:])
