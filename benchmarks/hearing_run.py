"""Train AudioBERT, or the same adapter on text alone, by a loop that is lean enough for many runs on one CPU core.

What `audiobert train audiobert` does with a frozen audio encoder, but for speed: the language model's (a BERT's) head
reads the gaps alone, rows of like length make up a batch, everything runs in bfloat16, and no checkpoint is written.
With `--exchange`, that share of the pitch rows hears its two sounds the other way round and is asked for the opposite
(drawn anew each time, where the recipe's `counterfactuals` adds rows). What is saved, `audiobert evaluate` measures.

Example:
    python benchmarks/hearing_run.py auditorybench --language-model lm --out runs/text
    python benchmarks/hearing_run.py lessons --language-model lm --span-detector runs/detector --clap runs/clap \
        --audio-encoder runs/encoder --bank runs/bank --num-clips 5 --exchange 0.5 --out runs/audio
"""

import argparse
import math
import random
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from audiobert import AudioBertForMaskedLM
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.modeling_audiobert.adapter import attention_projections, inject_adapter, is_adapter_weight
from audiobert.modeling_audiobert.injection import Injection, average_clips, injecting
from audiobert.trainers.collation import EncodedRow, encode_rows, retrieve_clips
from audiobert.trainers.lora_trainer import merge_lora


IGNORED = -100
ADAPTER = {"lora_r": 64, "lora_alpha": 128, "lora_dropout": 0.01}
POOL_OF_BATCHES = 20


def batches(rows: list[EncodedRow], size: int, draw: random.Random) -> Iterator[list[EncodedRow]]:
    """Yield batches without end; rows of like length out of a random pool make up one."""
    while True:
        order = draw.sample(rows, len(rows))
        made = []
        for start in range(0, len(order), size * POOL_OF_BATCHES):
            pool = sorted(order[start : start + size * POOL_OF_BATCHES], key=lambda row: len(row.input_ids))
            made += [pool[place : place + size] for place in range(0, len(pool), size)]
        draw.shuffle(made)
        yield from made


def exchanged(row: EncodedRow, share: float, draw: random.Random) -> EncodedRow:
    """Return a comparison with its two sounds, and its answer, the other way round, as often as `share` says."""
    if row.opposite is None or not row.clip_ids or len(row.clip_ids) != 2 or draw.random() >= share:
        return row
    labels = [label if label == IGNORED else row.opposite for label in row.labels]
    return replace(row, labels=labels, clip_ids=row.clip_ids[::-1], similarities=row.similarities[::-1])


def collate(rows: list[EncodedRow]) -> dict[str, torch.Tensor]:
    """Return `input_ids`, `attention_mask` and `labels`, padded on the right."""
    length = max(len(row.input_ids) for row in rows)
    batch = {
        "input_ids": torch.zeros(len(rows), length, dtype=torch.long),
        "attention_mask": torch.zeros(len(rows), length, dtype=torch.long),
        "labels": torch.full((len(rows), length), IGNORED),
    }
    for place, row in enumerate(rows):
        size = len(row.input_ids)
        batch["input_ids"][place, :size] = torch.tensor(row.input_ids)
        batch["attention_mask"][place, :size] = 1
        batch["labels"][place, :size] = torch.tensor(row.labels)
    return batch


def injection_of(model: AudioBertForMaskedLM, rows: list[EncodedRow]) -> Injection | None:
    """Return what enters at the first tokens of the spans that hear something."""
    places, positions, clips, weights = [], [], [], []
    for place, row in enumerate(rows):
        for span, ids, cosines in zip(row.span_positions, row.clip_ids or [], row.similarities or [], strict=True):
            if ids[0] >= 0:
                places.append(place)
                positions.append(span[0])
                clips.append(ids)
                weights.append(cosines)
    if not places:
        return None
    found = torch.tensor(clips)[None]  # (1, num_injections, num_clips)
    values = average_clips(model.bank.values[found.clamp(min=0)], torch.tensor(weights)[None], found >= 0)[0]
    replaces = model.config.injection == "replace"
    return Injection(torch.tensor(places), torch.tensor(positions), model.projection(values), replaces)


