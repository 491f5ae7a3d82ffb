"""The web demo without a browser: what is shown after each touch, the command, and the Space."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import soundfile
from hearing_model import HEARD, TWO_SPANS, save_hearing_model
from huggingface_hub import SpaceCard
from tiny_sounds import tone
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.demo.examples import example_sentences
from audiobert.demo.visit import Asked, Visit
from audiobert.trainers.listener import Listener


@pytest.fixture(scope="module")
def folder(parts, tmp_path_factory):
    return save_hearing_model(parts, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def visit(folder):
    return Visit(Listener(folder))


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


def test_every_span_has_cards_of_its_clips_and_the_visitors_own_sound_comes_first(visit, tmp_path):
    soundfile.write(tmp_path / "own.wav", tone(900), 16_000)
    first = visit.show(Asked(TWO_SPANS), hearing=True)
    span = first.answer["spans"][1]
    shown = visit.choose_sound(first.asked, str(tmp_path / "own.wav"), (span["start"], span["end"]), hearing=True)
    cards = visit.cards(shown.asked, shown.answer["spans"][1])
    assert cards[0][1] is None
    assert "own.wav" in cards[0][0]
    assert all(html.count("<audio") == html.count("<img") == 1 for html, _ in cards)
    assert visit.cards(shown.asked, shown.answer["spans"][0])[0][1] is not None
    # Taken away again, the clip that was retrieved is heard; and a clip chosen for the span replaces the sound.
    assert visit.choose_sound(shown.asked, None, None, hearing=True).answer == first.answer
    clip = span["clips"][1]["id"]
    chosen = visit.choose_clip(shown.asked, span, clip, hearing=True).answer["spans"][1]
    assert (chosen["sound"], [entry["id"] for entry in chosen["clips"] if entry["heard"]]) == (None, [clip])


def test_a_broken_sound_is_told_and_what_was_chosen_before_stays(visit, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    first = visit.show(Asked(HEARD), hearing=True)
    chosen = visit.choose_clip(first.asked, first.answer["spans"][0], "clip-2", hearing=True)
    shown = visit.choose_sound(chosen.asked, str(tmp_path / "broken.wav"), (0, 4), hearing=True)
    assert "broken.wav" in shown.notice
    assert shown.answer == chosen.answer
    assert shown.asked == chosen.asked


def test_every_word_but_the_mask_can_be_given_a_sound_spans_first(visit):
    shown = visit.show(Asked(HEARD), hearing=True)
    assert [word for word, _ in visit.places(shown.answer)] == ["meow", "is", "the", "sound", "a", "makes"]
    assert visit.places(None) == []


def test_a_clip_without_a_sound_says_how_to_get_it(parts, tmp_path):
    lean = save_hearing_model(parts, tmp_path, embed_audio=False)
    visit = Visit(Listener(lean))
    shown = visit.show(Asked(HEARD), hearing=True)
    html = visit.cards(shown.asked, shown.answer["spans"][0])[0][0]
    assert "<audio" not in html
    assert "--embed-audio" in html
    playing = Visit(Listener(lean, tmp_path / "clips"))
    assert "<audio" in playing.cards(shown.asked, shown.answer["spans"][0])[0][0]


def test_examples_come_from_the_models_card_where_it_has_some(folder, tmp_path):
    assert all("[MASK]" in sentence for sentence in example_sentences(tmp_path))
    (tmp_path / "README.md").write_text("---\nwidget:\n- text: a [MASK]\n- text: no gap\n---\n")
    assert example_sentences(tmp_path) == ["a [MASK]"]
    (tmp_path / "README.md").write_text("---\nwidget: [\n---\n")
    assert len(example_sentences(tmp_path)) > 1


def test_the_command_refuses_in_one_line(parts, folder, tmp_path):
    for arguments, reason in (
        ([tmp_path / "nowhere"], "there is no folder"),
        ([parts.language_model], "does not hear"),
        ([folder, "--audio-dir", tmp_path / "nowhere"], "to play the bank's clips from"),
        ([folder, "--export-space", folder / "space"], "would lie in the model"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert reason in re.findall("^audiobert: .*$", result.stderr, re.M)[0]
    assert not (folder / "space").exists()


def test_without_gradio_the_extra_is_named(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, "audiobert.demo.page", raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = run(folder)
    assert result.exit_code == 2
    assert 'pip install "audiobert[demo]"' in result.stderr


def test_a_taken_port_is_named(folder):
    pytest.importorskip("gradio", reason='gradio is missing: pip install "audiobert[demo]"')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(folder, "--port", port)
    assert result.exit_code == 2
    assert f"port {port} cannot be used" in result.stderr


def test_a_space_has_its_card_and_requirements_and_runs(parts, tmp_path):
    pytest.importorskip("gradio", reason='gradio is missing: pip install "audiobert[demo]"')
    lean = save_hearing_model(parts, tmp_path, embed_audio=False)
    space = tmp_path / "space"
    result = run(lean, "--export-space", space, "--audio-dir", tmp_path / "clips")
    assert result.exit_code == 0, result.output
    assert "hf upload" in result.stdout
    data = SpaceCard.load(space / "README.md").data
    assert (data.sdk, data.app_file) == ("gradio", "app.py")
    assert (space / "requirements.txt").read_text() == "audiobert[demo]\n"
    assert len((space / "app.py").read_text().splitlines()) < 12
    assert (space / "clips" / "clip-0.wav").read_bytes() == (tmp_path / "clips" / "clip-0.wav").read_bytes()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    with subprocess.Popen([sys.executable, "app.py"], cwd=space, env=environment) as server:
        try:
            assert _answers(f"http://127.0.0.1:{port}/config", server)
        finally:
            server.terminate()


def _answers(address: str, server: subprocess.Popen) -> bool:
    for _ in range(600):
        assert server.poll() is None, "the Space ended by itself"
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                return b"A sentence with [MASK]" in response.read()
        except OSError:
            time.sleep(0.1)
    return False
