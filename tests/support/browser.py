"""A headless Chromium, where there is one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator:
    """Yield a selenium driver with an empty profile; the test skips where Chromium, its driver or selenium lack."""
    webdriver = pytest.importorskip("selenium.webdriver", reason='selenium is missing: pip install "selenium"')
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("a browser is missing: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    with tempfile.TemporaryDirectory(prefix="audiobert-chromium-") as profile:
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(argument)
        session = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            yield session
        finally:
            session.quit()
