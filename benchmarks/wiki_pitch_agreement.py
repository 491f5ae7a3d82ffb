"""Compare AuditoryBench's published wiki set of pitches with the ranges of our own fact tables.

    python benchmarks/wiki_pitch_agreement.py ../shared/auditorybench

Prints one JSON document: of how many published pairs both instruments have a range in our tables, and how often the
published answer is ours, where the ranges are apart, where they overlap but both ends of one are above those of the
other, and where one contains the other (there, ours is that of the middles, in semitones). Names without a range are
listed, and the contradictions of the first two kinds.
"""

import argparse
import json
import math
from collections import Counter
from pathlib import Path

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.dataset_scripts.construction.wiki import RangeFact, read_ranges, which_is_higher


# Names of the published set that our tables have under another one.
OTHER_NAMES = {
    "5-string banjo": "banjo",
    "alto": "alto voice",
    "baritone": "baritone voice",
    "bass": "bass voice",
    "cor anglais": "English horn",
    "cymbalum": "cimbalom",
    "guitar": "classical guitar",
    "harmonium": "reed organ",
    "mezzo-soprano": "mezzo-soprano voice",
    "octocontrabass ciarinet": "octocontrabass clarinet",
    "soprano": "soprano voice",
    "soprano clarinet": "clarinet",
    "sopranino clarinet": "E-flat clarinet",
    "tenor": "tenor voice",
    "tenor trombone": "trombone",
    "typical c harmonica": "harmonica",
} | {f"timpani {inches}inch": f"{inches}-inch timpani" for inches in (20, 23, 26, 29, 32)}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="the folder with AuditoryBench's CSV files")
    arguments = parser.parse_args()
    facts = {fact.name.casefold(): fact for fact in read_ranges()}
    rows = load_auditorybench("sound_pitch_comparison", "wiki", arguments.data_dir).to_list()
    unknown, contradictions = Counter(), []
    agreement = {
        "ranges_apart": Counter(),
        "overlapping_both_ends_above": Counter(),
        "one_within_the_other": Counter(),
    }
    for row in rows:
        names = [span["text"] for span in row["spans"]]
        found = [facts.get(OTHER_NAMES.get(name.casefold(), name).casefold()) for name in names]
        if None in found:
            unknown.update(name for name, fact in zip(names, found, strict=True) if fact is None)
            continue
        kind, ours = _compared(*found)
        agreement[kind][row["answer"] == ours] += 1
        if row["answer"] != ours and kind != "one_within_the_other":
            contradictions.append(f"{names[0]} is {row['answer']} than {names[1]}")
    report = {
        "published_pairs": len(rows),
        "both_ranges_known": sum(counts.total() for counts in agreement.values()),
        **{kind: {"pairs": counts.total(), "agree": counts[True]} for kind, counts in agreement.items()},
        "names_without_range": dict(unknown.most_common()),
        "contradictions": contradictions,
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))  # noqa: T201 - the script's output


def _compared(first: RangeFact, second: RangeFact) -> tuple[str, str | None]:
    """Return how two ranges lie to each other, and our answer."""
    apart = which_is_higher(first, second)
    if apart:
        return "ranges_apart", apart
    low, high = first.lowest_hz - second.lowest_hz, first.highest_hz - second.highest_hz
    if low * high > 0:
        return "overlapping_both_ends_above", "higher" if low > 0 else "lower"
    return "one_within_the_other", _by_middle(first, second)


def _by_middle(first: RangeFact, second: RangeFact) -> str | None:
    middles = [math.log2(fact.lowest_hz * fact.highest_hz) for fact in (first, second)]
    if middles[0] == middles[1]:
        return None
    return "higher" if middles[0] > middles[1] else "lower"


if __name__ == "__main__":
    main()
