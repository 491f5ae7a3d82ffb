"""`audiobert construct pitch` and `split`: from clips to a folder that `audiobert evaluate` takes."""

import csv
import inspect
import json

import pytest
import soundfile
from candidate_rows import ANIMAL, PITCH, animal_row, pitch_row
from tiny_sounds import RATE, noise, tone, write_clips
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.cli.construct_pitch import construct_pitch
from audiobert.cli.construct_split import construct_split
from audiobert.dataset_scripts.construction.clip_pitches import PitchSettings
from audiobert.dataset_scripts.construction.filtering import FilterSettings
from audiobert.dataset_scripts.construction.jsonl import read_jsonl, write_jsonl


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def reason_of(result) -> str:
    """The one line that a refused command prints."""
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("audiobert: ")]
    return line


@pytest.fixture
def rows_file(tmp_path):
    animals = [
        animal_row(id=f"a{index}", answer=("cat", "dog")[index % 2], sentence=f"Story {index}: a [MASK] makes a meow.")
        | {"clip_ids": [f"clip {index}"]}
        for index in range(30)
    ]
    pairs = [
        pitch_row(
            id=f"p{index}", sentence=f"{first} {index} has a [MASK] pitch than {second} {index}.", llm_answer=answer
        )
        | {"spans": [f"{first} {index}", f"{second} {index}"], "clip_ids": [f"{first} {index}", f"{second} {index}"]}
        for index in range(30)
        for first, second, answer in [(("flute", "tuba", "higher"), ("tuba", "flute", "lower"))[index % 2]]
    ]
    write_jsonl(tmp_path / "rows.jsonl", [*animals, *pairs])
    hertz = {"flute": 900.0, "tuba": 50.0}
    write_jsonl(
        tmp_path / "pitches.jsonl",
        [{"id": f"{name} {n}", "average_pitch_hz": pitch} for name, pitch in hertz.items() for n in range(30)],
    )
    return tmp_path / "rows.jsonl"


@pytest.mark.parametrize("kind", ["folder", "manifest.csv", "clips.jsonl"])
def test_pitch_writes_a_row_for_every_clip_of_any_source(tmp_path, kind):
    write_clips(tmp_path / "clips", per_label=1)
    (tmp_path / "clips" / "manifest.csv").rename(tmp_path / "clips" / "list.csv")
    ids = ["hum/0", "rain/0", "whistle/0"]
    source = tmp_path / "clips"
    if kind == "manifest.csv":
        source, ids = tmp_path / "clips" / "list.csv", ["whistle-0", "hum-0", "rain-0"]
    elif kind == "clips.jsonl":
        source = tmp_path / "categorized.jsonl"
        paths = [str(tmp_path / "clips" / f"{name}.wav") for name in ids]
        write_jsonl(
            source, [{"id": name, "path": path, "category": "x"} for name, path in zip(ids, paths, strict=True)]
        )
    out = tmp_path / "out" / "pitches.jsonl"
    result = run("construct", "pitch", source, "--out", out, "--estimator", "yin", "--workers", 1, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"file": str(out), "clips": 3, "pitched": 2, "unreadable": 0}
    found = {row["id"]: row["average_pitch_hz"] for row in read_jsonl(out)}
    assert list(found) == ids
    assert [name for name, pitch in found.items() if pitch is None] == [name for name in ids if "rain" in name]
    assert list((tmp_path / "out" / "cache" / "pitch").rglob("*.json"))


