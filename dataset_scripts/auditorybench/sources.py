"""The files that AuditoryBench was published in: where they lie, and how each is recognised."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from audiobert.modeling_audiobert.errors import AudioBertInputError


__all__ = [
    "PINNED",
    "PUBLISHED_SPLITS",
    "REPOSITORY",
    "SPLITS",
    "TASKS",
    "SourceFile",
    "check_row_count",
    "check_source",
    "find_local_files",
    "is_published",
    "read_source",
    "source_name",
    "tasks_of",
]

REPOSITORY = "HJ-Ok/AudioBERT"
HEAD = "4fc71aee2dd209093614d80dcc0b2428f8c51bf2"
FIRST_RELEASE = "0412ceb6cb5c29c9a3301e393c58332111109cf0"
LATER_TRAIN = "b5fa9bf149bc38e31768a0a984571f6b9f11d21f"

ANIMAL = "animal_sound_recognition"
PITCH = "sound_pitch_comparison"
COMBINED = "combined"
TASKS = (ANIMAL, PITCH, COMBINED)
SPLITS = ("train", "validation", "test", "wiki")

# How the publishers spell the tasks and splits in file names ("comparsion" is theirs).
_PUBLISHED_TASKS = {ANIMAL: "animal_sound_recognition", PITCH: "sound_pitch_comparsion"}
PUBLISHED_SPLITS = {"train": "train", "validation": "dev", "test": "test", "wiki": "wiki"}

ANIMAL_COLUMNS = ("animal", "description", "sentence")
CHOICE_COLUMNS = ("A", "B", "C", "D", "Answer")
PITCH_COLUMNS = ("sentence", "answer", "span1", "span2")
MEASURED_COLUMNS = ("id_1", "id_2", "avg_pitch_1", "avg_pitch_2")


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    Attributes:
        revision (`str`): the commit of `REPOSITORY`, 40 hexadecimal digits.
        path (`str`): the file's path there.
        num_rows (`int`): its rows, the header not counted.
        columns (`tuple[str, ...]`): columns that it has, perhaps among others.
        sha256 (`str`, *optional*): of its exact bytes; None where these are not known to us.
    """

    revision: str
    path: str
    num_rows: int
    columns: tuple[str, ...]
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The file as the rows' `source` column names it."""
        return f"{REPOSITORY}@{self.revision[:12]}/{self.path}"


def _file(revision: str, task: str, split: str, rows: int, digest: str) -> SourceFile:
    measured = revision == FIRST_RELEASE and task == PITCH and split != "wiki"
    columns = ANIMAL_COLUMNS if task == ANIMAL else PITCH_COLUMNS + (MEASURED_COLUMNS if measured else ())
    path = f"dataset/{_PUBLISHED_TASKS[task]}_{PUBLISHED_SPLITS[split]}.csv"
    return SourceFile(revision, path, rows, columns, digest)


# What a download takes. The pitch files come from the first release, because only that has the Freesound ids and the
# measured pitches; its sentences, answers and spans equal the head's. The animal train file of the head is its test
# file, so the train split is the one of a later revision, whose exact bytes we have not seen.
PINNED: dict[tuple[str, str], SourceFile] = {
    (ANIMAL, "train"): SourceFile(
        LATER_TRAIN, "dataset/animal_sound_recognition/train.csv", 4534, ANIMAL_COLUMNS + CHOICE_COLUMNS
    ),
    (ANIMAL, "validation"): _file(
        HEAD, ANIMAL, "validation", 593, "aa0dafc049362001036cfd7deae393d2dc1598c4729465783562606532408865"
    ),
    (ANIMAL, "test"): _file(
        HEAD, ANIMAL, "test", 1211, "97ac96eb193210a8f784499c0730fc9cc3a9b226a699d2e16c5f1ad7d3568721"
    ),
    (ANIMAL, "wiki"): _file(
        HEAD, ANIMAL, "wiki", 197, "df9ae08661b758b538d3a82945a4a1c2892cf9cd47e7f9e8f8a11ba3ff981924"
    ),
    (PITCH, "train"): _file(
        FIRST_RELEASE, PITCH, "train", 8312, "00e8c8dc33c1ea1364450b64a1b50fae16c5f1ad3db7a63f616382ecb5c7fc60"
    ),
    (PITCH, "validation"): _file(
        FIRST_RELEASE, PITCH, "validation", 1178, "a1d67fb71dba081b8a1d67cbc903df524b591e9865f000f9197c11ba8441fa20"
    ),
    (PITCH, "test"): _file(
        FIRST_RELEASE, PITCH, "test", 2387, "1cdb25d879824d8f6bd68c214856b390e48823d7a99d54c378262ec73dce5a68"
    ),
    (PITCH, "wiki"): _file(
        FIRST_RELEASE, PITCH, "wiki", 3625, "a1fb94da5bf50b6f5168e0f38ca731fa6239a1484cbc95f70d600ccc4947185b"
    ),
}

