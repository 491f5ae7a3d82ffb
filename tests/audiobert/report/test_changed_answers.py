"""The page of rows that hearing changed: the right rows, readable on a phone, playing, and safe."""

import pytest
from browser import chromium
from hearing_model import save_hearing_model
from results_file import right, save_evaluation, wrong
from tiny_benchmark import write_benchmark

from audiobert.dataset_scripts.auditorybench import load_auditorybench
from audiobert.report import ReportOptions, write_report
from audiobert.trainers.evaluation import evaluate_model, save_results


pytest.importorskip("matplotlib", reason='matplotlib is missing: pip install "audiobert[report]"')


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    return write_benchmark(tmp_path_factory.mktemp("page") / "benchmark")


@pytest.fixture(scope="module")
def model(parts, tmp_path_factory):
    return save_hearing_model(parts, tmp_path_factory.mktemp("hearing"))


def page_of(folder, benchmark, model, answers, **settings) -> tuple[str, dict]:
    """The page of a model's folder, with the given answers to the test rows."""
    rows = [row | {"split": "test"} for row in load_auditorybench("combined", "test", benchmark).to_list()]
    results = save_evaluation(folder / "results.json", str(model), rows, answers, **settings)
    facts = write_report([str(results)], folder / "report", ReportOptions(data_dir=benchmark))
    return (folder / "report" / "hearing.html").read_text("utf-8"), facts["changed_answers"][0]


def test_a_measured_model_is_reported_with_the_clips_of_its_own_bank(benchmark, model, tmp_path):
    results = evaluate_model(model, benchmark, split="test")
    save_results(results, tmp_path / "results.json")
    facts = write_report([str(tmp_path / "results.json")], tmp_path / "out", ReportOptions(data_dir=benchmark))
    answered = {(entry["id"], entry["hearing"]): entry["predicted"] for entry in results["predictions"]}
    changed = {row for row, hearing in answered if answered[row, "on"] != answered[row, "off"]}
    (page,) = facts["changed_answers"]
    assert changed
    assert sum(count[tone] for count in page["counts"] for tone in ("better", "worse", "other")) == len(changed)
    assert set(page["shown"]) <= changed
    assert page["bank"]


def test_better_worse_and_other_rows_are_counted_and_drawn_from_every_task(benchmark, tmp_path):
    answers = {
        "on": lambda n, row: row["answer"] if n % 3 else "thing",
        "off": lambda n, row: row["answer"] if n % 3 == 0 else "nothing",
    }
    text, page = page_of(tmp_path, benchmark, "gone", answers)
    assert page["counts"] == [
        {"task": "animal", "split": "test", "better": 16, "worse": 8, "other": 0},
        {"task": "pitch", "split": "test", "better": 12, "worse": 6, "other": 0},
    ]
    assert "Right with hearing only: 8 of 28" in text
    assert "Right without hearing only: 8 of 14" in text
    assert "Wrong either way" not in text
    assert sum(row.startswith("asr") for row in page["shown"]) == sum(row.startswith("spc") for row in page["shown"])
    assert not page["bank"]
    assert "clip clip-0" in text


def test_hearing_that_changes_nothing_is_said(benchmark, model, tmp_path):
    text, page = page_of(tmp_path, benchmark, model, {"on": right, "off": right})
    assert "No answer is different" in text
    assert page["shown"] == []


def test_a_clip_that_the_bank_no_longer_has_is_named(benchmark, model, tmp_path):
    text, page = page_of(
        tmp_path, benchmark, model, {"on": right, "off": wrong}, heard=lambda n: (0.5, ["gone", "clip-1"])
    )
    assert page["bank"]
    assert "no clip &#x27;gone&#x27;" in text
    assert "a sound, number 1" in text


def test_what_comes_from_outside_cannot_become_markup(benchmark, tmp_path):
    answers = {"on": lambda n, row: "<script>alert(1)</script>", "off": wrong}
    text, _ = page_of(tmp_path, benchmark, "<b>model</b>", answers, heard=lambda n: (0.5, ["<i>clip</i>"]))
    assert "&lt;script&gt;" in text
    for markup in ("<script", "<b>", "<i>"):
        assert markup not in text


def test_the_page_fits_a_phone_and_its_players_play(benchmark, model, tmp_path):
    answers = {"on": right, "off": wrong}
    page_of(tmp_path, benchmark, model, answers, heard=lambda n: (0.5, ["clip-0", "clip-3"]))
    with chromium() as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
        )
        driver.get((tmp_path / "report" / "hearing.html").as_uri())
        width = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width == [360, 360]
        assert {"violin", "hiss"} <= {mark.text for mark in driver.find_elements("css selector", "mark")}
        loaded = """
            const done = arguments[0], sounds = [...document.querySelectorAll("audio")];
            Promise.all(sounds.map(sound => new Promise(next => {
                if (sound.readyState) next(sound.duration);
                sound.onloadedmetadata = () => next(sound.duration); sound.onerror = () => next(-1); sound.load();
            }))).then(done);
        """
        durations = driver.execute_async_script(loaded)
        assert len(durations) == 16
        assert durations == pytest.approx([0.5] * 16, abs=0.15)  # MP3 comes in whole frames
