"""Table I of the paper: captions and words of each split."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from .rows import plain_rows
from .sources import ANIMAL, PITCH


__all__ = ["PAPER_TABLE", "SplitSize", "benchmark_sizes", "sizes_table"]

# Captions and words by Table I of arXiv 2409.08199.
PAPER_TABLE = {
    (ANIMAL, "train"): (4211, 39024),
    (ANIMAL, "validation"): (593, 5567),
    (ANIMAL, "test"): (1211, 11268),
    (ANIMAL, "wiki"): (197, 1381),
    (PITCH, "train"): (8312, 151081),
    (PITCH, "validation"): (1178, 21343),
    (PITCH, "test"): (2387, 43431),
    (PITCH, "wiki"): (3625, 44987),
}


@dataclass(frozen=True)
class SplitSize:
    """One line of Table I.

    Attributes:
        task, split (`str`): which rows.
        captions (`int`): rows.
        words (`int`): of all sentences, separated by white space.
        words_per_caption (`float`): their mean.
        paper_captions, paper_words (`int`, *optional*): what the paper prints; None where it prints nothing.
    """

    task: str
    split: str
    captions: int
    words: int
    words_per_caption: float
    paper_captions: int | None
    paper_words: int | None

    def to_dict(self) -> dict:
        """Return the fields by name."""
        return asdict(self)


def benchmark_sizes(tasks: Mapping[str, Mapping[str, Iterable[dict]]]) -> list[SplitSize]:
    """Return Table I for the rows of each task and split.

    Args:
        tasks (`Mapping`):
            Task → split → rows; `load_auditorybench_splits` gives the inner mapping.
    """
    sizes = []
    for task, splits in tasks.items():
        for split, rows in splits.items():
            lengths = [len(row["sentence"].split()) for row in plain_rows(rows)]
            captions, words = len(lengths), sum(lengths)
            mean = words / captions if captions else 0.0
            sizes.append(SplitSize(task, split, captions, words, mean, *PAPER_TABLE.get((task, split), (None, None))))
    return sizes


def sizes_table(sizes: Iterable[SplitSize], beside_paper: bool = True) -> str:
    """Return Table I as Markdown, unless told otherwise with the paper's numbers beside it."""
    lines = [
        "| task | split | captions | words per caption | total words |",
        "|---|---|--:|--:|--:|",
    ]
    if beside_paper:
        lines = [lines[0] + " paper: captions | paper: words |", lines[1] + "--:|--:|"]
    for size in sizes:
        line = f"| {size.task} | {size.split} | {size.captions:,} | {size.words_per_caption:.2f} | {size.words:,} |"
        if beside_paper:
            numbers = (size.paper_captions, size.paper_words)
            line += "".join(" not printed |" if number is None else f" {number:,} |" for number in numbers)
        lines.append(line)
    return "\n".join(lines)
