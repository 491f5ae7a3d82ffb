"""Takes the picture of the web demo: `demo.png` beside this file.

    python docs/figures/demo_picture.py runs/quickstart/audiobert [FOLDER_OF_THE_CLIPS] [NUMBER_OF_THE_EXAMPLE]

Needs the extra "demo", selenium, and Chromium with its driver.
"""

import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from audiobert.demo import launch_demo
from audiobert.demo.examples import example_sentences


_SIZE = (1160, 860)
_COLOURS = 128  # a palette keeps the file small, and bars and spectrograms readable


def main(model: str, audio_dir: str | None = None, example: str = "1") -> None:
    _, address, _ = launch_demo(model, audio_dir, prevent_thread_lock=True, quiet=True)
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.add_argument(f"--user-data-dir={profile}")
        options.add_argument(f"--window-size={_SIZE[0]},{_SIZE[1] + 150}")
        driver = webdriver.Chrome(options)
        try:
            driver.get(address)
            sentence = example_sentences(model)[int(example) - 1]
            WebDriverWait(driver, 60).until(lambda page: page.find_elements("css selector", ".ab-card audio"))
            driver.find_element("xpath", f"//button[normalize-space()='{sentence}']").click()
            time.sleep(5)
            WebDriverWait(driver, 60).until(lambda page: page.find_elements("css selector", ".ab-card audio"))
            time.sleep(2)  # the players draw themselves
            target = Path(__file__).with_name("demo.png")
            driver.save_screenshot(str(target))
        finally:
            driver.quit()
    picture = Image.open(target).convert("RGB").crop((0, 0, *_SIZE))
    picture.quantize(_COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
