"""Test rows from facts, as the paper's Wikipedia sets have them (arXiv 2409.08199, section II-A)."""

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from audiobert.dataset_scripts.auditorybench.csv_table import CsvTable, parse_csv
from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, PITCH, read_source
from audiobert.dataset_scripts.sample.fact_tables import midi_to_hertz
from audiobert.modeling_audiobert.errors import AudioBertInputError

from .filtering import filter_rows


__all__ = [
    "CallFact",
    "RangeFact",
    "animal_wiki_rows",
    "pitch_wiki_rows",
    "read_calls",
    "read_ranges",
    "which_is_higher",
]

_FACTS = ("audiobert.dataset_scripts.sample", "facts")
_CALL_TABLES = ("animals.csv",)
_RANGE_TABLES = ("pitch_sources.csv", "rare_instruments.csv")
# Neither an instrument nor a voice.
_OTHER_FAMILIES = {"device", "animal"}
_NOTES = (-20.0, 150.0)
_HERTZ = (1.0, 200_000.0)

_CALL_TEMPLATES = (
    "{call} is a sound made by the [MASK].",
    "The call of the [MASK] is known as {a call}.",
    "By {a call}, one recognises the [MASK].",
    "{a call} is what one hears from the [MASK].",
)
_RANGE_TEMPLATES = (
    "The notes of the {first} are [MASK] than those of the {second}.",
    "Whatever the {first} plays sounds [MASK] than the {second}.",
)


@dataclass(frozen=True)
class CallFact:
    """An animal, the noun of its call, its kind ("" if not known), and the table that says so."""

    animal: str
    call: str
    kind: str
    source: str


@dataclass(frozen=True)
class RangeFact:
    """An instrument or voice, its lowest and highest fundamental frequency in Hz, and the table that says so."""

    name: str
    lowest_hz: float
    highest_hz: float
    source: str


def read_calls(tables: Sequence[str | Path] = ()) -> list[CallFact]:
    """Return the calls of animals that CSV tables name.

    Args:
        tables (`Sequence[str | Path]`, *optional*):
            Files with the columns `animal` and `call`, perhaps `kind`; by default, the one that comes with the
            package.

    Raises:
        AudioBertInputError: a file cannot be read, lacks a column, or a field is blank; the row is named.
    """
    facts = []
    for table, source in _tables(tables, _CALL_TABLES, ("animal", "call")):
        for index, row in enumerate(table.rows):
            animal, call = (table.filled(index, column) for column in ("animal", "call"))
            facts.append(CallFact(animal, call, row.get("kind", "").strip(), source))
    return facts


def read_ranges(tables: Sequence[str | Path] = ()) -> list[RangeFact]:
    """Return the ranges of instruments that CSV tables name.

    Args:
        tables (`Sequence[str | Path]`, *optional*):
            Files with the columns `name`, `lowest`, `highest` and `unit` (`midi`: 69 is 440 Hz; or `hz`), perhaps
            `family`: devices and animals are left out. By default, the ones that come with the package.

    Raises:
        AudioBertInputError: a file cannot be read, lacks a column, a field is no range, or a name stands twice.
    """
    facts: dict[str, RangeFact] = {}
    for table, source in _tables(tables, _RANGE_TABLES, ("name", "lowest", "highest", "unit")):
        for index, row in enumerate(table.rows):
            name = table.filled(index, "name")
            if name.casefold() in facts:
                raise AudioBertInputError(f"{table.place(index)}: '{name}' has a range already. Drop one of the rows.")
            if row.get("family", "").strip() not in _OTHER_FAMILIES:
                facts[name.casefold()] = RangeFact(name, *_range(table, index), source)
    return list(facts.values())


def which_is_higher(first: RangeFact, second: RangeFact) -> str | None:
    """Return "higher" or "lower", as the first is to the second; None where their ranges overlap."""
    if first.lowest_hz > second.highest_hz:
        return "higher"
    return "lower" if first.highest_hz < second.lowest_hz else None


