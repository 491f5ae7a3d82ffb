"""Looking at audio banks on disk."""

from pathlib import Path


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a bank, byte for byte."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
