"""What an installation of audiobert consists of, and what it lacks."""

import importlib.metadata
import os
import platform
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import torch
from huggingface_hub import constants
from packaging.requirements import Requirement
from transformers.utils import HF_MODULES_CACHE


__all__ = ["EXTRAS", "diagnose"]

EXTRAS = {
    "construct": "making a benchmark: 'audiobert construct'",
    "faiss": "fast search in large audio banks",
    "milvus": "searching audio banks in a Milvus database",
    "gaudi": "training on Intel Gaudi, in an environment of its own",
    "laion-clap": "CLAP checkpoints in LAION's own format, in an environment of its own",
    "starter": "the language model of 'audiobert quickstart'",
    "demo": "'audiobert demo'",
    "report": "the plots of 'audiobert report'",
    "lm-eval": "running the tasks of 'audiobert data export --format lm-eval'",
    "docs": "building the documentation",
    "test": "running the tests",
    "dev": "working on audiobert itself",
}
"""What each extra is for."""

_HUB_SECONDS = 5.0


def diagnose(reach_hub: bool = True) -> dict[str, Any]:
    """Return facts about this installation and machine.

    Args:
        reach_hub (`bool`, *optional*, defaults to `True`): ask the Hub whether it is there, for 5 seconds at most.

    Returns:
        `dict`:
            - **versions** (`dict[str, str]`): Python, the system, audiobert and every package that it requires.
            - **problems** (`list[str]`): requirements that are missing, or installed in a version that does not fit.
            - **devices** (`list[dict]`): `device`, `name` and, where known, `memory_bytes` of what torch can use.
            - **extras** (`dict[str, dict]`): `purpose`, `installed` (`bool`) and the packages that are `missing`.
            - **caches** (`dict[str, dict]`): `path` and `bytes` of what the Hugging Face libraries keep on this disk.
            - **hub** (`dict`): `endpoint`, `reachable` (`bool`, None if it was not asked), `detail`, `logged_in`.
    """
    required, extras = _requirements()
    return {
        "versions": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "audiobert": importlib.metadata.version("audiobert"),
            **{requirement.name: _installed(requirement.name) or "missing" for requirement in required},
        },
        "problems": [problem for problem in map(_problem, required) if problem],
        "devices": _devices(),
        "extras": {name: _extra(name, requirements) for name, requirements in extras.items()},
        "caches": _caches(),
        "hub": _hub(reach_hub),
    }


def _requirements() -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """Return what audiobert always needs, and what each extra needs, here."""
    metadata = importlib.metadata.metadata("audiobert")
    required: list[Requirement] = []
    extras: dict[str, list[Requirement]] = {name: [] for name in metadata.get_all("Provides-Extra") or []}
    for requirement in map(Requirement, metadata.get_all("Requires-Dist") or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            required.append(requirement)
            continue
        for name, listed in extras.items():
            if requirement.marker.evaluate({"extra": name}):
                listed.append(requirement)
    return required, extras


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _problem(requirement: Requirement) -> str | None:
    version = _installed(requirement.name)
    if version is None:
        return f'{requirement.name} is missing: pip install "{requirement.name}{requirement.specifier}"'
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is installed, audiobert needs {requirement.specifier}"
    return None


def _extra(name: str, requirements: list[Requirement]) -> dict[str, Any]:
    missing = [f"{requirement.name}{requirement.specifier}" for requirement in requirements if _problem(requirement)]
    return {"purpose": EXTRAS.get(name, "not described"), "installed": not missing, "missing": missing}


def _devices() -> list[dict[str, Any]]:
    devices: list[dict[str, Any]] = [
        {"device": "cpu", "name": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads used by torch"}
    ]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        devices[0]["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append({"device": f"cuda:{index}", "name": properties.name, "memory_bytes": properties.total_memory})
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": "Apple GPU"})
    if hasattr(torch, "hpu") and torch.hpu.is_available():
        devices.append({"device": "hpu", "name": f"{torch.hpu.device_count()} Intel Gaudi"})
    return devices


def _caches() -> dict[str, dict[str, Any]]:
    folders = {
        "models": constants.HF_HUB_CACHE,
        "datasets": datasets.config.HF_DATASETS_CACHE,
        "code of models": HF_MODULES_CACHE,
    }
    return {name: {"path": str(folder), "bytes": _size(Path(folder))} for name, folder in folders.items()}


def _size(folder: Path) -> int:
    # Links lead to files that are counted where they lie.
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _hub(reach: bool) -> dict[str, Any]:
    facts = {"endpoint": constants.ENDPOINT, "logged_in": huggingface_hub.get_token() is not None}
    if constants.HF_HUB_OFFLINE:
        return {**facts, "reachable": None, "detail": "not asked: HF_HUB_OFFLINE is set"}
    if not reach:
        return {**facts, "reachable": None, "detail": "not asked"}
    started = time.monotonic()
    try:
        with urllib.request.urlopen(f"{constants.ENDPOINT}/api/models?limit=1", timeout=_HUB_SECONDS):
            pass
    except (OSError, ValueError) as error:  # ValueError: an HF_ENDPOINT that is no address
        reason = getattr(error, "reason", None) or error
        return {**facts, "reachable": False, "detail": f"{reason}. Models and data must then be local folders."}
    return {**facts, "reachable": True, "detail": f"answered in {time.monotonic() - started:.1f} s"}