def animal_wiki_rows(facts: Sequence[CallFact], unique_calls: bool = False) -> list[dict]:
    """Return a row for each animal, which makes this call, if `filter_rows` keeps it: a cuckoo's "cuckoo" does not.

    Args:
        facts (`Sequence[CallFact]`): as `read_calls` returns them.
        unique_calls (`bool`, *optional*, defaults to False):
            Leave out calls that several animals of the facts make, which have several right answers.

    Raises:
        AudioBertInputError: no row is left.
    """
    makers = Counter(fact.call.casefold() for fact in facts)
    kept = [fact for fact in facts if not unique_calls or makers[fact.call.casefold()] == 1]
    rows = []
    for index, fact in enumerate(kept):
        template = _CALL_TEMPLATES[index % len(_CALL_TEMPLATES)]
        article = "an" if fact.call[0].lower() in "aeiou" else "a"
        sentence = template.format_map({"call": fact.call, "a call": f"{article} {fact.call}"})
        category = "/".join(filter(None, ["animal", fact.kind, fact.animal]))
        rows.append(_row(f"asr-wiki-{index:05d}", ANIMAL, sentence, fact.animal, [fact.call], category, fact.source))
    rows = filter_rows(rows).kept
    if not rows:
        raise AudioBertInputError(
            "the facts hold no call that makes a row. Add some, or take calls of several animals."
        )
    return rows


def pitch_wiki_rows(facts: Sequence[RangeFact], seed: int = 0) -> list[dict]:
    """Return a row for every two instruments whose ranges do not overlap: is the first higher or lower?

    The order of the two is drawn, so that both answers are about equally frequent; but one whose name stands in the
    other's ("flute", "alto flute") comes first, as a span is looked up at its first occurrence.

    Args:
        facts (`Sequence[RangeFact]`): as `read_ranges` returns them.
        seed (`int`, *optional*, defaults to 0): of the order.

    Raises:
        AudioBertInputError: all ranges overlap.
    """
    generator = random.Random(seed)
    rows = []
    for pair in itertools.combinations(facts, 2):
        if which_is_higher(*pair) is None:
            continue
        first, second = pair if generator.random() < 0.5 else pair[::-1]
        if second.name.casefold() in first.name.casefold():
            first, second = second, first
        template = _RANGE_TEMPLATES[generator.randrange(len(_RANGE_TEMPLATES))]
        sentence = template.format(first=first.name, second=second.name)
        source = ", ".join(dict.fromkeys([first.source, second.source]))
        answer = which_is_higher(first, second)
        spans = [first.name, second.name]
        rows.append(_row(f"spc-wiki-{len(rows):05d}", PITCH, sentence, answer, spans, "instrument", source))
    if not rows:
        raise AudioBertInputError("no two instruments of the facts have ranges that do not overlap. Add some.")
    return rows


def _row(id: str, task: str, sentence: str, answer: str, spans: list[str], category: str, source: str) -> dict:  # noqa: PLR0913 - the row's own fields
    return {
        "id": id,
        "task": task,
        "sentence": sentence[0].upper() + sentence[1:],
        "answer": answer,
        "spans": spans,
        "clip_ids": [],
        "category": category,
        "llm_answer": None,
        "provenance": {"step": "wiki", "facts": source},
    }


def _tables(tables: Sequence[str | Path], ours: Sequence[str], columns: Sequence[str]):
    """Yield each table, and how rows name it: without folders, with its digest."""
    package, folder = _FACTS
    found = (
        [(name, (resources.files(package) / folder / name).read_bytes()) for name in ours]
        if not tables
        else [(str(path), read_source(path)) for path in tables]
    )
    for name, content in found:
        digest = hashlib.sha256(content).hexdigest()[:12]
        yield parse_csv(content, name, columns), f"{Path(name).name} (sha256 {digest})"


def _range(table: CsvTable, index: int) -> tuple[float, float]:
    unit = table.filled(index, "unit").lower()
    if unit not in ("midi", "hz"):
        raise AudioBertInputError(f"{table.place(index)}: there is no unit '{unit}'; write midi or hz.")
    lowest, highest = (_number(table, index, column) for column in ("lowest", "highest"))
    smallest, largest = _NOTES if unit == "midi" else _HERTZ
    if not smallest <= lowest <= highest <= largest:
        raise AudioBertInputError(
            f"{table.place(index)}: {lowest:g} to {highest:g} {unit} is no range of a sound. Correct the row."
        )
    return (midi_to_hertz(lowest), midi_to_hertz(highest)) if unit == "midi" else (lowest, highest)


def _number(table: CsvTable, index: int, column: str) -> float:
    text = table.filled(index, column)
    try:
        return float(text)
    except ValueError as error:
        raise AudioBertInputError(f"{table.place(index)}: '{text}' in column '{column}' is not a number.") from error
