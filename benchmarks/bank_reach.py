"""What an audio bank could tell of AuditoryBench at best, without any training: coverage, retrieval, pitch look-ups.

For each split: the share of spans that name a label of the bank; how often such a label is among the first clips that
CLAP retrieves; how many pitch rows the measured pitch of the retrieved clips answers, and of all clips of the right
label; and how often a bank label of the retrieved clips is the animal task's answer.

Example:
    python benchmarks/bank_reach.py auditorybench bank clap clips/manifest.csv --out reach.json
"""

import argparse
import json
import math
import re
import statistics
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch

from audiobert import AudioBank
from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, PITCH
from audiobert.trainers.bank_search import load_query_encoder
from audiobert.trainers.clap_evaluation import QUERY_TEMPLATE
from audiobert.trainers.clip_sources import read_clips


DEPTHS = (1, 5, 10)


@dataclass
class Reach:
    """A bank as the look-ups see it: each clip's label and log2 pitch, and what was retrieved for each span."""

    labels: list[str]
    pitches: torch.Tensor
    retrieved: dict[str, list[int]]

    def heard(self, text: str, depth: int) -> float:
        """Return the mean log2 Hz of the first clips retrieved for a span; NaN where none is known."""
        return self.pitches[self.retrieved[text][:depth]].nanmean().item()


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, lower case, a plural's ending left out."""
    found = re.findall(r"[a-z]+", text.lower())
    return tuple(word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] != "s" else word for word in found)


def named_label(text: str, labels: dict[tuple[str, ...], str]) -> str | None:
    """Return the longest bank label that a span names, the last of several; None if it names none."""
    spoken, best = words(text), None
    for name, label in labels.items():
        for place in range(len(spoken) - len(name) + 1):
            if spoken[place : place + len(name)] == name and (best is None or (len(name), place) > best[0]):
                best = ((len(name), place), label)
    return best and best[1]


def share(right: list[bool]) -> float | None:
    """Return the share of what is true, None of nothing."""
    return sum(right) / len(right) if right else None


def pitch_lookups(rows: list[dict], reach: Reach, by_name: dict[tuple[str, ...], str]) -> dict:
    """Return the share of comparisons that measured pitches answer; a tie or an unknown pitch counts half."""
    of_label = defaultdict(list)
    for label, pitch in zip(reach.labels, reach.pitches.tolist(), strict=True):
        if not math.isnan(pitch):
            of_label[label].append(pitch)
    points, labelled = dict.fromkeys(DEPTHS, 0.0), []
    for row in rows:
        texts = [span["text"].lower() for span in row["spans"]]
        for depth in DEPTHS:
            gap = reach.heard(texts[0], depth) - reach.heard(texts[1], depth)
            points[depth] += 0.5 if math.isnan(gap) or gap == 0 else (gap > 0) == (row["answer"] == "higher")
        first, second = (named_label(text, by_name) for text in texts)
        if first in of_label and second in of_label and first != second:
            higher = statistics.fmean(of_label[first]) > statistics.fmean(of_label[second])
            labelled.append(higher == (row["answer"] == "higher"))
    found = {f"retrieved_{depth}": value / len(rows) for depth, value in points.items()}
    return {"rows": len(rows), **found, "right_label": share(labelled), "right_label_rows": len(labelled)}


def animal_lookups(rows: list[dict], reach: Reach) -> dict:
    """Return how often the answer is a label of the bank, and the commonest label of the retrieved clips."""
    known, asked = set(reach.labels), [row for row in rows if row["spans"] and row["spans"][0]["start"] >= 0]
    result = {"rows": len(rows), "answer_is_a_label": share([row["answer"].lower() in known for row in rows])}
    for depth in DEPTHS:
        right = []
        for row in asked:
            found = [reach.labels[clip] for clip in reach.retrieved[row["spans"][0]["text"].lower()][:depth]]
            right.append(Counter(found).most_common(1)[0][0] == row["answer"].lower())
        result[f"retrieved_{depth}"] = share(right)
    return result


def coverage(rows: list[dict], reach: Reach, by_name: dict[tuple[str, ...], str]) -> dict:
    """Return how many spans name a label of the bank, and how often it is retrieved for them."""
    texts = [span["text"].lower() for row in rows for span in row["spans"] if span["start"] >= 0]
    labels = [named_label(text, by_name) for text in texts]
    result = {"spans": len(texts), "name_a_label": share([label is not None for label in labels])}
    for depth in DEPTHS:
        found = [
            label in {reach.labels[clip] for clip in reach.retrieved[text][:depth]}
            for text, label in zip(texts, labels, strict=True)
            if label is not None
        ]
        result[f"label_retrieved_{depth}"] = share(found)
    return result


def spread_of_names(rows: list[dict], least: int = 30) -> dict:
    """Return how far the published pitches of one name lie apart, beside those of all names, in semitones."""
    of_name = defaultdict(list)
    for row in rows:
        for span, hertz in zip(row["spans"], row["average_pitch_hz"] or [], strict=False):
            if hertz:
                of_name[words(span["text"].lower().removeprefix("sound of "))].append(12 * math.log2(hertz))
    frequent = [statistics.pstdev(values) for values in of_name.values() if len(values) >= least]
    pooled = [value for values in of_name.values() for value in values]
    return {"names": len(frequent), "of_one_name": statistics.fmean(frequent), "of_all": statistics.pstdev(pooled)}


def found_clips(
    texts: list[str], bank: AudioBank, clap: str, count: int, min_similarity: float = -1.0
) -> torch.LongTensor:
    """Return the clips that are retrieved for each name, of shape `(num_texts, count)`, -1 for none."""
    encode, found = load_query_encoder(bank, bank, clap), []
    for start in range(0, len(texts), 256):
        queries = encode([QUERY_TEMPLATE.format(span=text) for text in texts[start : start + 256]])
        found.append(bank.search(queries, count, min_similarity).clip_ids)
    return torch.cat(found) if found else torch.empty(0, count, dtype=torch.long)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="AuditoryBench's CSV files")
    parser.add_argument("bank", help="an audio bank")
    parser.add_argument("clap", help="the CLAP that the bank was built with")
    parser.add_argument("manifest", help="of the bank's clips, with label and average_pitch_hz")
    parser.add_argument("--splits", nargs="+", default=["validation", "test", "wiki"])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    bank, clips = AudioBank.load(args.bank), {clip.id: clip for clip in read_clips(args.manifest).clips}
    ordered = [clips[name] for name in bank.descriptions.select(["id"])["id"].to_pylist()]
    rows = {
        (task, split): load_auditorybench(task, split, args.data_dir).to_list()
        for task in (ANIMAL, PITCH)
        for split in args.splits
    }
    texts = sorted({span["text"].lower() for part in rows.values() for row in part for span in row["spans"]})
    retrieved = dict(zip(texts, found_clips(texts, bank, args.clap, max(DEPTHS)).tolist(), strict=True))
    hertz = torch.tensor([clip.average_pitch_hz or math.nan for clip in ordered])
    reach = Reach([clip.label or "" for clip in ordered], hertz.log2(), retrieved)
    by_name = {words(label): label for label in set(reach.labels) if label}
    results = {"spread_semitones": spread_of_names(load_auditorybench(PITCH, "train", args.data_dir).to_list())}
    for (task, split), part in rows.items():
        lookups = pitch_lookups(part, reach, by_name) if task == PITCH else animal_lookups(part, reach)
        results[f"{task}, {split}"] = {"coverage": coverage(part, reach, by_name), "lookups": lookups}
    args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
