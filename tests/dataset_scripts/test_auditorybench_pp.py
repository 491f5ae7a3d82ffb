"""AuditoryBench++ by declared columns; the real files could not be had."""

import csv

import pytest

from audiobert.dataset_scripts.auditorybench.auditorybench_pp import PP_ROWS, load_auditorybench_pp
from audiobert.dataset_scripts.auditorybench.benchmarks import export_by_name
from audiobert.dataset_scripts.auditorybench.checks import check_benchmark
from audiobert.modeling_audiobert.errors import AudioBertInputError


TABLES = {
    "pitch": [
        ("span1", "span2", "sentence", "answer"),
        ("tuba", "flute", "The sound of a tuba is [MASK] than the sound of a flute", "lower"),
        ("bell", "drum", "The sound of a bell is [MASK] than the sound of a drum", "higher"),
    ],
    "duration": [("question", "A", "B", "answer"), ("Which lasts longer?", "a clap", "a storm", "B")],
    "loudness": [("question", "option1", "option2", "answer"), ("Which is louder?", "A jet", "A fly", "a jet")],
    "animal": [
        ("animal", "description", "sentence", "A", "B", "C", "D", "Answer"),
        ("owl", "hoot", "Hoot is the sound of a [MASK].", "cow", "owl", "pig", "bee", "B"),
    ],
    "mmau": [("id", "question", "choices", "answer"), ("7", "Where is it?", '["a harbour", "a farm"]', "(A)")],
}


@pytest.fixture
def folder(tmp_path):
    """One small file of our own for each published one."""
    for task, rows in TABLES.items():
        write(tmp_path / "pp" / task / "test.csv", rows)
    return tmp_path / "pp"


def write(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def test_every_task_comes_in_the_shared_schema(folder):
    tasks = load_auditorybench_pp(folder)
    assert list(tasks) == list(PP_ROWS)
    assert all(list(splits) == ["test"] for splits in tasks.values())
    rows = {task: splits["test"][0] for task, splits in tasks.items()}
    answers = {task: (row["answer"], row["choices"][row["answer_index"]]) for task, row in rows.items()}
    assert answers == {
        "pitch": ("lower", "lower"),
        "duration": ("a storm", "a storm"),
        "loudness": ("A jet", "A jet"),
        "animal": ("owl", "owl"),
        "mmau": ("a harbour", "a harbour"),
    }
    assert rows["pitch"]["sentence"][slice(*[rows["pitch"]["spans"][1][end] for end in ("start", "end")])] == "flute"
    assert rows["animal"]["spans"] == [{"text": "hoot", "start": 0, "end": 4}]
    assert rows["mmau"]["spans"] == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("sentence", "answer", "mood"), ("s", "a", "m")], r"undeclared column 'mood' .*columns=\{'mood': ROLE\}"),
        ([("sentence", "A"), ("s", "a")], r"no column for the answer"),
        ([("answer", "A"), ("s", "a")], r"no column for the sentence"),
        ([("question", "text", "answer"), ("q", "t", "a")], r"several columns for the sentence: question, text"),
        (
            [("question", "choices", "answer"), ("q", "a or b", "a")],
            r"row 1 \(line 2\): the choices 'a or b' are not a",
        ),
        ([("question", "answer"), ("q", "a"), ("", "a")], r"row 2 \(line 3\) has no sentence"),
    ],
    ids=["undeclared", "no answer", "no sentence", "two sentences", "choices that are none", "empty sentence"],
)
def test_other_columns_are_refused_with_a_word_on_how_to_declare_them(folder, rows, message):
    write(folder / "mmau" / "test.csv", rows)
    with pytest.raises(AudioBertInputError, match=rf"mmau/test.csv'.*{message}"):
        load_auditorybench_pp(folder)


def test_a_declared_column_is_read(folder):
    write(folder / "mmau" / "test.csv", [("Mood", "riddle", "truth"), ("sad", "Who barks?", "a dog")])
    columns = {"mood": "ignored", "riddle": "sentence", "truth": "answer"}
    row = load_auditorybench_pp(folder, columns=columns)["mmau"]["test"][0]
    assert (row["sentence"], row["answer"], row["choices"]) == ("Who barks?", "a dog", None)
    with pytest.raises(AudioBertInputError, match=r"no role 'riddle'\. Choose from: sentence"):
        load_auditorybench_pp(folder, columns={"riddle": "riddle"})


def test_a_missing_file_and_another_number_of_rows_are_named(folder):
    with pytest.raises(AudioBertInputError, match=r"pitch/test.csv' has 2 rows, 3625 were published"):
        load_auditorybench_pp(folder, verify=True)
    (folder / "loudness" / "test.csv").unlink()
    with pytest.raises(AudioBertInputError, match=r"has no 'loudness/test.csv'\. Give the folder that holds pitch"):
        load_auditorybench_pp(folder)
    with pytest.raises(AudioBertInputError, match=r"(?s)could not download.*pass data_dir="):
        load_auditorybench_pp()


def test_its_export_says_that_it_was_not_run_against_the_real_files(folder, tmp_path):
    tasks = export_by_name("auditorybench_pp", tmp_path / "out", folder, repository="me/pp")
    assert not check_benchmark(tasks).has_leak
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "cc-by-4.0" in card
    assert "not run against them" in " ".join(card.split())
