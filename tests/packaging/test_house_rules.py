"""Rules of CONTRIBUTING.md that no linter checks."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
ROOMS = ["modeling_audiobert", "dataset_scripts", "metrics", "trainers", "audiobert"]
# Whose code each room may import beside its own.
MAY_IMPORT = {
    "modeling_audiobert": set(),
    "dataset_scripts": {"modeling_audiobert"},
    "metrics": set(),
    "trainers": {"modeling_audiobert", "dataset_scripts", "metrics"},
    "audiobert": {"modeling_audiobert", "dataset_scripts", "metrics", "trainers"},
}
MOST_LINES = 400
FOLDERS = [*ROOMS, "tests", "benchmarks", "examples"]
SOURCES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))


def imported_rooms(file: Path, room: str) -> set[str]:
    """The rooms that a file imports from, absolutely or with dots; `audiobert` for the front door itself."""
    package = ["audiobert", *([] if room == "audiobert" else [room]), *file.relative_to(ROOT / room).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found |= {".".join([*base, *([node.module] if node.module else []), alias.name]) for alias in node.names}
    ours = [name.split(".") for name in found if name.split(".")[0] == "audiobert"]
    return {next((part for part in parts[1:2] if part in ROOMS), "audiobert") for parts in ours}


def test_no_source_file_is_too_long_to_read():
    assert len(SOURCES) > 20
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way_through_the_house(room):
    files = [file for file in SOURCES if file.is_relative_to(ROOT / room)]
    assert files
    allowed = MAY_IMPORT[room] | {room}
    wrong = {str(file.relative_to(ROOT)): imported_rooms(file, room) - allowed for file in files}
    assert {name: rooms for name, rooms in wrong.items() if rooms} == {}


def test_the_model_imports_its_own_files_as_the_hub_can_follow_them():
    wrong = []
    for file in sorted((ROOT / "modeling_audiobert").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level and (node.level > 1 or "." in (node.module or ".")):
                wrong.append(f"{file.name}:{node.lineno}: write 'from .file import name'")
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "audiobert" for name in names):
                wrong.append(f"{file.name}:{node.lineno}: audiobert is not there where this is remote code")
    assert wrong == []


LIST_MODULES = """
import json, sys
import audiobert
audiobert.AudioBertForMaskedLM  # the model, and all that it needs, is imported when it is first asked for
print(json.dumps([name for name in sys.modules if name.split(".")[0] != "audiobert"]))
"""
IMPORT_IN_PEACE = """
import contextlib, importlib, json, logging, os, pathlib, random, sys, warnings

# What others do when they are imported is not ours to judge: all of it happens before the first look.
for name in json.loads(pathlib.Path(sys.argv[1]).read_text()):
    with contextlib.suppress(Exception):
        importlib.import_module(name)

import numpy, torch

def look():
    loggers = {"": logging.getLogger(), **logging.Logger.manager.loggerDict}
    ours = {name: logger for name, logger in loggers.items() if isinstance(logger, logging.Logger)}
    levels = {name: [logger.level, len(logger.handlers)] for name, logger in ours.items()}
    return {
        "log levels and handlers": {name: seen for name, seen in levels.items() if seen != [0, 0]},
        "warning filters": [str(entry) for entry in warnings.filters],
        "environment": dict(os.environ),
        "search path": list(sys.path),
        "random state": str(random.getstate()),
        "numpy's random state": str([part.tolist() if hasattr(part, "tolist") else part
                                     for part in numpy.random.get_state()]),
        "torch's random state": torch.random.get_rng_state().tolist(),
        "torch's settings": [torch.get_num_threads(), str(torch.get_default_dtype()), torch.is_grad_enabled()],
        "working folder": [os.getcwd(), sorted(os.listdir())],
    }

reached = []
sys.addaudithook(lambda event, values: reached.append(event) if event.startswith("socket.") else None)
before = look()
reached.clear()
import audiobert
audiobert.AudioBertForMaskedLM
after = look()
print(json.dumps({"changed": [name for name in before if before[name] != after[name]], "network": reached}))
"""


def test_importing_audiobert_registers_and_does_nothing_else(tmp_path):
    def printed_by(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    others = printed_by("-c", LIST_MODULES)
    assert "transformers" in json.loads(others)
    (tmp_path / "others.json").write_text(others)
    assert json.loads(printed_by("-c", IMPORT_IN_PEACE, "others.json")) == {"changed": [], "network": []}
