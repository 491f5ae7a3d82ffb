"""The review's web page in a real browser: what is clicked there is what is read back."""

import time

import pytest
from browser import chromium
from candidate_rows import ANIMAL

from audiobert.dataset_scripts.construction.review_draw import draw_items, write_review
from audiobert.dataset_scripts.construction.review_results import read_sheets


@pytest.fixture
def driver():
    with chromium() as driver:
        yield driver


def test_answers_survive_a_reload_and_download_as_a_sheet_that_is_read(driver, tmp_path):
    hostile = '<img src=x onerror="document.title=1">, "quoted"'
    rows = [
        {"id": f"i{index}", "sentence": f"{hostile} {index}: a [MASK].", "answer": "cat", "spans": [{"text": "a"}]}
        for index in range(3)
    ]
    items = draw_items({ANIMAL: {"test": rows}})
    write_review(tmp_path / "review", items, ["nobody"])
    driver.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    driver.get((tmp_path / "review" / "review.html").as_uri())

    def click(name: str, value: str) -> None:
        driver.find_element("css selector", f'input[name="{name}"][value="{value}"]').click()

    def download() -> None:
        driver.find_element("id", "download").click()

    assert hostile in driver.find_element("css selector", "fieldset p").text
    assert driver.title == "Review of a benchmark"
    click("accuracy-0", "50")
    click("fluency-0", "2")
    click("accuracy-2", "100")
    driver.refresh()
    assert driver.find_element("id", "progress").text == "1 of 3 judged"
    download()
    assert "your name" in driver.find_element("id", "problem").text
    driver.find_element("id", "annotator").send_keys("ada")
    download()
    sheet, waited = tmp_path / "sheet-ada.csv", time.monotonic() + 20
    while not sheet.exists() and time.monotonic() < waited:
        time.sleep(0.05)
    _, ratings = read_sheets(tmp_path / "review", [sheet])
    assert [ratings["ada", item["id"]] for item in items] == [
        {"accuracy": 50.0, "fluency": 2.0},
        {"accuracy": None, "fluency": None},
        {"accuracy": 100.0, "fluency": None},
    ]
