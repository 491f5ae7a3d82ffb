"""AuditoryBench++ in the schema of AuditoryBench.

Its folders and numbers of rows are published on its page; its columns could not be seen when this was written. So the
columns are read by declared names, and a file with any other is refused with a word on how to declare it.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import datasets

from audiobert.modeling_audiobert.errors import AudioBertInputError

from .csv_table import CsvTable, parse_csv
from .dataset_card import CardTexts
from .downloading import download_files
from .export import BenchmarkDescription
from .features import FEATURES
from .rows import make_row
from .sources import read_source, source_name


__all__ = ["DECLARED_COLUMNS", "PP_REPOSITORY", "PP_ROWS", "load_auditorybench_pp", "pp_description"]

PP_REPOSITORY = "HJOK/AuditoryBenchpp"
PP_ROWS = {"pitch": 3625, "duration": 1645, "loudness": 445, "animal": 942, "mmau": 75}

_ROLES = ("sentence", "answer", "answer_text", "choices", "choice", "span", "ignored")
# Column, in lower case → role. "answer" is a choice's letter or its text; "answer_text" always the text.
DECLARED_COLUMNS = {
    **dict.fromkeys(["sentence", "question", "prompt", "text"], "sentence"),
    **dict.fromkeys(["answer", "label", "gold", "correct_answer"], "answer"),
    **dict.fromkeys(["animal", "answer_text"], "answer_text"),
    **dict.fromkeys(["choices", "options"], "choices"),
    **dict.fromkeys([f"{prefix}{mark}" for prefix in ("option_", "choice_", "") for mark in "abcde"], "choice"),
    **dict.fromkeys([f"{prefix}{mark}" for prefix in ("option", "choice") for mark in range(1, 6)], "choice"),
    **dict.fromkeys(["span", "span1", "span2", "description"], "span"),
    **dict.fromkeys(["id", "index", "task", ""], "ignored"),
}


def load_auditorybench_pp(
    data_dir: str | Path | None = None, *, columns: Mapping[str, str] | None = None, verify: bool = False
) -> dict[str, datasets.DatasetDict]:
    """Return AuditoryBench++: `pitch`, `duration`, `loudness`, `animal` and `mmau`, each with a test split only.

    Args:
        data_dir (`str` or `Path`, *optional*):
            A folder with `TASK/test.csv` for each task; without it they are downloaded from the Hub.
        columns (`Mapping`, *optional*):
            Column → role, beside `DECLARED_COLUMNS`: `"sentence"`, `"answer"` (a choice's letter or text),
            `"answer_text"`, `"choices"` (a list in one field), `"choice"` (one of several columns), `"span"`, or
            `"ignored"`.
        verify (`bool`, defaults to False):
            Demand the published number of rows of a local folder too, as always of a download.

    Raises:
        AudioBertInputError: a file is missing, damaged or has undeclared columns; no network.
    """
    roles = DECLARED_COLUMNS | {name.casefold(): role for name, role in (columns or {}).items()}
    unknown = sorted(set(roles.values()) - set(_ROLES))
    if unknown:
        raise AudioBertInputError(f"columns: there is no role '{unknown[0]}'. Choose from: {', '.join(_ROLES)}.")
    if data_dir is None:
        base = f"{datasets.config.HF_ENDPOINT}/datasets/{PP_REPOSITORY}/resolve/main"
        paths = download_files({task: f"{base}/{task}/test.csv" for task in PP_ROWS}, f"a copy of {base}")
    else:
        paths = _local_files(Path(data_dir).expanduser())
    tasks = {}
    for task, path in paths.items():
        name = str(path) if data_dir is not None else f"{PP_REPOSITORY}/{task}/test.csv"
        rows = _read_task(read_source(path), name, task, roles)
        if (verify or data_dir is None) and len(rows) != PP_ROWS[task]:
            raise AudioBertInputError(
                f"'{name}' has {len(rows)} rows, {PP_ROWS[task]} were published. Fetch it again."
            )
        tasks[task] = datasets.DatasetDict(test=datasets.Dataset.from_list(rows, features=FEATURES))
    return tasks


def pp_description(repository: str) -> BenchmarkDescription:
    """Return what the card of an AuditoryBench++ export says beside the numbers."""
    texts = CardTexts(
        pretty_name="AuditoryBench++",
        summary="AuditoryBench++ asks language models about sounds: pitch, duration, loudness, animals, and contexts.",
        repository=repository,
        splits_note="A test split only.",
        defects=(
            "- Read by declared column names. This reader was written without sight of the published files and was "
            "not run against them: compare some rows with the original before you report numbers."
        ),
        sources_note=f"Published as huggingface.co/datasets/{PP_REPOSITORY}; verified by the numbers of rows only.",
        licence_note=f"CC BY 4.0, by the authors of huggingface.co/datasets/{PP_REPOSITORY}.",
        citation="not recorded",
    )
    metadata = {
        "license": "cc-by-4.0",
        "language": ["en"],
        "pretty_name": "AuditoryBench++",
        "task_categories": ["question-answering"],
        "size_categories": ["1K<n<10K"],
        "tags": ["audio", "auditory-knowledge"],
    }
    licence = (
        f"CC BY 4.0, https://creativecommons.org/licenses/by/4.0/\nOriginal: {PP_REPOSITORY} on huggingface.co.\n"
    )
    return BenchmarkDescription(texts, metadata, licence)


def _local_files(folder: Path) -> dict[str, Path]:
    paths = {task: folder / task / "test.csv" for task in PP_ROWS}
    for path in paths.values():
        if not path.is_file():
            raise AudioBertInputError(
                f"data_dir '{folder}' has no '{path.relative_to(folder)}'. Give the folder that holds "
                f"{', '.join(f'{task}/test.csv' for task in PP_ROWS)}."
            )
    return paths


def _read_task(content: bytes, name: str, task: str, roles: Mapping[str, str]) -> list[dict]:
    table = parse_csv(content, name)
    by_role = _columns_by_role(table, roles)
    parsed = [_parse_row(table, index, by_role) for index in range(len(table.rows))]
    answers = sorted({row["answer"] for row in parsed})
    source = source_name(content, f"{PP_REPOSITORY}/{task}/test.csv")
    rows = []
    for index, row in enumerate(parsed):
        if row["choices"] is None and len(answers) == 2:  # a binary choice whose file names the sides in answers only
            row |= {"choices": answers, "answer_index": answers.index(row["answer"])}
        rows.append(make_row(id=f"abpp-{task}-test-{index:05d}", task=task, source=source, **row))
    return rows


def _columns_by_role(table: CsvTable, roles: Mapping[str, str]) -> dict[str, list[str]]:
    by_role: dict[str, list[str]] = {role: [] for role in _ROLES}
    for column in table.columns:
        role = roles.get(column.strip().casefold())
        if role is None:
            raise AudioBertInputError(
                f"'{table.name}', the header (line 1) has the undeclared column '{column}' (all: "
                f"{', '.join(table.columns)}). Declare it: load_auditorybench_pp(..., columns={{'{column}': ROLE}}) "
                f"with a ROLE of {', '.join(_ROLES)}."
            )
        by_role[role].append(column)
    for role, other in (("sentence", "sentence"), ("answer", "answer_text")):
        if not (by_role[role] or by_role[other]):
            raise AudioBertInputError(
                f"'{table.name}', the header (line 1) has no column for the {role} (all: {', '.join(table.columns)}). "
                f"Declare one: load_auditorybench_pp(..., columns={{COLUMN: '{role}'}})."
            )
    for role in ("sentence", "answer", "answer_text", "choices"):
        if len(by_role[role]) > 1:
            raise AudioBertInputError(
                f"'{table.name}', the header (line 1) has several columns for the {role}: "
                f"{', '.join(by_role[role])}. Declare all but one as 'ignored'."
            )
    return by_role


def _parse_row(table: CsvTable, index: int, by_role: Mapping[str, list[str]]) -> dict:
    row = table.rows[index]
    text = {role: row[columns[0]].strip() if columns else "" for role, columns in by_role.items()}
    choices = _choices(table, index, by_role)
    place = _place_of_answer(text["answer"], choices or [])
    answer = text["answer_text"] or (choices[place] if place is not None else text["answer"])
    for what, value in (("sentence", text["sentence"]), ("answer", answer)):
        if not value:
            raise AudioBertInputError(f"{table.place(index)} has no {what}. Fill it in, or drop the row.")
    return {
        "sentence": text["sentence"],
        "answer": answer,
        "span_texts": [row[column] for column in by_role["span"]],
        "choices": choices,
        "answer_index": place,
    }


def _choices(table: CsvTable, index: int, by_role: Mapping[str, list[str]]) -> list[str] | None:
    row = table.rows[index]
    if by_role["choice"]:
        return [row[column].strip() for column in by_role["choice"] if row[column].strip()]
    if not by_role["choices"]:
        return None
    text = row[by_role["choices"][0]]
    try:
        listed = ast.literal_eval(text.strip())  # literals only; it reads JSON lists of texts as well
    except (ValueError, SyntaxError):
        listed = None
    if not (isinstance(listed, list) and all(isinstance(choice, str) for choice in listed)):
        raise AudioBertInputError(f"{table.place(index)}: the choices '{text[:60]}' are not a list of texts.")
    return [choice.strip() for choice in listed]


def _place_of_answer(answer: str, choices: list[str]) -> int | None:
    """The choice that an answer names by its text or else by its letter; None where it names none."""
    for place, choice in enumerate(choices):
        if choice.casefold() == answer.casefold():
            return place
    letter = re.fullmatch(r"\(?([A-Za-z])[).]?", answer)
    place = ord(letter[1].upper()) - ord("A") if letter else len(choices)
    return place if place < len(choices) else None
