"""`audiobert doctor`: what an installation lacks."""

import importlib.metadata
import json
import re
from pathlib import Path

from http_stand_in import Quiet, serving
from huggingface_hub import constants
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.diagnosis import EXTRAS, diagnose


ROOT = Path(__file__).resolve().parents[2]


def test_it_is_one_json_document_with_all_that_a_bug_report_needs():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    facts = json.loads(result.stdout)
    assert result.exit_code == (1 if facts["problems"] else 0)
    assert facts["versions"]["torch"] == importlib.metadata.version("torch")
    assert facts["devices"][0]["device"] == "cpu"
    assert {"models", "datasets", "code of models"} == set(facts["caches"])
    assert facts["hub"]["reachable"] is None  # the tests are offline, and it says so
    assert "HF_HUB_OFFLINE" in facts["hub"]["detail"]


def test_the_text_names_every_extra_and_how_to_get_it():
    facts, text = diagnose(reach_hub=False), CliRunner().invoke(app, ["doctor", "--offline"]).stdout
    assert facts["extras"]
    for name, extra in facts["extras"].items():
        line = next(line for line in text.splitlines() if line.startswith(f"  {name}, for {extra['purpose']}"))
        assert ("pip install" in line) is not extra["installed"]


def test_every_extra_has_a_purpose():
    declared = re.search(r"^EXTRAS = \{$(.*?)^\}$", (ROOT / "setup.py").read_text("utf-8"), re.M | re.S)[1]
    assert set(re.findall(r'^    "([\w-]+)":', declared, re.M)) == set(EXTRAS)


def test_a_missing_requirement_is_a_problem_and_ends_with_1(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "peft":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "datasets" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    result = CliRunner().invoke(app, ["doctor", "--offline"])
    assert result.exit_code == 1
    assert re.search(r"problems: .*peft is missing: pip install", result.stdout)
    assert "datasets 0.1 is installed, audiobert needs >=4.0" in result.stdout


class Answering(Quiet):
    def do_GET(self):
        self.answer(b"[]")


def test_the_hub_is_asked_and_what_it_says_is_told(monkeypatch, online):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Answering) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        assert diagnose()["hub"]["reachable"] is True
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    refused = diagnose()["hub"]
    assert refused["reachable"] is False
    assert "local folders" in refused["detail"]
    monkeypatch.setattr(constants, "ENDPOINT", "nonsense")
    assert diagnose()["hub"]["reachable"] is False
