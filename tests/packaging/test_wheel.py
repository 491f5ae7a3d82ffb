"""The wheel holds the package and nothing else, and works where only it is installed, beside any modules of the user.

What it needs from others is lent to the new environment by the one that runs the tests, so that no network is needed.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml


ROOT = Path(__file__).resolve().parents[2]
# Folder of the checkout -> folder of the wheel.
ROOMS = {
    "audiobert": "audiobert",
    "modeling_audiobert": "audiobert/modeling_audiobert",
    "dataset_scripts": "audiobert/dataset_scripts",
    "metrics": "audiobert/metrics",
    "trainers": "audiobert/trainers",
}
EXTRAS = {"construct", "faiss", "milvus", "gaudi", "laion-clap", "starter", "demo", "report", "lm-eval"}
EXTRAS |= {"docs", "test", "dev"}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}


def run(*command: str | Path, folder: Path) -> str:
    """Run a command in a folder; return what it printed, or fail with what it said."""
    done = subprocess.run([*map(str, command)], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: what an earlier build left in the checkout must not get into it."""
    work = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs")
    shutil.copytree(ROOT, work / "tree", ignore=unwanted)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work, folder=work / "tree")
    (built,) = work.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """The interpreter of an environment that has the wheel, and what others wrote from the running environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, folder=folder)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip())
    # Python reads no .pth files in a folder that was itself added by one, so an editable install stays unseen.
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "lent.pth").write_text("\n".join(lent) + "\n")
    return python


# What a user's script beside modules of their own sees; audiobert first, so that it has every chance to disturb.
SCRIPT = """
import importlib, json, sys
import audiobert
failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
import dataset_scripts, metrics, modeling_audiobert, trainers
theirs = [module.whose for module in (dataset_scripts, metrics, modeling_audiobert, trainers)]
ours = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "audiobert"}
print(json.dumps({"failed": failed, "theirs": theirs, "ours": ours, "search_path": sys.path}))
"""


@pytest.fixture(scope="module")
def seen(wheel, clean_python, tmp_path_factory) -> dict:
    """What `SCRIPT` saw after importing every module of the wheel."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("dataset_scripts", "metrics", "modeling_audiobert", "trainers"):
        (folder / f"{name}.py").write_text("whose = 'the user'\n")
    (folder / "script.py").write_text(SCRIPT)
    return json.loads(run(clean_python, "script.py", *module_names(wheel), folder=folder).splitlines()[-1])


def module_names(wheel: Path) -> list[str]:
    files = sorted(name.removesuffix(".py") for name in packaged_files(wheel) if name.endswith(".py"))
    return [name.removesuffix("/__init__").replace("/", ".") for name in files]


def packaged_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    expected = set()
    for room, package in ROOMS.items():
        files = [file.relative_to(ROOT / room) for file in (ROOT / room).rglob("*") if file.is_file()]
        expected |= {f"{package}/{file.as_posix()}" for file in files if "__pycache__" not in file.parts}
    found = packaged_files(wheel)
    assert "audiobert/trainers/recipes/cpu_small.yaml" in found
    forgotten, unwanted = sorted(expected - found), sorted(found - expected)
    assert not forgotten, f"give their folders an __init__.py, or add the ending to DATA in setup.py: {forgotten}"
    assert not unwanted, unwanted


def test_the_metadata_say_what_the_checkout_says(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (place,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        facts = Parser().parsestr(archive.read(f"{place}/METADATA").decode("utf-8"))
        assert archive.read(f"{place}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert archive.read(f"{place}/top_level.txt").split() == [b"audiobert"]
    assert facts["Name"] == "audiobert"
    assert f'__version__ = "{facts["Version"]}"' in (ROOT / "audiobert" / "__init__.py").read_text("utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert facts["Version"] == citation["version"]
    assert facts["License-Expression"] == citation["license"] == "Apache-2.0"
    assert facts["Requires-Python"] == ">=3.10"
    assert set(facts.get_all("Provides-Extra")) == EXTRAS
    assert facts.get_payload().strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_the_command_is_installed_and_prints_its_help(clean_python, tmp_path):
    assert "Usage: audiobert" in run(clean_python.with_name("audiobert"), "--help", folder=tmp_path)


def test_the_users_own_modules_of_the_same_names_stay_theirs(seen):
    assert seen["theirs"] == ["the user"] * 4


def test_all_that_is_imported_of_audiobert_comes_from_the_wheel(seen, wheel, clean_python):
    assert set(module_names(wheel)) - set(seen["failed"]) <= set(seen["ours"])
    elsewhere = [file for file in seen["ours"].values() if not Path(file).is_relative_to(clean_python.parents[1])]
    assert elsewhere == []
    assert str(ROOT) not in seen["search_path"]


def test_every_module_imports_without_an_extra_or_names_the_one_it_needs(seen):
    unexplained = {name: error for name, error in seen["failed"].items() if "audiobert[" not in error}
    assert unexplained == {}
