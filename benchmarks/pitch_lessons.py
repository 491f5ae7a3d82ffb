"""Write further training rows, as a Parquet file: pairs of sounds whose answer is what the bank's clips measure.

The published pitch comparisons were measured on other recordings than a bank holds. So what a bank's clips sound like
agrees with the answer in little more than half of the training rows, too little to learn from that pitch is heard. The
lessons are sentences of the training rows in which other things of the training rows are compared, those that name a
label of the bank; their answer is the order of the measured pitch of the clips that the model will retrieve for them.
None has a sentence that is evaluated.

Example:
    python benchmarks/pitch_lessons.py auditorybench bank clap clips/manifest.csv --num-clips 5 \
        --min-similarity 0.85 --rows 6000 --out lessons.parquet
    audiobert train audiobert --config cpu_hearing data_dir=auditorybench lessons=lessons.parquet
"""

import argparse
import math
import random
import sys
from pathlib import Path

import torch
from bank_reach import found_clips, named_label, words
from datasets import Dataset

from audiobert import AudioBank
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.features import FEATURES
from audiobert.dataset_scripts.auditorybench.loading import load_both_tasks
from audiobert.dataset_scripts.auditorybench.overlap import without_shared_sentences
from audiobert.dataset_scripts.auditorybench.rows import PITCH_CHOICES, make_row
from audiobert.dataset_scripts.auditorybench.sources import PITCH
from audiobert.modeling_audiobert.atomic_files import staged_file
from audiobert.trainers.clip_sources import read_clips


LEAST_OCTAVES = 0.15


def comparisons(data_dir: Path) -> list[dict]:
    """Return the rows of the clean train split whose two spans are in their sentence, and do not overlap."""
    rows = load_auditorybench(PITCH, "train", data_dir, clean_train=True)
    return [row for row in rows if len(row["spans"]) == 2 and _apart(*row["spans"])]


def _apart(first: dict, second: dict) -> bool:
    first, second = sorted((first, second), key=lambda span: span["start"])
    return first["start"] >= 0 and first["end"] <= second["start"]


def known_spans(rows: list[dict], labels: dict[tuple[str, ...], str]) -> list[str]:
    """Return the span texts that name a label of the bank, lower case, each once."""
    texts = sorted({span["text"].lower() for row in rows for span in row["spans"]})
    return [text for text in texts if named_label(text, labels) is not None]


def retrieved_pitches(
    texts: list[str], bank: AudioBank, clap: str, clips: list, num_clips: int, min_similarity: float
) -> list[float]:
    """Return for each span text the mean log2 Hz of the clips that are retrieved for it; NaN where none is known."""
    known = {clip.id: clip.average_pitch_hz for clip in clips}
    hertz = torch.tensor([known.get(name) or math.nan for name in bank.descriptions.select(["id"])["id"].to_pylist()])
    found = found_clips(texts, bank, clap, num_clips, min_similarity)
    heard = hertz[found.clamp(min=0)].masked_fill(found < 0, math.nan)
    return heard.log2().nanmean(dim=1).tolist()


def with_spans(row: dict, texts: tuple[str, str]) -> str:
    """Return a row's sentence with other span texts in place of its two."""
    sentence = row["sentence"]
    for span, text in sorted(zip(row["spans"], texts, strict=True), key=lambda pair: -pair[0]["start"]):
        sentence = sentence[: span["start"]] + text + sentence[span["end"] :]
    return sentence


def lessons(rows: list[dict], texts: list[str], pitches: list[float], count: int, draw: random.Random) -> list[dict]:
    """Return rows in the benchmark's schema.

    "sound of a violin" takes the place of another "sound of …" only; articles are not minded.
    """
    pools = {True: [], False: []}
    for text, pitch in zip(texts, pitches, strict=True):
        if not math.isnan(pitch):
            pools[_is_sound_of(text)].append((text, pitch))
    made = []
    for _ in range(100 * count):
        row = draw.choice(rows)
        found = [pools[_is_sound_of(span["text"].lower())] for span in row["spans"]]
        if not all(found):
            continue
        (a, high), (b, low) = map(draw.choice, found)
        if abs(high - low) < LEAST_OCTAVES or a in b or b in a:
            continue
        right = int(high < low)
        made.append(
            make_row(
                id=f"lesson-{len(made):05d}",
                task=PITCH,
                source="lessons",
                sentence=with_spans(row, (a, b)),
                answer=PITCH_CHOICES[right],
                answer_index=right,
                choices=list(PITCH_CHOICES),
                span_texts=[a, b],
            )
        )
        if len(made) == count:
            return made
    sys.exit(f"of {sum(map(len, pools.values()))} sounds of known pitch too few lie {LEAST_OCTAVES} octaves apart")


def _is_sound_of(text: str) -> bool:
    return text.startswith(("sound of ", "sounds of "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="AuditoryBench's CSV files")
    parser.add_argument("bank", help="the audio bank that training will hear")
    parser.add_argument("clap", help="the CLAP that the bank was built with")
    parser.add_argument("manifest", help="of the bank's clips, with their average_pitch_hz")
    parser.add_argument("--num-clips", type=int, default=1, help="clips retrieved for a name, as in training")
    parser.add_argument("--min-similarity", type=float, default=-1.0, help="of a clip to be heard, as in training")
    parser.add_argument("--rows", type=int, default=6000, help="lessons")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a Parquet file")
    args = parser.parse_args()
    draw = random.Random(args.seed)
    bank, clips = AudioBank.load(args.bank), list(read_clips(args.manifest).clips)
    published = comparisons(args.data_dir)
    texts = known_spans(published, {words(clip.label): clip.label for clip in clips if clip.label})
    pitches = retrieved_pitches(texts, bank, args.clap, clips, args.num_clips, args.min_similarity)
    rows = lessons(published, texts, pitches, args.rows, draw)
    splits = load_both_tasks(args.data_dir).values()
    evaluated = [row for task in splits for split, held in task.items() if split != "train" for row in held]
    rows = without_shared_sentences(rows, evaluated)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(args.out) as temporary:
        Dataset.from_list(rows, features=FEATURES).to_parquet(temporary)
    sys.stdout.write(f"{len(rows)} lessons about {len(texts)} sounds in {args.out}\n")


if __name__ == "__main__":
    main()
