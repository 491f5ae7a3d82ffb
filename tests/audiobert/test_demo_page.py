"""The web demo in a real browser: type, submit, switch hearing, choose a clip, upload a sound, do it wrong."""

import pytest
import soundfile
from browser import chromium
from hearing_model import HEARD, TWO_SPANS, UNHEARD, save_hearing_model
from tiny_sounds import tone

from audiobert.demo import launch_demo


gradio = pytest.importorskip("gradio", reason='gradio is missing: pip install "audiobert[demo]"')
WAIT_SECONDS = 30


@pytest.fixture(scope="module")
def address(parts, tmp_path_factory):
    folder = save_hearing_model(parts, tmp_path_factory.mktemp("demo"))
    (folder / "README.md").write_text(f"---\nwidget:\n- text: {HEARD}\n- text: {UNHEARD[0]}\n---\n")
    _, address, _ = launch_demo(folder, prevent_thread_lock=True, quiet=True)
    yield address
    gradio.close_all(verbose=False)


class Page:
    """The page as a visitor sees it; what is looked for is waited for."""

    def __init__(self, driver):
        self.driver = driver

    def all(self, selector: str) -> list:
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        # Gradio may redraw an element between its being found and its being read.
        script = "return [...document.querySelectorAll(arguments[0])].map(found => found.innerText).join('\\n')"
        return self.driver.execute_script(script, selector)

    def until(self, condition, what: str):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, WAIT_SECONDS).until(lambda _: condition(), what)

    def until_shown(self, selector: str, text: str = "") -> str:
        self.until(lambda: self.all(selector) and text in self.text(selector), f"{selector} with {text!r}")
        return self.text(selector)

    def ask(self, sentence: str) -> None:
        from selenium.webdriver.common.keys import Keys

        box = self.until(lambda: self.all("#sentence textarea"), "the text box")[0]
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(sentence or Keys.DELETE)
        self.all("#submit")[0].click()

    def bars(self) -> tuple[str, str]:
        return self.text(".ab-off tbody"), self.text(".ab-on tbody")

    def heard(self) -> str:
        return self.text(".ab-heard .ab-facts")


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser, address):
    browser.get(address)
    page = Page(browser)
    page.until_shown(".ab-sentence", "meow")
    page.until_shown("#span-0 .ab-card", "similarity")
    return page


def test_it_opens_with_the_models_own_example_answered(page):
    assert [button.text for button in page.all(".ab-examples button")] == [HEARD, UNHEARD[0]]
    assert page.text(".ab-sentence .ab-span") == "meow"
    assert page.text(".ab-sentence .ab-mask") == "[MASK]"
    off, on = page.bars()
    assert len(page.all(".ab-off tr")) == len(page.all(".ab-on tr")) == 5
    assert off != on
    assert len(page.all("#span-0 .ab-card")) == 4
    assert "licence: CC0" in page.heard()


def test_a_typed_sentence_is_answered_with_a_player_and_a_picture_for_each_clip(page):
    page.ask(TWO_SPANS)
    page.until_shown(".ab-sentence", "buzz")
    page.until_shown("#span-1 .ab-card", "similarity")
    assert page.text(".ab-sentence .ab-span") == "meow\nbuzz"
    assert len(page.all(".ab-bars")) == 2
    assert "Mask 2" in page.text("#bars")
    assert len(page.all(".ab-card audio")) == len(page.all(".ab-card img")) == 8
    script = (
        "const [audio, done] = arguments; const ready = () => done(audio.duration); "
        "audio.readyState ? ready() : audio.addEventListener('loadedmetadata', ready); audio.load()"
    )
    assert page.driver.execute_async_script(script, page.all(".ab-card audio")[0]) == pytest.approx(0.5, abs=0.01)
    assert page.driver.execute_script("return arguments[0].naturalWidth", page.all(".ab-card img")[0]) == 320


def test_hearing_can_be_switched_off_and_on(page):
    off, on = page.bars()
    page.all("#hearing input")[0].click()
    page.until_shown(".ab-on caption", "hearing switched off")
    assert page.bars() == (off, off)
    page.all("#hearing input")[0].click()
    page.until(lambda: page.bars() == (off, on), "the answer with hearing")


def test_another_clip_changes_the_prediction_at_once(page):
    (off, on), heard = page.bars(), page.heard()
    page.all("#span-0 button")[2].click()
    page.until(lambda: page.heard() not in ("", heard), "another clip to be marked as heard")
    assert page.bars()[0] == off
    assert page.bars()[1] != on
    page.all("#span-0 button")[0].click()
    page.until(lambda: page.heard() == heard, "the first clip again")
    assert page.bars() == (off, on)


def open_own_sound(page) -> None:
    if not page.all("#own-sound"):
        page.all("#own button")[0].click()
    page.until(lambda: page.all("#own-sound input[type=file]"), "the place for a sound of one's own")


def test_an_uploaded_sound_is_heard_and_a_broken_one_is_told(page, tmp_path):
    soundfile.write(tmp_path / "whistle.wav", tone(1500), 16_000)
    (tmp_path / "note.wav").write_bytes(b"not a sound " * 50)
    off, on = page.bars()
    open_own_sound(page)
    page.all("#own-sound input[type=file]")[0].send_keys(str(tmp_path / "note.wav"))
    assert "cannot be decoded" in page.until_shown(".ab-notice", "note.wav")
    assert page.bars() == (off, on)
    page.ask(HEARD)
    page.until(lambda: not page.all(".ab-notice"), "the notice to go")
    open_own_sound(page)
    page.all("#own-sound input[type=file]")[0].send_keys(str(tmp_path / "whistle.wav"))
    page.until_shown(".ab-heard", "your own sound")
    assert "whistle.wav" in page.text(".ab-heard")
    assert page.bars()[0] == off
    assert page.bars()[1] != on


BAD = {
    "empty": ("", "The sentence is empty"),
    "no mask": ("it is a loud sound.", "has no [MASK]"),
    "too long": ("it is a very " * 30 + "[MASK]", "Shorten it"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_answered_with_a_sentence_and_the_next_good_one_works(page, kind):
    sentence, reason = BAD[kind]
    page.ask(sentence)
    assert "Traceback" not in page.until_shown(".ab-notice", reason)
    assert page.text("#bars") == ""
    page.ask(UNHEARD[0])
    page.until_shown(".ab-on caption", "nothing to hear")
    assert page.all(".ab-notice") == []
    assert len(set(page.bars())) == 1


def test_what_comes_from_outside_is_shown_as_text(page):
    page.ask("<img src=x onerror=document.title='broken'> meow [MASK] ${1+1} {{2+2}}")
    assert "<img src=x" in page.until_shown(".ab-sentence", "${1+1} {{2+2}}")
    assert page.driver.title == "AudioBERT"


def test_it_fits_a_phone_and_fetches_nothing_from_elsewhere(page, address):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.driver.get(address)
        page.until_shown("#span-0 .ab-card", "similarity")
        assert page.driver.execute_script("return document.documentElement.scrollWidth") == 390
        left, right = (page.all(column)[0].rect for column in (".ab-off", ".ab-on"))
        assert right["y"] > left["y"] + left["height"] - 1  # one below the other
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    fetched = page.driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert fetched
    assert [name for name in fetched if not name.startswith((address, "data:"))] == []
