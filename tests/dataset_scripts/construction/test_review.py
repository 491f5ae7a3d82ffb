"""Review of a benchmark: what is drawn, what the sheets say, and what a wrong sheet is told."""

import csv
import json
import random
import re

import pytest
from candidate_rows import ANIMAL, PITCH

from audiobert.dataset_scripts.construction.review_draw import SHEET_COLUMNS, draw_items, write_review
from audiobert.dataset_scripts.construction.review_results import judge_review, read_sheets, review_table
from audiobert.modeling_audiobert.errors import AudioBertInputError


def benchmark(rows: int = 30) -> dict:
    def row(task: str, split: str, index: int) -> dict:
        spans = [{"text": "meow", "start": 2, "end": 6}]
        sentence = f"A meow & <b>{index}</b> of a [MASK]."
        return {"id": f"{task}-{split}-{index}", "sentence": sentence, "answer": "cat", "spans": spans}

    return {
        task: {split: [row(task, split, index) for index in range(rows)] for split in ("train", "test")}
        for task in (ANIMAL, PITCH)
    }


@pytest.fixture
def review(tmp_path):
    items = draw_items(benchmark(), items=5)
    write_review(tmp_path / "review", items, ["ada", "ben"])
    return tmp_path / "review"


def fill(sheet, rate) -> None:
    """Fill in a sheet: `rate` gives (accuracy, fluency) for the number of an item."""
    with sheet.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    order = sorted(row["id"] for row in rows)
    for row in rows:
        row["accuracy"], row["fluency"] = rate(order.index(row["id"]))
    write(sheet, rows)


def write(sheet, rows, columns=SHEET_COLUMNS) -> None:
    with sheet.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def test_as_many_rows_as_asked_for_are_drawn_of_each_task_by_the_seed():
    tasks = benchmark()
    items = draw_items(tasks, items=10, seed=3)
    assert [sum(item["task"] == task for item in items) for task in tasks] == [10, 10]
    assert len({item["id"] for item in items}) == 20
    assert items == draw_items(tasks, items=10, seed=3)
    assert items != draw_items(tasks, items=10, seed=4)
    assert {item["split"] for item in draw_items(tasks, items=10, splits=["test"])} == {"test"}
    assert len(draw_items(tasks, items=1000)) == 120


def test_each_annotator_gets_every_item_in_an_order_of_their_own(review):
    orders = []
    for name in ("ada", "ben"):
        with (review / f"sheet-{name}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert {row["annotator"] for row in rows} == {name}
        orders.append([row["id"] for row in rows])
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_the_page_carries_the_items_as_data_and_loads_nothing(review):
    page = (review / "review.html").read_text("utf-8")
    assert "<b>1" not in page
    assert not re.findall(r"(?:src|href)=|https?:|import\(", page)
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])
    assert [item["id"] for item in data["items"]] == [
        json.loads(line)["id"] for line in (review / "items.jsonl").read_text("utf-8").splitlines()
    ]


def test_means_and_rows_to_drop_are_those_of_a_case_worked_by_hand(review):
    # Items 0 to 4 are the animals', 5 to 9 the pitches'.
    fill(review / "sheet-ada.csv", lambda index: (0 if index == 0 else 100, 1 if index == 9 else 3))
    fill(review / "sheet-ben.csv", lambda index: (50 if index == 0 else 100, 2 if index == 9 else 3))
    report = judge_review(*read_sheets(review))
    animals, pitches = report.tasks
    assert (animals.task, animals.items, animals.unrated) == (ANIMAL, 5, [])
    assert animals.accuracy == pytest.approx((0 + 50 + 8 * 100) / 10)
    assert pitches.fluency == pytest.approx((1 + 2 + 8 * 3) / 10)
    assert animals.annotators["ada"] == {"accuracy": 80.0, "fluency": 3.0, "items": 5}
    ids = sorted(item["id"] for item in read_sheets(review)[0])
    assert [(row["id"], row["reason"]) for row in report.drop] == [
        (ids[0], "accuracy below 50"),
        (ids[9], "fluency below 2"),
    ]
    assert f"| {ANIMAL} | 5 | 2 | 85.00 | 3.00 |" in review_table(report)


def test_agreement_is_one_for_equal_and_about_zero_for_random_ratings(tmp_path):
    items = draw_items(benchmark(rows=200), items=200)
    write_review(tmp_path, items, ["ada", "ben"])
    rates = {name: random.Random(name) for name in ("ada", "ben")}
    for name, generator in rates.items():
        fill(tmp_path / f"sheet-{name}.csv", lambda index, g=generator: (g.choice([0, 50, 100]), g.choice([1, 2, 3])))
    for task in judge_review(*read_sheets(tmp_path)).tasks:
        assert abs(task.accuracy_alpha) < 0.2
        assert abs(task.fluency_alpha) < 0.2
    for name in rates:
        fill(tmp_path / f"sheet-{name}.csv", lambda index: (50 * (index % 3), 1 + index % 3))
    for task in judge_review(*read_sheets(tmp_path)).tasks:
        assert task.accuracy_alpha == pytest.approx(1)
        assert task.fluency_alpha == pytest.approx(1)


