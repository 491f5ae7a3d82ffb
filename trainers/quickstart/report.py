"""The quickstart's report: one HTML file that needs nothing else, with players and pictures of the sounds."""

import base64
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from audiobert.modeling_audiobert.atomic_files import staged_file

from ..audio_loading import load_audio
from ..spectrogram_picture import spectrogram_png
from .measuring import HELD_OUT, UNSEEN


__all__ = ["accuracy_rows", "write_report"]

_SAMPLING_RATE = 16_000
_TASKS = {
    "animal_sound_recognition": "which animal",
    "sound_pitch_comparison": "higher or lower",
    "combined": "both",
}


def write_report(path: Path, results: dict[str, Any], clips: Path) -> Path:
    """Write `results` of the quickstart as a page with the clips that were heard in it.

    Args:
        path (`Path`): the HTML file.
        results (`dict`): see `run_quickstart`.
        clips (`Path`): the folder that the bank's paths are relative to.

    Raises:
        AudioBertInputError: the file cannot be written, or a clip cannot be read.
    """
    answers = [
        {**answer, "spans": [{**span, "clips": _playable(span["clips"], clips)} for span in answer["spans"]]}
        for answer in results["answers"]
    ]
    template = (resources.files(__package__) / "report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(template).render(
        rows=accuracy_rows(results["accuracy"]),
        answers=answers,
        sample=results["sample"],
        seconds=results["seconds"],
        versions=results["versions"],
    )
    with staged_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def accuracy_rows(accuracy: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row a part and task: `part`, `task` (in words), `rows`, and `models`: name to accuracy."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for part in (HELD_OUT, UNSEEN):
        for entry in accuracy:
            if entry["part"] == part:
                row = rows.setdefault(
                    (part, entry["task"]),
                    {"part": part, "task": _TASKS[entry["task"]], "rows": entry["rows"], "models": {}},
                )
                row["models"][entry["model"]] = entry["accuracy"]
    return list(rows.values())


def _playable(clips: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    return [
        {
            **clip,
            "sound": _data_uri("audio/wav", (folder / clip["path"]).read_bytes()),
            "picture": _data_uri(
                "image/png", spectrogram_png(load_audio(folder / clip["path"], _SAMPLING_RATE), _SAMPLING_RATE)
            ),
        }
        for clip in clips
    ]


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
