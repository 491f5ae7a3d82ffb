import json
import time
from pathlib import Path

import pytest
from timing import interleaved, spread


pytest.importorskip("matplotlib", reason="the benchmarks' plots need matplotlib: pip install matplotlib")
import report
from report import aims, read_parts, write_report


def test_a_round_runs_everything_in_turn_and_the_first_is_not_counted():
    ran = []
    times = interleaved({"one": lambda: ran.append("one"), "two": lambda: ran.append("two")}, 3, "one")
    assert ran == ["one", "two"] * 4
    assert [times[name]["rounds"] for name in ("one", "two")] == [3, 3]


def test_ratios_are_to_the_base():
    times = interleaved({"slow": lambda: time.sleep(0.02), "none": lambda: None}, 2, "slow")
    assert times["slow"]["ratio"] == 1
    assert times["none"]["ratio"] < 0.5
    assert spread({"a": [1.0, 4.0, 2.0], "b": [1.0, 1.0, 1.0]}, "b")["a"] == {
        "median_ms": 2000,
        "least_ms": 1000,
        "most_ms": 4000,
        "rounds": 3,
        "ratio": 2,
        "ratio_of_least": 1,
    }


@pytest.fixture
def measured():
    base = "transformers and datasets"
    times = spread({base: [1.0, 1.1, 1.2], "audiobert": [1.3, 1.3, 1.3]}, base)
    times_of_parts = spread({"the parts": [2.0], "from_pretrained": [1.0]}, "the parts")
    return {
        "imports": {"measured": {"processor_time_of_a_new_process": times}},
        "loading": {"measured": {"times": times_of_parts}, "size": "tiny"},
    }


def test_an_aim_is_met_or_missed_by_the_median(measured):
    rows = {row["work"].split(",")[0]: row for row in aims(measured)}
    assert rows["import audiobert"]["measured"] == pytest.approx(1.182)
    assert not rows["import audiobert"]["met"]
    assert rows["from_pretrained"]["met"]


def test_the_report_tells_each_figure_with_its_spread(measured, tmp_path):
    for name, part in measured.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(part))
    text = write_report(tmp_path, tmp_path / "figures").read_text()
    assert "| at most 1.1 x | 1.18 x | 1.18 to 1.18 | **no** |" in text
    assert "| times | from_pretrained | 1000.0 | 1000.0 to 1000.0 | 1 | 0.500 |" in text


def test_the_measurements_in_the_repository_can_be_reported():
    works = [row["work"] for row in aims(read_parts(Path(report.__file__).parent / "results"))]
    assert any(work.startswith("search of 500,000 clips, nearest 10, 32 queries") for work in works)
    assert any(work.startswith("ordinary sentences") for work in works)
