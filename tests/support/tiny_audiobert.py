"""A tiny AudioBERT with a random bank, and sentences for it."""

import torch
from tiny_bank import random_bank
from transformers import AutoTokenizer

from audiobert import AudioBertForMaskedLM


SENTENCES = [
    "meow is the sound a [MASK] makes.",
    "i like tea with a [MASK]",
    "a [MASK] makes the sound of a loud buzz, when you hear it.",
]
# "meow" in the first row, "buzz" and "loud" in the last; none in the second.
SPANS = torch.tensor([[[1, 2], [-1, -1]], [[-1, -1], [-1, -1]], [[8, 9], [9, 10]]])
NO_SPANS = torch.full((3, 1, 2), -1)


def assemble(parts, language_model="bert", seed=7, **settings) -> AudioBertForMaskedLM:
    folder = parts.language_models.get(language_model, language_model)
    torch.manual_seed(seed)
    model = AudioBertForMaskedLM.from_parts(
        folder, parts.span_detector, parts.clap, parts.audio_encoder, **{"lora_r": 4, "lora_alpha": 8, **settings}
    )
    # A fresh adapter changes nothing; here it must.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.2)
    model.bank = random_bank(model)
    return model


def batch(parts, language_model="bert", sentences=SENTENCES, **settings):
    tokenizer = AutoTokenizer.from_pretrained(parts.language_models[language_model])
    return tokenizer(sentences, return_tensors="pt", **{"padding": True, **settings})


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):  # of the sdpa layers of transformers 4.55
            module.dropout_prob = 0.0
    return model
