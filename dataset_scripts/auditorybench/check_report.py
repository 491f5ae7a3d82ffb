"""A benchmark's findings as text."""

from .checks import BenchmarkReport, SharedRows, SplitReport


__all__ = ["report_text"]

_FINDINGS = (
    ("duplicates", "answer, spans and sentence of an earlier row"),
    ("repeated_questions", "sentence and answer of an earlier row"),
    ("blank_spans", "a span is blank"),
    ("overlapping_spans", "spans overlap"),
    ("not_one_mask", "not exactly one [MASK]"),
    ("answers_outside_choices", "the answer is none of the choices"),
    ("choice_not_answer", "the published choice is not the answer"),
    ("no_choice", "choices without a published letter"),
    ("multi_word_answers", "the answer is several words"),
)
_EXAMPLES = 3


def report_text(report: BenchmarkReport) -> str:
    """Return the findings for a reader: each with its number of rows and the first ids; the JSON has all ids."""
    blocks = ["\n".join(_split_lines(split)) for split in report.splits]
    blocks.append("\n".join(["shared between splits", *(f"  {_shared_line(pair)}" for pair in report.shared)]))
    if report.has_leak:
        blocks.append(
            "LEAK: a train split holds sentences that are also evaluated. 'audiobert data export --clean-train' and "
            "load_dataset(..., clean_train=True) leave them out."
        )
    else:
        blocks.append("no leak: no train split holds a sentence that is also evaluated.")
    return "\n\n".join(blocks)


def _split_lines(report: SplitReport) -> list[str]:
    lines = [f"{report.task}, {report.split}: {report.rows:,} rows from {', '.join(report.sources)}"]
    for place, ids in enumerate(report.misplaced_spans, 1):
        which = f"span {place}" if len(report.misplaced_spans) > 1 else "the span"
        lines.append(f"  {which} is not in the sentence: {_rows(ids)}")
    findings = [(what, getattr(report, name)) for name, what in _FINDINGS]
    lines += [f"  {what}: {_rows(ids)}" for what, ids in findings if ids]
    frequent = ", ".join(f"{answer} {count:,}" for answer, count in list(report.answer_counts.items())[:5])
    lines.append(
        f"  answers: {report.distinct_answers:,} different; the most frequent is that of "
        f"{100 * report.majority_share:.1f} % of rows ({frequent})"
    )
    return lines


def _shared_line(pair: SharedRows) -> str:
    first, second = pair.splits
    line = f"{pair.task}, {first} and {second}: "
    if not pair.rows:
        return line + "nothing"
    leak = "LEAK: " if pair.is_leak else ""
    return (
        f"{line}{leak}{pair.sentences_ignoring_case:,} sentences ({pair.sentences:,} to the letter); "
        f"rows of {second}: {_rows(pair.rows)}; with the same answer and spans: {len(pair.triples):,}"
    )


def _rows(ids: list[str]) -> str:
    """How many rows, and the first of them."""
    examples = f" ({', '.join(ids[:_EXAMPLES])}{', …' if len(ids) > _EXAMPLES else ''})" if ids else ""
    return f"{len(ids):,}{examples}"
