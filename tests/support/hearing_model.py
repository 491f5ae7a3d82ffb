"""A tiny AudioBERT whose detector has learnt the calls of animals, with a bank that holds its sounds."""

from pathlib import Path

import pyarrow as pa
import torch
from tiny_bank import clip_table, random_bank, write_sounds
from tiny_models import save_language_model, save_span_detector, tiny_tokenizer
from transformers import AutoModelForTokenClassification

from audiobert import AudioBank, AudioBertForMaskedLM


CALLS = ("meow", "woof", "moo", "hiss", "buzz", "chirp")
HEARD = "meow is the sound a [MASK] makes."
PATTERNS = (HEARD, "a [MASK] makes a meow sound.", "when you hear a meow, it is a loud [MASK].")
UNHEARD = ("i like tea with a [MASK]", "it is a quiet [MASK], no ordinary animal.", "the cat has a [MASK]")
TWO_SPANS = "the sound of a meow, and a loud buzz: a [MASK] and a [MASK]."


def save_taught_detector(folder: Path) -> Path:
    """Save a span detector that finds exactly the calls: some seconds' worth of a real training, in one."""
    save_span_detector(folder)
    detector = AutoModelForTokenClassification.from_pretrained(folder).train()
    tokenizer = tiny_tokenizer()
    texts = [pattern.replace("meow", call) for pattern in PATTERNS for call in CALLS] + [*UNHEARD, TWO_SPANS]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    calls = torch.tensor(tokenizer.convert_tokens_to_ids(list(CALLS)))
    labels = torch.isin(batch["input_ids"], calls).long()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        detector(**batch, labels=labels).loss.backward()
        optimizer.step()
    detector.eval().save_pretrained(folder)
    return folder


def save_hearing_model(parts, folder: Path, embed_audio: bool = True, count: int = 6, **settings) -> Path:
    """Save the model in `folder/model`, the sounds of its bank in `folder/clips`; return the model's folder."""
    torch.manual_seed(7)
    # One of large weights, or what it hears would change its answers in the fourth decimal only.
    language_model = save_language_model(folder / "language_model", initializer_range=0.4)
    model = AudioBertForMaskedLM.from_parts(
        language_model, save_taught_detector(folder / "detector"), parts.clap, parts.audio_encoder,
        **{"lora_r": 4, "lora_alpha": 8, **settings},
    )  # fmt: skip
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.2)  # a fresh adapter changes nothing
    clips = clip_table(count)
    sounds = write_sounds(folder / "clips", count)
    if embed_audio:
        content = [(sounds / path).read_bytes() for path in clips["path"].to_pylist()]
        clips = clips.set_column(clips.column_names.index("audio"), "audio", pa.array(content, pa.binary()))
    bank = random_bank(model, count)
    # Values that the choice of a clip makes a difference with.
    model.bank = AudioBank(clips, bank.keys, 3 * bank.values, bank.key_fingerprint, bank.value_fingerprint)
    model.save_pretrained(folder / "model")
    return folder / "model"