def test_pitch_tells_how_many_files_cannot_be_read(tmp_path):
    soundfile.write(tmp_path / "good.wav", tone(), RATE)
    write_jsonl(tmp_path / "clips.jsonl", [{"id": "1", "path": "good.wav"}, {"id": "2", "path": "gone.wav"}])
    result = run("construct", "pitch", tmp_path / "clips.jsonl", "--out", tmp_path / "p.jsonl", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "1 of 2 clips have a pitch; 1 files cannot be read." in result.stdout


@pytest.mark.parametrize(
    ("line", "arguments", "message"),
    [
        ("", (), "is empty"),
        ('{"id": "1", "path": "x.wav"}\n{"id": "2"\n', (), "line 2 is not JSON"),
        ('{"id": "1"}\n', (), "line 1 has no field 'path'"),
        ('{"id": "1", "path": "gone.wav"}\n', (), "none of the 1 clips can be read"),
        ('{"id": "1", "path": "x.wav"}\n', ("--estimator", "crepe"), "no pitch estimator 'crepe'"),
        ('{"id": "1", "path": "x.wav"}\n', ("--fmin", "5000"), "from 5000 to 4186 Hz"),
    ],
    ids=["empty", "not JSON", "no path", "no file", "estimator", "range"],
)
def test_pitch_refuses_bad_input_on_one_line_and_writes_nothing(tmp_path, line, arguments, message):
    (tmp_path / "clips.jsonl").write_text(line)
    soundfile.write(tmp_path / "x.wav", noise(), RATE)
    result = run(
        "construct", "pitch", tmp_path / "clips.jsonl", "--out", tmp_path / "p.jsonl", "--workers", 1, *arguments
    )
    assert message in reason_of(result)
    assert not (tmp_path / "p.jsonl").exists()


def test_pitch_looks_whether_it_can_write_before_it_measures(tmp_path):
    write_clips(tmp_path / "clips", per_label=1)
    (tmp_path / "file").touch()
    for place, message in ((tmp_path / "clips", "it is a folder"), (tmp_path / "file" / "p.jsonl", "is a file")):
        cache = ("--cache", tmp_path / "cache")
        result = run("construct", "pitch", tmp_path / "clips", "--out", place, "--workers", 1, *cache)
        assert message in reason_of(result)
    result = run(
        "construct",
        "pitch",
        tmp_path / "clips",
        "--out",
        tmp_path / "p",
        "--cache",
        tmp_path / "file",
        "--workers",
        1,
        "--estimator",
        "piptrack",
    )
    assert "a part of that path is a file" in reason_of(result)
    assert not (tmp_path / "p").exists()
    assert not (tmp_path / "cache").exists()


def test_split_makes_a_folder_that_evaluate_takes(rows_file, tmp_path, parts):
    out = tmp_path / "bench"
    split = run("construct", "split", rows_file, "--pitches", tmp_path / "pitches.jsonl", "--out", out, "--json")
    assert split.exit_code == 0, split.output
    counts = {"train": 21, "validation": 3, "test": 6}
    assert json.loads(split.stdout) == {"folder": str(out), "rows": {ANIMAL: counts, PITCH: counts}, "rejected": {}}
    measured = run("evaluate", parts.language_model, "--data-dir", out, "--json")
    assert measured.exit_code == 0, measured.output
    results = json.loads(measured.stdout)["results"]
    assert {result["task"]: result["rows"] for result in results} == {ANIMAL: 6, PITCH: 6, "combined": 12}
    stats = run("data", "stats", "--data-dir", out, "--json")
    assert sum(size["captions"] for size in json.loads(stats.stdout)) == 60
    assert run("data", "check", "--data-dir", out).exit_code == 0


def test_split_prints_table_one_and_the_reasons(rows_file, tmp_path):
    write_jsonl(tmp_path / "more.jsonl", [animal_row(id="bad", answer="vampire")])
    out = tmp_path / "bench"
    result = run(
        "construct", "split", rows_file, tmp_path / "more.jsonl", "--pitches", tmp_path / "pitches.jsonl", "--out", out
    )
    assert result.exit_code == 0, result.output
    assert f"| {ANIMAL} | train | 21 |" in result.stdout
    assert "1: the answer is blocked" in result.stdout
    assert [row["id"] for row in read_jsonl(out / "rejects.jsonl")] == ["bad"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give the clips' pitches"),
        (("--pitches", "gone.jsonl"), "'gone.jsonl' does not exist"),
        (("--blocked-answers", "gone.txt"), "cannot read the block list 'gone.txt'"),
        (("--similarity", "0"), "a similarity of 0.0 cannot be"),
        (("--wiki", "gone"), "'gone' does not exist"),
    ],
)
def test_split_refuses_bad_input_on_one_line_and_writes_no_benchmark(rows_file, tmp_path, arguments, message):
    result = run("construct", "split", rows_file, "--out", tmp_path / "bench", *arguments)
    assert message in reason_of(result)
    assert not (tmp_path / "bench" / "README.md").exists()


