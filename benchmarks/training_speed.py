"""Training on the pitch task: AudioBERT's collator and model beside the released procedure."""

import random
import tempfile
import time
from pathlib import Path
from statistics import mean, median

import torch
from random_models import RandomModels, sentences
from released_procedure import ReleasedProcedure
from timing import Settings, interleaved
from transformers import AutoTokenizer

from audiobert.trainers.audio_features import AudioFeatureCache
from audiobert.trainers.clip_sources import Clip
from audiobert.trainers.collation import AudioBertCollator, EncodedRow


__all__ = ["encoder_training", "frozen_pass", "repeated_clips"]

WORDS = 20  # a sentence of the pitch train split has 18.2, punctuation apart
PUBLISHED_ROWS = 8312
TRAINED_BANK = 64  # clips: as many as a batch has spans


def frozen_pass(settings: Settings) -> dict:
    """Measure training steps with a frozen audio encoder, for as many rows as the released procedure can do soon."""
    made = RandomModels(settings.size, settings.cache)
    model = made.model("separate", settings.banks[0]).train()
    released = ReleasedProcedure(model, model.bank.keys.numpy(), made.sounds())
    model.audio_encoder.requires_grad_(False)
    rows = encoded_rows(made, 8 if settings.size == "full" else 32, 2)
    collator = AudioBertCollator(model.retriever.tokenizer)
    loss = {
        "AudioBERT": lambda: model(**collator(rows), asked_logits_only=True).loss,
        "released procedure": lambda: released.training_loss(collator(rows), encoder_trained=False),
    }
    difference = _difference_of_losses(loss, model)
    times = interleaved(_steps(loss, model), min(settings.rounds, 3), "released procedure")
    encode = interleaved({"a clip": lambda: _encode_once(released)}, min(settings.rounds, 4), "a clip")["a clip"]
    step = {name: entry["median_ms"] / len(rows) for name, entry in times.items()}
    once = encode["median_ms"] * len(made.sounds())
    return {
        "rows_a_step": len(rows),
        "clips_a_row": 2,
        "steps": times,
        "difference_of_losses": difference,
        "speedup": round(step["released procedure"] / step["AudioBERT"], 1),
        "encoding_a_clip_ms": encode["median_ms"],
        # Values are computed once, when the bank is built; counted as if it were done for this one pass alone.
        "speedup_with_encoding_3227_clips": _with_encoding(step, encode["median_ms"], 3227),
        "speedup_over_20_epochs_with_it": _with_encoding(step, encode["median_ms"], 3227, epochs=20),
        "encoding_all_sounds_ms": round(once, 1),
    }


def encoder_training(settings: Settings) -> dict:
    """Measure a training step in which the audio encoder is trained: batch 32, clips repeated as in real batches."""
    made = RandomModels(settings.size, settings.cache)
    model = made.model("separate", TRAINED_BANK).train()
    full = settings.size == "full"
    repeated = repeated_clips(settings)
    count, uses = (2, 4) if full else (32, 64)
    found = {"rows": count, "clip_uses": uses, "repetition": repeated, "by_distinct_clips": {}}
    with tempfile.TemporaryDirectory() as folder:
        released = ReleasedProcedure(model, model.bank.keys.numpy(), _files(made))
        clips = [Clip(str(number), str(file.name)) for number, file in enumerate(released.files)]
        cache = AudioFeatureCache(folder, clips, model.retriever.feature_extractor, made.sounds()[0].parent).prepare()
        collator = AudioBertCollator(model.retriever.tokenizer, cache)
        plain = AudioBertCollator(model.retriever.tokenizer)
        for distinct in (4, 2) if full else (64, round(repeated["distinct_in_64"]), 16):
            rows = encoded_rows(made, count, 2, distinct)
            loss = {
                "AudioBERT": lambda rows=rows: model(**collator(rows), asked_logits_only=True).loss,
                "released procedure": lambda rows=rows: released.training_loss(plain(rows), encoder_trained=True),
            }
            entry = found["by_distinct_clips"][distinct] = {"difference_of_losses": _difference_of_losses(loss, model)}
            rounds = min(settings.rounds, 2 if full else 3)
            entry["steps"] = interleaved(_steps(loss, model), rounds, "released procedure")
            entry["speedup"] = round(1 / entry["steps"]["AudioBERT"]["ratio"], 2)
            entry["waiting_for_data"] = _waiting(collator, rows, model, rounds - 1)
    return found | ({"composed_batch_of_32": _composed(found)} if full else {})


