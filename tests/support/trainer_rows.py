"""Rows and features for an AudioBERT's Trainer, without files, and one training with them."""

from collections.abc import Sequence

import torch
from transformers import TrainingArguments

from audiobert.trainers.collation import EncodedRow, encode_rows


# "ding" is no word of the tiny vocabulary's, so the longer answers have several word pieces.
MEOW = {"text": "meow", "start": 0, "end": 4}
ANSWERS = ("cat", "dog", "bird", "loud cat", "cow", "cat dog", "bee", "snake")


def rows_with_clips(model, answers: Sequence[str] = ANSWERS) -> list[EncodedRow]:
    """One row an answer; its span is heard as one of the bank's first three clips."""
    sentence = "meow is the sound a [MASK] makes."
    rows = [
        {"id": answer, "task": "animal_sound_recognition", "sentence": sentence, "answer": answer, "spans": [MEOW]}
        for answer in answers
    ]
    encoded = encode_rows(rows, model.retriever.tokenizer, max_length=64, max_spans=2)
    for index, row in enumerate(encoded):
        row.clip_ids, row.similarities = [[index % 3]], [[0.5]]
    return encoded


def random_features(model) -> list[torch.Tensor]:
    """Features of the bank's clips, in its order."""
    config = model.config.audio_config
    generator = torch.Generator().manual_seed(5)
    shape = (len(model.bank), config.max_length, config.num_mel_bins)
    return list(torch.randn(shape, generator=generator))


def arguments(folder, arguments_class=TrainingArguments, **settings):
    """Arguments of a training that draws nothing and logs each step."""
    # Not Adam, which would hide a gradient that is twice as large as it should be.
    given = {"optim": "sgd", "learning_rate": 0.05, "max_grad_norm": 1e6, "lr_scheduler_type": "constant"}
    given |= {"report_to": "none", "save_strategy": "no", "logging_steps": 1, "use_cpu": True, "disable_tqdm": True}
    given |= {"dataloader_pin_memory": False, "remove_unused_columns": False, **settings}
    return arguments_class(output_dir=str(folder), **given)


def losses(trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def trained_weights(model) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