def loss_at_gaps(language_model, batch: dict[str, torch.Tensor], heard) -> torch.Tensor:
    """Return the mean loss over the gaps' word pieces, under a context that injects."""
    wanted = batch["labels"] != IGNORED
    with heard, torch.autocast("cpu", torch.bfloat16):
        encoder = language_model.base_model
        hidden = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        logits = language_model.cls(hidden[wanted]).float()
    return torch.nn.functional.cross_entropy(logits, batch["labels"][wanted])


def train(
    args: argparse.Namespace, language_model, rows: list[EncodedRow], model: AudioBertForMaskedLM | None
) -> None:
    """Train adapter and projection in place, with warm-up and a cosine schedule."""
    draw = random.Random(args.seed)
    groups = [{"params": [weight for weight in language_model.parameters() if weight.requires_grad]}]
    if model is not None:
        groups.append({"params": list(model.projection.parameters()), "lr": args.projection_rate})
    optimizer = torch.optim.AdamW(groups, lr=args.rate, weight_decay=0.0)
    warm = 0.1 * args.steps

    def share(step: int) -> float:
        after = max(0.0, step - warm) / (args.steps - warm)
        return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * after)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    language_model.train()
    drawn = batches(rows, args.batch_size, draw)
    for step in range(1, args.steps + 1):
        part = [exchanged(row, args.exchange, draw) for row in next(drawn)]
        injection = None if model is None else injection_of(model, part)
        heard = nullcontext() if injection is None else injecting(model.get_input_embeddings(), injection)
        loss = loss_at_gaps(language_model, collate(part), heard)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([weight for group in groups for weight in group["params"]], 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            sys.stdout.write(f"step {step}: loss {loss.item():.4f}\n")
            sys.stdout.flush()
    language_model.eval()


def run_text_only(args: argparse.Namespace, encoded: list[EncodedRow], tokenizer) -> None:
    """Train the adapter by text alone; save the language model with it merged."""
    language_model = AutoModelForMaskedLM.from_pretrained(args.language_model)
    inject_adapter(
        language_model, SimpleNamespace(**ADAPTER, lora_target_modules=attention_projections(language_model))
    )
    for name, parameter in language_model.named_parameters():
        parameter.requires_grad_(is_adapter_weight(name))
    train(args, language_model, encoded, None)
    plain = AutoModelForMaskedLM.from_pretrained(args.language_model)
    merge_lora(language_model, plain)
    plain.config._name_or_path = ""
    plain.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


def run_audiobert(args: argparse.Namespace, encoded: list[EncodedRow]) -> None:
    """Train adapter and projection with what is retrieved; save the AudioBERT."""
    parts = (args.language_model, args.span_detector, args.clap, args.audio_encoder, args.bank)
    model = AudioBertForMaskedLM.from_parts(*parts, num_clips=args.num_clips, **ADAPTER)
    model.audio_encoder.requires_grad_(False)
    train(args, model.language_model, retrieve_clips(model, encoded), model)
    model.eval().save_pretrained(args.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="AuditoryBench's CSV files, or a folder of pitch_lessons.py")
    parser.add_argument("--language-model", required=True, help="a BERT")
    for part in ("span-detector", "clap", "audio-encoder", "bank"):
        parser.add_argument(f"--{part}", help="left out, the adapter is trained on text alone")
    parser.add_argument("--task", default="combined")
    parser.add_argument("--num-clips", type=int, default=1)
    parser.add_argument("--exchange", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=736)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--projection-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.language_model)
    rows = load_auditorybench(args.task, "train", args.data_dir, clean_train=True).to_list()
    encoded = encode_rows(rows, tokenizer, 128, 8)
    if args.bank is None:
        run_text_only(args, encoded, tokenizer)
    else:
        run_audiobert(args, encoded)


if __name__ == "__main__":
    main()
