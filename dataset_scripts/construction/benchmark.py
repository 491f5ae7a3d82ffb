"""Candidate rows to a benchmark: filtered, split, and exported as Parquet with a card."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset, DatasetDict

from audiobert.dataset_scripts.auditorybench.builder import CITATION
from audiobert.dataset_scripts.auditorybench.dataset_card import CardTexts
from audiobert.dataset_scripts.auditorybench.export import BenchmarkDescription, export_benchmark
from audiobert.dataset_scripts.auditorybench.features import FEATURES
from audiobert.dataset_scripts.auditorybench.rows import PITCH_CHOICES, make_row
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED, PITCH, SPLITS

from .filtering import FilterSettings, filter_rows
from .jsonl import write_jsonl
from .splitting import split_rows


__all__ = ["REJECTS_FILE", "ROWS_FILE", "BenchmarkFacts", "BuiltBenchmark", "build_benchmark", "export_rows"]

REJECTS_FILE, ROWS_FILE = "rejects.jsonl", "rows.jsonl"
_SUMMARY = (
    "Auditory knowledge as masked sentences: which animal makes a sound, and which of two sounds has the higher "
    "pitch. Made with the pipeline of AudioBERT (arXiv 2409.08199, section II-A)."
)
_NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class BenchmarkFacts:
    """What the card says of a benchmark that its rows do not tell.

    Attributes:
        name (`str`): its title.
        licence (`str`): of the rows, as an identifier that the Hub knows (such as `cc-by-4.0`), or "not recorded".
        repository (`str`, *optional*): the Hub id or folder of the card's example; the folder's name by default.
    """

    name: str = "A benchmark of auditory knowledge"
    licence: str = _NOT_RECORDED
    repository: str | None = None


@dataclass(frozen=True)
class BuiltBenchmark:
    """What was made.

    Attributes:
        tasks (`dict[str, DatasetDict]`): task → splits, as exported.
        rejects (`list[dict]`): the candidates that are in none, each with its `reason`.
    """

    tasks: dict[str, DatasetDict]
    rejects: list[dict] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were left out for what, the most frequent reason first."""
        return dict(Counter(row["reason"] for row in self.rejects).most_common())


def build_benchmark(
    out: str | Path,
    rows: Iterable[dict],
    pitches: Iterable[Mapping] | None = None,
    wiki: Iterable[dict] = (),
    settings: tuple[FilterSettings, int] | None = None,
    facts: BenchmarkFacts | None = None,
) -> BuiltBenchmark:
    """Filter candidate rows, split them 70/10/20, and write them as Parquet with a dataset card.

    Args:
        out (`str` or `Path`):
            The folder: `data/TASK/SPLIT.parquet`, `README.md` (with Table I and the checks' findings), `rows.jsonl`
            (every row with its split, clips, language model's answer and provenance) and `rejects.jsonl`. The last is
            written before the split, so that a benchmark that cannot be made leaves the reasons behind.
        rows, pitches:
            As `filter_rows` takes them.
        wiki (`Iterable[dict]`, *optional*):
            Rows made from facts; they become the split of that name, unfiltered.
        settings (`tuple[FilterSettings, int]`, *optional*):
            The filter's thresholds and the split's seed.
        facts (`BenchmarkFacts`, *optional*):
            For the card.

    Raises:
        AudioBertInputError: as `filter_rows` and `split_rows`, or the folder cannot be written.
    """
    filter_settings, seed = settings or (FilterSettings(), 0)
    filtered = filter_rows(rows, pitches, filter_settings)
    write_jsonl(Path(out) / REJECTS_FILE, filtered.rejects)
    divided = split_rows(filtered.kept, wiki, seed, filter_settings.near_duplicate_similarity)
    rejects = filtered.rejects + divided.rejects
    return BuiltBenchmark(export_rows(out, divided.splits, facts, rejects, command="construct split"), rejects)


