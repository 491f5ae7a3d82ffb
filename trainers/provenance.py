"""What a result was made with: the versions of the software, and digests of the data."""

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any


__all__ = ["rows_digest", "versions"]


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