def repeated_clips(settings: Settings) -> dict:
    """Return how many different clips the 64 spans of a batch of 32 pitch rows find, on average."""
    if settings.trained is None or settings.data_dir is None:
        return {"distinct_in_64": 57, "source": "measured once, see docs/speed.md"}
    from audiobert import AudioBertForMaskedLM
    from audiobert.dataset_scripts.auditorybench import load_auditorybench
    from audiobert.trainers.collation import encode_rows, retrieve_clips

    model = AudioBertForMaskedLM.from_pretrained(settings.trained)
    rows = load_auditorybench("sound_pitch_comparison", "train", settings.data_dir).to_list()
    rows = retrieve_clips(model, encode_rows(random.Random(0).sample(rows, 1600), model.retriever.tokenizer, 128, 8))
    batches = [rows[start : start + 32] for start in range(0, len(rows) - 31, 32)]
    clips = [[span[0] for row in batch for span in row.clip_ids if span[0] >= 0] for batch in batches]
    return {
        "distinct_in_64": round(64 * mean(len(set(batch)) / len(batch) for batch in clips), 1),
        "source": f"{len(clips)} batches of the pitch train split, by {Path(settings.trained).name}",
    }


def encoded_rows(made: RandomModels, count: int, spans: int, distinct: int | None = None) -> list[EncodedRow]:
    """Return rows as the collator takes them; their spans hear `distinct` clips in turn, or each one of its own."""
    tokenizer = AutoTokenizer.from_pretrained(made.part("language_model"))
    rows = []
    for number, text in enumerate(sentences(count, WORDS, spans)):
        input_ids = tokenizer(text)["input_ids"]
        labels = [7 if token == tokenizer.mask_token_id else -100 for token in input_ids]
        clips = [[(number * spans + place) % (distinct or count * spans)] for place in range(spans)]
        positions = [(1 + 2 * place, 2 + 2 * place) for place in range(spans)]
        rows.append(EncodedRow(input_ids, labels, positions, clips, [[0.5]] * spans))
    return rows


def _files(made: RandomModels) -> list[Path]:
    sounds = made.sounds()
    return [sounds[number % len(sounds)] for number in range(TRAINED_BANK)]


def _steps(loss: dict, model) -> dict:
    trained = [weight for weight in model.parameters() if weight.requires_grad]

    def step(compute):
        optimizer = torch.optim.AdamW(trained, lr=0.0)
        compute().backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return {name: lambda compute=compute: step(compute) for name, compute in loss.items()}


def _difference_of_losses(loss: dict, model) -> float:
    model.eval()  # without dropout, which draws anew
    with torch.no_grad():
        first, second = (compute().item() for compute in loss.values())
    model.train()
    return abs(first - second)


@torch.no_grad()
def _encode_once(released: ReleasedProcedure) -> torch.Tensor:
    return released.encode(released.features(0)[None])


def _with_encoding(step: dict[str, float], clip_ms: float, clips: int, epochs: int = 1) -> float:
    ours = step["AudioBERT"] * PUBLISHED_ROWS * epochs + clip_ms * clips
    return round(step["released procedure"] * PUBLISHED_ROWS * epochs / ours, 1)


def _waiting(collator: AudioBertCollator, rows: list[EncodedRow], model, rounds: int) -> float:
    """Return the share of a step spent on making its batch, without a worker that makes it beforehand."""
    making, all_of_it = [], []
    step = _steps({"step": lambda: model(**batch, asked_logits_only=True).loss}, model)["step"]
    for _ in range(max(1, rounds)):
        started = time.perf_counter()
        batch = collator(rows)
        making.append(time.perf_counter() - started)
        step()
        all_of_it.append(time.perf_counter() - started)
    return round(median(making) / median(all_of_it), 4)


def _composed(found: dict) -> dict:
    """Return what steps of 32 rows take by those of 2: memory allows no more at this size on 8 GiB.

    A step of 4 clips less one of 2, on the same rows, is two clips' forward and backward pass; what remains is the
    language model's and the optimizer's.
    """
    four, two = (found["by_distinct_clips"][number]["steps"] for number in (4, 2))
    ours = four["AudioBERT"]["median_ms"], two["AudioBERT"]["median_ms"]
    clip = (ours[0] - ours[1]) / 2
    rest = max(0.0, ours[1] - 2 * clip)
    decoding = max(0.0, (four["released procedure"]["median_ms"] - ours[0]) / 4)
    distinct = found["repetition"]["distinct_in_64"]
    theirs, made = 64 * (clip + decoding) + 16 * rest, distinct * clip + 16 * rest
    return {
        "a_clip_ms": round(clip, 1),
        "decoding_a_clip_ms": round(decoding, 1),
        "the_rest_of_2_rows_ms": round(rest, 1),
        "AudioBERT_ms": round(made),
        "released_procedure_ms": round(theirs),
        "speedup": round(theirs / made, 2),
    }