def export_rows(
    out: str | Path,
    splits: Mapping[str, Sequence[dict]],
    facts: BenchmarkFacts | None = None,
    rejects: Sequence[dict] = (),
    command: str = "construct split",
) -> dict[str, DatasetDict]:
    """Write rows that were split as a folder that `datasets.load_dataset` and `audiobert evaluate` take.

    Args:
        out (`str` or `Path`): the folder.
        splits (`Mapping`): split → rows of the construction's form.
        facts (`BenchmarkFacts`, *optional*), rejects (`Sequence[dict]`), command (`str`): for the card and beside it.

    Returns:
        `dict`: task → splits of the rows in the schema of `make_row`.

    Raises:
        AudioBertInputError: the folder cannot be written.
    """
    tasks = {}
    for task in (ANIMAL, PITCH):
        found = {
            split: [_schema_row(row) for row in splits[split] if row["task"] == task]
            for split in SPLITS
            if split in splits
        }
        filled = {split: Dataset.from_list(rows, features=FEATURES) for split, rows in found.items() if rows}
        if filled:
            tasks[task] = DatasetDict(filled)
    facts = facts or BenchmarkFacts()
    placed = [{"split": split} | row for split, rows in splits.items() for row in rows]
    description = BenchmarkDescription(
        _card_texts(facts, facts.repository or Path(out).name, tasks, rejects, command),
        _metadata(facts, len(placed)),
        combined=COMBINED if len(tasks) > 1 else None,
        attachments={ROWS_FILE: _lines(placed), REJECTS_FILE: _lines(rejects)},
    )
    export_benchmark(out, tasks, description)
    return tasks


def _schema_row(row: dict) -> dict:
    is_pitch = row["task"] == PITCH
    return make_row(
        id=row["id"],
        task=row["task"],
        sentence=row["sentence"],
        answer=row["answer"],
        span_texts=row["spans"],
        source=_source(row.get("provenance") or {}),
        choices=list(PITCH_CHOICES) if is_pitch else None,
        answer_index=PITCH_CHOICES.index(row["answer"]) if is_pitch else None,
        average_pitch_hz=row.get("average_pitch_hz"),
    )


def _source(provenance: Mapping) -> str:
    """Where a row comes from: the facts it is made of, or the language model and the prompt that wrote it."""
    if provenance.get("facts"):
        return provenance["facts"]
    model, prompt = provenance.get("model"), provenance.get("prompt")
    version = provenance.get("prompt_version")
    parts = [model, f"prompt {prompt} {version or ''}".strip() if prompt else None]
    return ", ".join(part for part in parts if part) or _NOT_RECORDED


def _card_texts(
    facts: BenchmarkFacts, repository: str, tasks: Mapping, rejects: Sequence[dict], command: str
) -> CardTexts:
    left_out = Counter(row["reason"] for row in rejects).most_common()
    return CardTexts(
        pretty_name=facts.name,
        summary=_SUMMARY,
        repository=repository,
        splits_note=_splits_note(tasks),
        defects="\n".join(f"- Candidates left out: {count:,}, {reason}." for reason, count in left_out),
        sources_note=f"`{ROWS_FILE}` has each row's split, clips, category, language model's answer and provenance, "
        f"`{REJECTS_FILE}` the candidates that were left out.",
        licence_note=f"Licence: {facts.licence}. The clips have licences of their own.",
        citation=CITATION,
        command=f"audiobert {command}",
        id_meaning="the candidate that the row was",
        beside_paper=False,
    )


def _metadata(facts: BenchmarkFacts, num_rows: int) -> dict:
    """The card's YAML; the Hub reads an unknown licence from its absence."""
    return ({} if facts.licence == _NOT_RECORDED else {"license": facts.licence}) | {
        "language": ["en"],
        "pretty_name": facts.name,
        "task_categories": ["fill-mask"],
        "size_categories": [_size_category(num_rows)],
        "tags": ["audio", "auditory-knowledge", "arxiv:2409.08199"],
    }


def _splits_note(tasks: Mapping[str, DatasetDict]) -> str:
    found = {split for splits in tasks.values() for split in splits}
    notes = []
    if "train" in found:
        notes.append(
            "Train, validation and test are 70, 10 and 20 % of the rows, of each answer as nearly as can be; no "
            "sentence, clip or near duplicate is in two of them."
        )
    if "wiki" in found:
        notes.append("Wiki asks the same questions of facts that were collected, without clips.")
    return " ".join(notes)


def _size_category(rows: int) -> str:
    """The Hub's name for a number of rows."""
    steps = (("n<1K", 1_000), ("1K<n<10K", 10_000), ("10K<n<100K", 100_000), ("100K<n<1M", 1_000_000))
    return next((name for name, limit in steps if rows < limit), "1M<n<10M")


def _lines(rows: Iterable[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
