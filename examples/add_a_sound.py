"""Add a recording to a model's bank, and see the answer change: nothing is trained.

    python examples/add_a_sound.py MODEL CLAP SOUND CAPTION "Whistle is the sound a [MASK] makes." [OUT]

CLAP is the one that the model's bank was built with: it makes the new clip's key.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from audiobert import AudioBank, AudioBertForMaskedLM
from audiobert.trainers.bank_building import add_clips
from audiobert.trainers.bank_encoding import BankEncoders, BankOptions
from audiobert.trainers.clap_loading import load_clap
from audiobert.trainers.prediction import fill_masks


def main(model_folder: str, clap: str, sound: str, caption: str, sentence: str, out: str = "model-with-sound") -> None:
    model = AudioBertForMaskedLM.from_pretrained(model_folder).eval()
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "new"
        new.mkdir()
        shutil.copyfile(sound, new / Path(sound).name)
        clip = {"id": Path(sound).stem, "path": Path(sound).name, "caption": caption}
        (new / "manifest.jsonl").write_text(json.dumps(clip) + "\n", encoding="utf-8")
        bank = Path(folder) / "bank"
        model.bank.save(bank)
        add_clips(bank, new, encoders_of(model, clap), BankOptions(embed_audio=True, strict=True))
        model.bank = AudioBank.load(bank)
        model.save_pretrained(out)
    for name, folder in (("before", model_folder), ("after", out)):
        (answer,) = fill_masks(folder, [sentence], top_k=3)
        heard = [clip["caption"] for span in answer["spans"] for clip in span["clips"]]
        print(f"{name}: heard {heard}, answers {[word['token_str'] for word in answer['predictions'][0]]}")


def encoders_of(model: AudioBertForMaskedLM, clap: str) -> BankEncoders:
    """The model's own audio encoder, for the value, beside the CLAP that makes the key."""
    return BankEncoders(
        *load_clap(clap), model.audio_encoder, model.retriever.feature_extractor, model.config.audio_pooling
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