# Further published files that a local folder may hold; recognised, never downloaded.
_ALSO_PUBLISHED = (
    _file(HEAD, PITCH, "train", 8312, "8bac045736ba081f09dbbdd37ea2821bd00126baec26f458393a7db24ec02eeb"),
    _file(HEAD, PITCH, "validation", 1178, "2fd28e5f1ea70e678238f35d0dbee9dea1e113f43e28519a62349c94743e8d75"),
    _file(HEAD, PITCH, "test", 2387, "4c6d34142861b57380bf1fb591adc7a7cb2d852a8f1faf2d81b92be3f55ccf86"),
    _file(
        FIRST_RELEASE, ANIMAL, "validation", 593, "e9eef8a4fea601b77a4a428fd05b691d8ace0be034a6799c2b787ff2afd632ef"
    ),
    _file(FIRST_RELEASE, ANIMAL, "test", 1211, "9170c1461fcbaac40130769088faa7d9a8dfc5c0e4a96692ea40a9c75667be74"),
)
_BY_DIGEST = {file.sha256: file for file in (*_ALSO_PUBLISHED, *PINNED.values()) if file.sha256}


def tasks_of(task: str) -> tuple[str, ...]:
    """Return the tasks whose rows a configuration holds: both for `"combined"`.

    Raises:
        AudioBertInputError: there is no such task.
    """
    if task not in TASKS:
        raise AudioBertInputError(f"AuditoryBench has no task '{task}'. Choose one of: {', '.join(TASKS)}.")
    return (ANIMAL, PITCH) if task == COMBINED else (task,)


def published_file(content: bytes) -> SourceFile | None:
    """Return the published file that these bytes are, or None."""
    return _BY_DIGEST.get(hashlib.sha256(content).hexdigest())


def is_published(content: bytes, task: str, split: str) -> bool:
    """Whether these bytes are a published file of this very task and split."""
    known = published_file(content)
    return known is not None and known.path == f"dataset/{_PUBLISHED_TASKS[task]}_{PUBLISHED_SPLITS[split]}.csv"


def source_name(content: bytes, file_name: str) -> str:
    """Return what the rows' `source` column says of a file: the published one that it is, or its digest.

    No folder of the user's gets into it.
    """
    known = published_file(content)
    return known.name if known else f"{file_name} (sha256 {hashlib.sha256(content).hexdigest()[:12]})"


def check_source(content: bytes, name: str, expected: SourceFile) -> None:
    """Check the bytes of a file against the published one.

    Raises:
        AudioBertInputError: the exact bytes are known, and these are others.
    """
    digest = hashlib.sha256(content).hexdigest()
    if expected.sha256 is not None and digest != expected.sha256:
        raise AudioBertInputError(
            f"'{name}' is not the published file {expected.name}: its sha256 is {digest}, the published one's "
            f"{expected.sha256}. Fetch it again; to read a changed file on purpose, pass its folder as data_dir "
            f"without verify=True."
        )


def check_row_count(rows: list, name: str, expected: SourceFile) -> None:
    """Check the number of rows: what remains to verify where the exact bytes are not known.

    Raises:
        AudioBertInputError: there are more or fewer rows than were published.
    """
    if len(rows) != expected.num_rows:
        raise AudioBertInputError(
            f"'{name}' has {len(rows)} rows, the published file {expected.name} has {expected.num_rows}. Fetch it "
            f"again."
        )


def find_local_files(data_dir: str | Path, task: str, splits: tuple[str, ...] = SPLITS) -> dict[str, Path]:
    """Return the file of each split of one task in a local folder.

    The folder is a checkout of the published repository, its `dataset` folder, or holds `published`, `first_release`
    and `animal_train` beside each other. Where several files serve a split, the one that tells more is taken.

    Raises:
        AudioBertInputError: the folder is none, or lacks the file of a split.
    """
    folder = Path(data_dir).expanduser()
    if folder.is_file():
        raise AudioBertInputError(f"data_dir '{data_dir}' is a file. Give the folder that holds the CSV files.")
    if not folder.is_dir():
        raise AudioBertInputError(f"data_dir '{data_dir}' does not exist. Give the folder that holds the CSV files.")
    found = {}
    for split in splits:
        candidates = _candidates(task, split)
        path = next((folder / name for name in candidates if (folder / name).is_file()), None)
        if path is None:
            raise AudioBertInputError(
                f"data_dir '{data_dir}' has no file for split '{split}' of {task}; looked for: "
                f"{', '.join(candidates)}. Add one of them, or give another folder."
            )
        found[split] = path
    return found


def read_source(path: str | Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        AudioBertInputError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise AudioBertInputError(
            f"cannot read '{path}': {error.strerror}. Make it readable, or fetch it again."
        ) from error


def _candidates(task: str, split: str) -> list[str]:
    """The places of a split's file, the best first."""
    folder = _PUBLISHED_TASKS[task]
    flat = f"{folder}_{PUBLISHED_SPLITS[split]}.csv"
    nested = f"{folder}/{PUBLISHED_SPLITS[split]}.csv"
    # At the published head the flat animal train file is the test file; the nested one of a later revision is not.
    ordered = (nested, flat) if (task, split) == (ANIMAL, "train") else (flat, nested)
    first, second = ("first_release", "published") if task == PITCH else ("published", "first_release")
    gathered = [f"animal_train/{flat}"] if (task, split) == (ANIMAL, "train") else []
    gathered += [f"{first}/{flat}", f"{second}/{flat}"]
    return gathered + [prefix + name for prefix in ("dataset/", "") for name in ordered]
