"""Results files of evaluations that never ran: the answers are given."""

from collections.abc import Callable, Sequence
from pathlib import Path

from audiobert.dataset_scripts.auditorybench.sources import ANIMAL, COMBINED, PITCH
from audiobert.trainers.evaluation_results import RowPrediction, file_results, save_results, summary


def animal_rows(count: int, split: str = "test", answers: Sequence[str] = ("cat", "dog")) -> list[dict]:
    """Rows whose answers follow each other in turn."""
    return [
        {"id": f"asr-{split}-{n:05d}", "task": ANIMAL, "split": split, "answer": answers[n % len(answers)]}
        for n in range(count)
    ]


def pitch_rows(count: int, split: str = "test") -> list[dict]:
    answers = ("higher", "lower")
    return [
        {"id": f"spc-{split}-{n:05d}", "task": PITCH, "split": split, "answer": answers[n % 2]} for n in range(count)
    ]


def save_evaluation(
    path: Path,
    model: str,
    rows: Sequence[dict],
    answers: dict[str | None, Callable[[int, dict], str]],
    heard: Callable[[int], tuple[float, list[str]]] = lambda n: (0.5, ["clip-0"]),
    digest: str = "of the rows",
) -> Path:
    """Save a results file of one split.

    Args:
        rows: `id`, `task`, `split`, `answer`.
        answers: setting of hearing → what is predicted, from a row's position and the row.
        heard: similarity and clips of a row, by its position; nothing is heard under "off" and None.
    """
    predictions = []
    for hearing, answer in answers.items():
        for n, row in enumerate(rows):
            predicted = answer(n, row)
            similarity, clips = heard(n) if hearing not in ("off", None) else (None, [])
            predictions.append(
                RowPrediction(
                    row["id"], row["split"], row["task"], hearing, predicted, row["answer"],
                    predicted == row["answer"], similarity, clips,
                )
            )  # fmt: skip
    split = rows[0]["split"]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    facts = {
        "model": model,
        "model_type": "bert" if None in answers else "audiobert",
        "protocol": "answer length given",
        "splits": [split],
        "seed": 0,
        "versions": {},
        "data_sha256": {split: digest},
        "left_out": [],
    }
    summaries = [
        summary(task, [entry for entry in predictions if entry.hearing == hearing])
        for hearing in answers
        for task in ([*tasks, COMBINED] if len(tasks) > 1 else tasks)
    ]
    save_results(file_results(facts, summaries, predictions), path)
    return path


def right(n: int, row: dict) -> str:
    return row["answer"]


def wrong(n: int, row: dict) -> str:
    return "thing"


def right_below(count: int) -> Callable[[int, dict], str]:
    """Answers the first `count` rows right, the others wrong."""
    return lambda n, row: row["answer"] if n < count else "thing"
