"""WebDataset tars of tiny sounds."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from tiny_sounds import RATE, noise, tone


def sound_bytes(sound: np.ndarray, ending: str = "flac") -> bytes:
    """A sound as the content of a file."""
    content = io.BytesIO()
    soundfile.write(content, sound, RATE, format=ending.upper())
    return content.getvalue()


def write_tar(file: Path, members: Iterable[tuple[str, object]], mode: str = "w") -> Path:
    """Write a tar: bytes as they are, sounds as what their name ends in, everything else as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as archive:
        for name, content in members:
            if isinstance(content, np.ndarray):
                content = sound_bytes(content, name.rpartition(".")[2])
            elif not isinstance(content, bytes):
                content = json.dumps(content).encode()
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return file


def write_tars(folder: Path, num_tars: int = 2, per_tar: int = 3) -> Path:
    """Write `0.tar`, `1.tar` … as LAION-Audio-630K has them: `0.flac`, `0.json`, `1.flac` … in each."""
    for index in range(num_tars):
        members = []
        for place in range(per_tar):
            number = index * per_tar + place
            sound = tone(200 + 90 * number, 0.3) if number % 2 else noise(0.3 + 0.1 * number, seed=number)
            text = {"text": [f"a sound, number {number}", "another caption"], "tag": ["sound", "loud"]}
            members += [(f"{place}.flac", sound), (f"{place}.json", {**text, "original_data": {"license": "CC0"}})]
        write_tar(folder / f"{index}.tar", members)
    return folder
