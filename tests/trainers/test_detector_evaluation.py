"""Thresholds, scores by task and split, false alarms and Table II, by cases worked by hand."""

import json

import pytest

from audiobert.trainers.detector_evaluation import (
    DetectorBenchmark,
    choose_threshold,
    false_alarms,
    measure_detector,
)
from audiobert.trainers.detector_report import table_of, table_text
from audiobert.trainers.detector_rows import OrdinaryText


ANIMAL, PITCH, COMBINED = "animal_sound_recognition", "sound_pitch_comparison", "combined"


def test_the_threshold_weighs_f1_against_false_alarms():
    # Two rows of validation: at 0.7 both tokens of the span are found, above only one of them.
    validation, labels = [[-1, 0.9, 0.7], [-1, 0.2, 0.1]], [[-100, 1, 1], [-100, 0, 0]]
    ordinary = [[-1, 0.8], [-1, 0.1], [-1, 0.6], [-1, 0.75]]
    alone = choose_threshold(validation, labels, None, 1.0)
    assert (alone["value"], alone["validation_weighted_f1"], alone["flagged_share"]) == (0.7, 1.0, None)
    # At 0.7 two of four are flagged; from 0.81 to 0.9 none, and the F1 is that of one position of two.
    careless = choose_threshold(validation, labels, ordinary, 0.9)
    assert (careless["value"], careless["flagged_share"]) == (0.7, 0.5)
    careful = choose_threshold(validation, labels, ordinary, 1.1)
    assert (careful["value"], careful["validation_weighted_f1"], careful["flagged_share"]) == (0.9, 0.5, 0.0)
    assert "1.1 x the share of 4 ordinary sentences" in careful["rule"]


def test_a_sentence_is_a_false_alarm_from_its_highest_token_on():
    counted = false_alarms([[-1, 0.4, 0.6], [-1, 0.59], [], [-1, 0.1, 0.9]], 0.6)
    assert counted == {"lines": 4, "flagged": 2, "share": 0.5, "flagged_lines": [0, 3]}


def benchmark_by_hand() -> DetectorBenchmark:
    """Three rows a split: an animal row that train also has, another one, and a pitch row; two tokens each."""
    rows = {
        split: [
            {"task": ANIMAL, "sentence": "A Seen  one"},
            {"task": ANIMAL, "sentence": f"new in {split}"},
            {"task": PITCH, "sentence": f"pitch in {split}"},
        ]
        for split in ("validation", "test", "wiki")
    }
    labels = [[1, 0], [1, 1], [0, 1]]
    datasets = {split: [{"labels": row} for row in labels] for split in rows}
    return DetectorBenchmark(rows, datasets, {"a seen one"}, OrdinaryText([{}], [{}], [], []))


def test_scores_are_by_task_and_split_with_and_without_seen_sentences():
    right = [[0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
    half = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]  # the second token of the second animal row is missed
    found = {"validation": right, "test": half, "wiki": right, "measure": [[0.2]], "measure with gap": [[0.8]]}
    measured = measure_detector(benchmark_by_hand(), found, 0.5)
    results = {(entry["task"], entry["split"]): entry for entry in measured["results"]}
    assert len(results) == 9
    assert all(entry["weighted_f1"] == 1.0 for (_, split), entry in results.items() if split != "test")
    animal, combined = results[ANIMAL, "test"], results[COMBINED, "test"]
    # Position 0: F1 1, twice in a span; position 1: F1 0, once in a span.
    assert animal["rows"] == 2
    assert animal["weighted_f1"] == pytest.approx(2 / 3)
    assert animal["token_f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert animal["span_f1"] == pytest.approx(1 / 2)
    # Position 1 with the pitch row: one of two found, so F1 2/3; both positions are twice in a span.
    assert combined["weighted_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert animal["unseen"]["rows"] == 1
    assert animal["unseen"]["weighted_f1"] == pytest.approx(1 / 2)
    assert results[PITCH, "test"]["unseen"]["weighted_f1"] == 1.0
    assert measured["ordinary_text"]["measure"]["flagged"] == 0
    assert measured["ordinary_text"]["measure_with_gap"]["flagged"] == 1


def run_with(weighted_f1: float, share: float, unseen: float | None) -> dict:
    scores = {"weighted_f1": weighted_f1, "token_f1": 0.5, "span_f1": 0.25}
    results = [
        {"task": task, "split": split, "rows": 3, **scores, "unseen": {**scores, "weighted_f1": unseen}}
        for task in (ANIMAL, PITCH, COMBINED)
        for split in ("validation", "test", "wiki")
    ]
    counted = {"lines": 2000, "flagged": 0, "share": share}
    return {"results": results, "ordinary_text": {"measure": counted, "measure_with_gap": counted}}


def test_table_two_gives_mean_and_sample_deviation_beside_the_papers_figures():
    runs = {
        "ours": [run_with(0.90, 0.01, 0.5), run_with(0.92, 0.03, 0.5), run_with(0.97, 0.02, None)],
        "one": [run_with(0.5, 0.1, 0.4)],
    }
    table = table_of(runs)
    (entry,) = [
        entry
        for entry in table["scores"]
        if (entry["detector"], entry["rows"], entry["metric"]) == ("ours", "all", "weighted_f1")
        and (entry["task"], entry["split"]) == (COMBINED, "test")
    ]
    # Mean 93; deviations -3, -1, 4: sqrt(26 / 2).
    assert entry["seeds"] == 3
    assert entry["mean"] == pytest.approx(93.0)
    assert entry["deviation"] == pytest.approx(13**0.5)
    assert json.loads(json.dumps(table)) == table

    text = table_text(table)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    head = lines.index(next(line for line in lines if "combined test" in line))
    assert lines[head][1:] == [
        f"{task} {split}" for task in ("animal", "pitch", "combined") for split in ("dev", "test", "wiki")
    ]
    paper, ours, one = lines[head + 2 : head + 5]
    assert paper == ["arXiv 2409.08199 (BERT-base)", *[""] * 7, "94.84 ± 0.21", "92.06 ± 1.74"]
    assert ours == ["ours", *["93.00 ± 3.61"] * 9]
    assert one == ["one", *["50.00"] * 9]
    assert text.count("94.84") == 1
    assert "| ours | no rows |" in text
    assert "| ours, 2000 lines | 2.00 ± 1.00 | 2.00 ± 1.00 |" in text