def test_the_options_defaults_are_the_librarys():
    def defaults(command):
        return {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}

    pitch, split = defaults(construct_pitch), defaults(construct_split)
    assert PitchSettings() == PitchSettings(pitch["estimator"], pitch["fmin"], pitch["fmax"])
    assert FilterSettings().min_difference == split["min_difference"]
    assert FilterSettings().near_duplicate_similarity == split["similarity"]


def test_wiki_sets_are_evaluated_by_themselves_and_as_a_split(rows_file, tmp_path, parts):
    (tmp_path / "ranges.csv").write_text("name,lowest,highest,unit\npiccolo,74,108,midi\ntuba,26,65,midi\n")
    (tmp_path / "calls.csv").write_text("animal,call\ncat,meow\ndog,woof\n")
    options = ("--ranges", tmp_path / "ranges.csv", "--calls", tmp_path / "calls.csv", "--out", tmp_path / "wiki")
    made = run("construct", "wiki", *options, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["rows"] == {ANIMAL: 2, PITCH: 1}
    measured = run("evaluate", parts.language_model, "--data-dir", tmp_path / "wiki", "--split", "wiki", "--json")
    assert measured.exit_code == 0, measured.output
    assert [result["rows"] for result in json.loads(measured.stdout)["results"]] == [2, 1, 3]
    bench = ("--pitches", tmp_path / "pitches.jsonl", "--wiki", tmp_path / "wiki", "--out", tmp_path / "bench")
    split = run("construct", "split", rows_file, *bench, "--json")
    assert json.loads(split.stdout)["rows"][PITCH] == {"train": 21, "validation": 3, "test": 6, "wiki": 1}


def test_a_review_is_drawn_read_back_and_its_rejects_dropped(rows_file, tmp_path):
    split = ("construct", "split", rows_file, "--pitches", tmp_path / "pitches.jsonl", "--out", tmp_path / "bench")
    assert run(*split).exit_code == 0
    review = tmp_path / "review"
    draw = ("construct", "review", "draw", tmp_path / "bench", "--annotator", "ada", "--annotator", "ben")
    drawn = json.loads(run(*draw, "--items", 10, "--out", review, "--json").stdout)
    assert drawn["items"] == 20
    assert drawn["sheets"] == [str(review / f"sheet-{name}.csv") for name in ("ada", "ben")]
    bad = read_jsonl(review / "items.jsonl")[0]["id"]
    for name in ("ada", "ben"):
        sheet = review / f"sheet-{name}.csv"
        with sheet.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        with sheet.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(row | {"accuracy": 0 if row["id"] == bad else 100, "fluency": 3} for row in rows)
    read = run("construct", "review", "read", review, "--drop", tmp_path / "drop.jsonl")
    assert read.exit_code == 0, read.output
    assert f"| {ANIMAL} | 10 | 2 | 90.00 | 3.00 | 1.000 | not defined |" in read.stdout
    assert f"{bad}: accuracy below 50" in read.stdout
    again = run(*split, "--drop", tmp_path / "drop.jsonl", "--json")
    assert json.loads(again.stdout)["rejected"] == {"dropped in a review": 1}
    (review / "sheet-ada.csv").write_text("id,annotator,accuracy\n1,ada,100\n")
    assert "no column 'fluency'" in reason_of(run("construct", "review", "read", review))