def test_where_agreement_is_not_defined_none_is_given(review):
    fill(review / "sheet-ada.csv", lambda index: (50 * (index % 3), 1 + index % 3))
    alone = judge_review(*read_sheets(review, [review / "sheet-ada.csv"]))
    assert [task.accuracy_alpha for task in alone.tasks] == [None, None]
    fill(review / "sheet-ada.csv", lambda index: (100, 3))
    fill(review / "sheet-ben.csv", lambda index: (100, 3))
    equal = judge_review(*read_sheets(review))
    assert [task.accuracy_alpha for task in equal.tasks] == [None, None]
    assert "not defined" in review_table(equal)


def test_blank_cells_are_no_ratings_and_unrated_items_are_named(review):
    fill(review / "sheet-ada.csv", lambda index: ("", "") if index == 2 else (100, "") if index == 3 else (100, 3))
    (animals, _) = judge_review(*read_sheets(review, [review / "sheet-ada.csv"])).tasks
    assert animals.items == 4
    assert len(animals.unrated) == 1
    assert animals.fluency == 3


def changed(rows: list[dict], **cells) -> list[dict]:
    return [rows[0] | cells, *rows[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: changed(rows, accuracy="101"), r"'101' in column 'accuracy' is not a number from 0 to 100"),
        (lambda rows: changed(rows, accuracy="good"), r"'good' in column 'accuracy'"),
        (lambda rows: changed(rows, accuracy="nan"), r"'nan' in column 'accuracy'"),
        (lambda rows: changed(rows, fluency="0"), r"'0' in column 'fluency' is not a whole number from 1 to 3"),
        (lambda rows: changed(rows, fluency="2.5"), r"'2\.5' in column 'fluency'"),
        (lambda rows: changed(rows, id="else"), r"row 1 \(line 2\): the id 'else' is none of this review's"),
        (lambda rows: changed(rows, annotator=" "), r"row 1 \(line 2\) names no annotator"),
        (lambda rows: [*rows, rows[0]], r"row 11 \(line 12\): 'ada' rated the item .* already, in .*row 1"),
        (lambda rows: [row | {"accuracy": "", "fluency": ""} for row in rows], "has no rating in it"),
    ],
)
def test_a_wrong_sheet_is_named_with_its_row(review, change, message):
    sheet = review / "sheet-ada.csv"
    fill(sheet, lambda index: (100, 3))
    with sheet.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    write(sheet, change(rows))
    with pytest.raises(AudioBertInputError, match=message) as refusal:
        read_sheets(review, [sheet])
    assert "sheet-ada.csv" in str(refusal.value)


@pytest.mark.parametrize("column", ["id", "annotator", "accuracy", "fluency"])
def test_a_missing_column_is_named(review, column):
    sheet = review / "sheet-ada.csv"
    write(sheet, [dict.fromkeys(SHEET_COLUMNS, "1")], [name for name in SHEET_COLUMNS if name != column])
    with pytest.raises(AudioBertInputError, match=f"no column '{column}'"):
        read_sheets(review, [sheet])


def test_two_sheets_of_one_annotator_are_noticed(review):
    fill(review / "sheet-ada.csv", lambda index: (100, 3))
    (review / "sheet-copy.csv").write_bytes((review / "sheet-ada.csv").read_bytes())
    with pytest.raises(AudioBertInputError, match=r"sheet-copy\.csv', row 1 .*'ada' rated .* already"):
        read_sheets(review, [review / "sheet-ada.csv", review / "sheet-copy.csv"])


def test_a_folder_that_is_no_review_is_refused(tmp_path):
    with pytest.raises(AudioBertInputError, match=r"items\.jsonl' does not exist"):
        read_sheets(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"items": 0}, "0 items cannot be judged"),
        ({"splits": ["dev"]}, "no split 'dev'; choose from: train, test"),
        ({"tasks": {ANIMAL: {"test": []}}}, "no rows to draw from"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(AudioBertInputError, match=message):
        draw_items(**({"tasks": benchmark()} | arguments))


@pytest.mark.parametrize("names", [[], ["../ada"], ["ada", "Ada"]])
def test_annotators_need_names_that_can_be_told_apart(tmp_path, names):
    with pytest.raises(AudioBertInputError, match=r"[Nn]ame"):
        write_review(tmp_path / "review", draw_items(benchmark(), items=2), names)
    assert not (tmp_path / "review").exists()
