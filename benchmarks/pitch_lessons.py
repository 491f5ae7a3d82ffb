"""Write a benchmark folder with further training rows: pairs of sounds whose answer is what the bank's clips measure.

The published pitch comparisons were measured on other recordings than a bank holds. So what a bank's clips sound like
agrees with the answer in little more than half of the training rows, too little to learn from that pitch is heard. The
lessons are sentences about pairs of names out of the training rows; their answer is the order of the measured pitch of
the clips that the model will retrieve for these names.

Example:
    python benchmarks/pitch_lessons.py auditorybench bank clap clips/manifest.csv --num-clips 5 --rows 6000 --out data
    audiobert train audiobert --config cpu_small data_dir=data model.num_clips=5
"""

import argparse
import csv
import math
import random
import shutil
import sys
from pathlib import Path

import torch

from audiobert import AudioBank
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.trainers.bank_search import load_query_encoder
from audiobert.trainers.clip_sources import read_clips


TEMPLATES = (
    "The sound of {a} has a [MASK] pitch than the sound of {b}.",
    "{a} sounds [MASK] than {b}.",
    "Of the two, {a} is [MASK] in pitch than {b}.",
    "Next to {b}, the pitch of {a} is [MASK].",
)
PITCH = "sound_pitch_comparison"
LEAST_OCTAVES = 0.15


def names_of_train_rows(data_dir: Path, count: int, draw: random.Random) -> list[str]:
    """Return what spans of the clean train split name, lower case, each once."""
    rows = load_auditorybench(PITCH, "train", data_dir, clean_train=True)
    spans = [span["text"].lower() for row in rows for span in row["spans"] if span["start"] >= 0]
    names = sorted({span.removeprefix("sound of ") for span in spans})
    return draw.sample(names, min(count, len(names)))


def retrieved_pitches(names: list[str], bank: AudioBank, clap: str, manifest: str, num_clips: int) -> list[float]:
    """Return for each name the mean log2 Hz of the clips that are retrieved for it; NaN where none is known."""
    known = {clip.id: clip.average_pitch_hz for clip in read_clips(manifest).clips}
    hertz = torch.tensor([known.get(name) or math.nan for name in bank.descriptions.select(["id"])["id"].to_pylist()])
    encode = load_query_encoder(bank, bank, clap)
    pitches = []
    for start in range(0, len(names), 256):
        queries = encode([f"{name} sound" for name in names[start : start + 256]])
        pitches += hertz[bank.search(queries, num_clips).clip_ids].log2().nanmean(dim=1).tolist()
    return pitches


def lessons(names: list[str], pitches: list[float], count: int, draw: random.Random) -> list[tuple[str, ...]]:
    """Return rows of the published columns: sentence, answer, span1, span2."""
    measured = [(name, pitch) for name, pitch in zip(names, pitches, strict=True) if not math.isnan(pitch)]
    rows = []
    while len(rows) < count:
        (a, high), (b, low) = draw.sample(measured, 2)
        if abs(high - low) < LEAST_OCTAVES or a in b or b in a:
            continue
        sentence = draw.choice(TEMPLATES).format(a=a, b=b)
        rows.append((sentence, "higher" if high > low else "lower", a, b))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="AuditoryBench's CSV files")
    parser.add_argument("bank", help="the audio bank that training will hear")
    parser.add_argument("clap", help="the CLAP that the bank was built with")
    parser.add_argument("manifest", help="of the bank's clips, with their average_pitch_hz")
    parser.add_argument("--num-clips", type=int, default=1, help="clips retrieved for a name, as in training")
    parser.add_argument("--names", type=int, default=4000, help="different names")
    parser.add_argument("--rows", type=int, default=6000, help="lessons")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    args = parser.parse_args()
    draw = random.Random(args.seed)
    names = names_of_train_rows(args.data_dir, args.names, draw)
    pitches = retrieved_pitches(names, AudioBank.load(args.bank), args.clap, args.manifest, args.num_clips)
    rows = lessons(names, pitches, args.rows, draw)
    for part in ("published", "animal_train"):
        shutil.copytree(args.data_dir / part, args.out / part)
    # The published pitch train split is the first release's too; it is read from either folder.
    train = args.out / "published" / "sound_pitch_comparsion_train.csv"
    with train.open(encoding="utf-8", newline="") as stream:
        columns = next(csv.reader(stream))
    with train.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        for row in rows:
            named = dict(zip(("sentence", "answer", "span1", "span2"), row, strict=True))
            writer.writerow([named[column] for column in columns])
    sys.stdout.write(f"{len(rows)} lessons about {len(names)} names in {train}\n")


if __name__ == "__main__":
    main()
