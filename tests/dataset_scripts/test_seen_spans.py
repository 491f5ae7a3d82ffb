import json
import shutil

import pytest
from tiny_benchmark import ANIMAL_FILE, PITCH_FILE, write_benchmark
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.dataset_scripts.auditorybench.seen_spans import SeenSpans, seen_report
from audiobert.modeling_audiobert.errors import AudioBertInputError


def row(*spans, sentence="the [MASK] makes it", answer="cow"):
    return {"sentence": sentence, "answer": answer, "spans": [{"text": text} for text in spans]}


TRAIN = [
    row("sound of an alto saxophone", sentence="an old radio is [MASK] than that saxophone"),
    row("mooing", sentence="mooing is made by a [MASK]"),
]


@pytest.mark.parametrize(
    ("spans", "seen", "unseen_words"),
    [
        (["moo"], True, []),  # another form of the word
        (["loud cows"], True, []),  # an answer is training text too
        (["the radios in a shop"], True, []),  # so is every other word of a sentence
        (["bass saxophone"], True, []),  # the head word alone counts
        (["saxophone case"], False, ["case"]),
        (["saxophone", "tuba"], False, ["tuba"]),  # both spans have to be
        (["tuba", "bassoon and tuba"], False, ["tuba", "bassoon"]),
        (["mask"], False, ["mask"]),  # the gap is no text
        (["", " - "], None, []),
    ],
)
def test_a_row_is_seen_if_training_text_has_the_head_word_of_every_span(spans, seen, unseen_words):
    spans_seen = SeenSpans(TRAIN)
    assert (spans_seen.is_seen(row(*spans)), spans_seen.unseen_words(row(*spans))) == (seen, unseen_words)


@pytest.fixture
def benchmark(tmp_path):
    """A benchmark whose test split asks for a shawm, which training never names, in some rows."""
    folder = write_benchmark(tmp_path / "benchmark")
    path = folder / "published" / PITCH_FILE.format("test")
    path.write_text(path.read_text().replace("piccolo", "shawm"))
    return folder


def test_the_command_counts_and_lists_seen_and_unseen_rows(benchmark, tmp_path):
    arguments = ["data", "seen", "--data-dir", str(benchmark), "--out", str(tmp_path / "seen.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert "test sound_pitch_comparison: 18 rows, 12 seen, 6 unseen" in result.stdout
    assert "most rows unseen by: shawm (6)" in result.stdout
    report = json.loads((tmp_path / "seen.json").read_text())
    assert report == seen_report(benchmark) == json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert list(report["counts"]) == ["validation", "test", "wiki"]
    assert report["counts"]["test"]["animal_sound_recognition"] == {"rows": 24, "seen": 24, "unseen": 0}
    assert [len(report["rows"]["test"][part]) for part in ("seen", "unseen")] == [36, 6]
    assert all(name.startswith("spc-test-") for name in report["rows"]["test"]["unseen"])
    assert report["counts"]["wiki"]["sound_pitch_comparison"]["unseen"] == 0


def test_without_a_train_split_the_error_says_what_it_is_for(benchmark, tmp_path):
    folder = shutil.copytree(benchmark, tmp_path / "no_train")
    for path in folder.rglob(ANIMAL_FILE.format("train")):
        path.unlink()
    with pytest.raises(AudioBertInputError, match=r"train split is needed to tell rows seen .* no file for split"):
        seen_report(folder)
