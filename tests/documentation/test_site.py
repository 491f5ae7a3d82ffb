"""The documentation as a site, and its drawing."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]


def module_of(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_is_what_its_code_draws():
    figures = ROOT / "docs" / "figures"
    assert (figures / "architecture.svg").read_text("utf-8") == module_of(figures / "architecture.py").drawing()


def test_the_site_builds_without_a_warning_and_shows_help_and_docstrings(tmp_path):
    for name in ("mkdocs", "mkdocstrings", "material"):
        pytest.importorskip(name, reason=f'{name} is missing: pip install "audiobert[docs]"')
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "audiobert bank build" in (tmp_path / "reference" / "commands" / "index.html").read_text("utf-8")
    page = (tmp_path / "reference" / "audio_bank" / "index.html").read_text("utf-8")
    # The list of arguments, with the name in bold: the sections were read.
    assert "<strong>queries</strong> (<code>torch.FloatTensor</code> of shape" in page
    for page in tmp_path.rglob("*.html"):
        assert not re.search(r'<(script|link)[^>]+(src|href)="https?://(?!127)', page.read_text("utf-8")), page
