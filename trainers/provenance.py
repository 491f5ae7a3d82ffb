"""What a result was made with: the versions of the software, and digests of the data."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch


__all__ = ["hardware", "rows_digest", "versions"]


def hardware() -> str:
    """Return what torch computes on here, for the record of a run."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    if torch.accelerator.is_available():
        return f"{torch.accelerator.device_count()} x {torch.accelerator.current_accelerator().type}"
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {torch.get_num_threads()} threads"


def rows_digest(rows: Sequence[dict[str, Any]]) -> str:
    """Return a SHA-256 over the rows' content, in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode("utf-8") + b"\n")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions that numbers can depend on."""
    names = ("audiobert", "torch", "transformers", "datasets", "tokenizers", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
