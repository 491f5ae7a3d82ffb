"""`audiobert construct pitch`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def construct_pitch(  # noqa: PLR0913 - one argument an option
    clips: Annotated[
        Path,
        typer.Argument(
            metavar="CLIPS",
            help="What 'construct categorize' wrote, a .csv or .jsonl manifest with id and path, or a folder of "
            "audio files.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the pitches go, as JSON Lines.")],
    audio_dir: Annotated[
        Path | None, typer.Option(help="The folder that the paths are relative to; by default that of CLIPS.")
    ] = None,
    estimator: Annotated[str, typer.Option(help="pyin, yin or piptrack.")] = "pyin",
    fmin: Annotated[float, typer.Option(help="The lowest pitch to look for, in Hz.")] = 27.5,
    fmax: Annotated[float, typer.Option(help="The highest pitch to look for, in Hz.")] = 4186.0,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keeps the measurements; by default beside FILE.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Measure the average pitch of each clip in Hz, over its voiced frames; sounds without pitch get a reason.

    Interrupted, the same command goes on.

    Example: audiobert construct pitch clips/manifest.csv --out built/pitches.jsonl
    Then: audiobert construct generate built/clips.jsonl --pitches built/pitches.jsonl --out built/rows.jsonl
    """
    from audiobert.dataset_scripts.construction.clip_pitches import PitchSettings, measure_clips
    from audiobert.dataset_scripts.construction.jsonl import write_jsonl
    from audiobert.trainers.audio_loading import load_audio
    from audiobert.trainers.evaluation_results import check_results_path

    check_results_path(out)
    settings = PitchSettings(estimator, fmin, fmax)
    rows, folder = _read(clips)
    cache = cache or out.parent / "cache" / "pitch"
    measured = measure_clips(rows, audio_dir or folder, load_audio, settings, cache, workers)
    write_jsonl(out, measured)
    counts = {
        "file": str(out),
        "clips": len(measured),
        "pitched": sum(row["average_pitch_hz"] is not None for row in measured),
        "unreadable": sum(row.get("failed", False) for row in measured),
    }
    if as_json:
        print(json.dumps(counts))
        return
    print(f"{out}: {counts['pitched']} of {counts['clips']} clips have a pitch", end="")
    print(f"; {counts['unreadable']} files cannot be read." if counts["unreadable"] else ".")


def _read(source: Path) -> tuple[list[dict], Path]:
    """Return the clips, and the folder of their files."""
    from audiobert.dataset_scripts.construction.jsonl import read_jsonl
    from audiobert.trainers.clip_sources import read_clips

    if source.suffix.lower() == ".jsonl":
        return read_jsonl(source, ("id", "path")), source.parent
    found = read_clips(source)
    return [{"id": clip.id, "path": clip.path} for clip in found.clips], found.folder
