"""The dataset card of an export: a template filled with what the rows tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

import datasets

from .checks import BenchmarkReport
from .statistics import benchmark_sizes, sizes_table


__all__ = ["CardTexts", "render_card"]

_TEMPLATE = Path(__file__).with_name("dataset_card.md")


@dataclass(frozen=True)
class CardTexts:
    """What a card says that cannot be counted.

    Attributes:
        pretty_name (`str`): the title.
        summary (`str`): what the benchmark is.
        repository (`str`): a Hub id or folder for the example.
        splits_note (`str`): how the splits came about.
        defects (`str`): Markdown list of defects that the checks do not count.
        sources_note (`str`): where the files come from and how they were verified.
        licence_note (`str`): licence and its holder.
        citation (`str`): BibTeX.
        command (`str`): that wrote the folder.
        id_meaning (`str`): what the rows' ids are made of.
        beside_paper (`bool`): whether the sizes stand beside those of the paper's Table I.
    """

    pretty_name: str
    summary: str
    repository: str
    splits_note: str
    defects: str
    sources_note: str
    licence_note: str
    citation: str
    command: str = "audiobert data export"
    id_meaning: str = "task, split and position in the published file"
    beside_paper: bool = True


def render_card(
    tasks: Mapping[str, datasets.DatasetDict], report: BenchmarkReport, digests: Mapping[str, str], texts: CardTexts
) -> str:
    """Return the card's Markdown, without its YAML header.

    Args:
        tasks (`Mapping`):
            Task → splits of the rows that are exported.
        report (`BenchmarkReport`):
            What `check_benchmark` finds in them.
        digests (`Mapping`):
            File of the export → its sha256.
        texts (`CardTexts`):
            Everything else.
    """
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        pretty_name=texts.pretty_name,
        summary=texts.summary,
        repository=texts.repository,
        example_config=next(iter(tasks)),
        version=_installed_version(),
        splits_note=texts.splits_note,
        command=texts.command,
        id_meaning=texts.id_meaning,
        sizes=sizes_table(benchmark_sizes(tasks), texts.beside_paper),
        defects="\n".join(filter(None, [texts.defects.strip(), *_counted_defects(report)])),
        sources=f"{texts.sources_note.strip()}\n\n{_source_table(tasks)}",
        checksums="\n".join(["| file | sha256 |", "|---|---|", *(f"| `{p}` | `{d}` |" for p, d in digests.items())]),
        licence_note=texts.licence_note,
        citation=texts.citation.strip(),
    )


def _counted_defects(report: BenchmarkReport) -> list[str]:
    """One line a finding, over all splits that have it."""
    findings = (
        ("duplicates", "Rows that repeat an earlier row's answer, spans and sentence"),
        ("blank_spans", "Rows with a blank span"),
        ("overlapping_spans", "Rows whose spans overlap, as the first place of each is given"),
        ("not_one_mask", "Rows without exactly one `[MASK]`"),
        ("answers_outside_choices", "Rows whose answer is none of the choices"),
        ("choice_not_answer", "Rows whose published choice is not the answer"),
        ("no_choice", "Rows with choices and no single published letter"),
    )
    lines = [_finding(report, what, lambda split, name=name: len(getattr(split, name))) for name, what in findings]
    misplaced = _finding(report, "Spans that are not in their sentence", lambda split: _total(split.misplaced_spans))
    shared = [
        f"- {pair.task}: {pair.sentences_ignoring_case:,} sentences of {pair.splits[1]} are also in {pair.splits[0]} "
        f"({len(pair.rows):,} rows; {len(pair.triples):,} with the same answer and spans)."
        for pair in report.shared
        if pair.rows
    ]
    return [line for line in [misplaced, *lines, *shared] if line]


def _finding(report: BenchmarkReport, what: str, count) -> str:
    places = [f"{split.task}/{split.split} {count(split):,}" for split in report.splits if count(split)]
    return f"- {what}: {', '.join(places)}." if places else ""


def _total(groups: list[list[str]]) -> int:
    return sum(len(ids) for ids in groups)


def _source_table(tasks: Mapping[str, datasets.DatasetDict]) -> str:
    lines = ["| task | split | rows come from |", "|---|---|---|"]
    for task, splits in tasks.items():
        for split, rows in splits.items():
            sources = ", ".join(f"`{source}`" for source in dict.fromkeys(rows["source"])) or "not recorded"
            lines.append(f"| {task} | {split} | {sources} |")
    return "\n".join(lines)


def _installed_version() -> str:
    try:
        return version("audiobert")
    except PackageNotFoundError:
        return "not recorded"
