"""What to do after each command, the last line of its help: in one place, so that the way between them is seen."""

import typer


__all__ = ["NEXT_STEPS", "add_next_steps"]

NEXT_STEPS = {
    "bank add": 'audiobert bank search bank "cat sound" --clap runs/clap',
    "bank build": 'audiobert bank search bank "cat sound" --clap runs/clap',
    "bank caption-keys": 'audiobert bank search caption_bank "cat sound" --clap runs/clap',
    "bank index": 'audiobert bank search bank "cat sound" --clap runs/clap',
    "bank info": 'audiobert bank search bank "cat sound" --clap runs/clap',
    "bank remove": "audiobert bank info bank",
    "bank search": "audiobert train audiobert --config cpu_small bank=bank data_dir=auditorybench audio_dir=clips",
    "compare": "audiobert evaluate runs/audiobert --data-dir auditorybench --ablations --out ablations.json",
    "construct categorize": "audiobert construct generate clips.jsonl --out candidates.jsonl",
    "construct generate": "audiobert construct split candidates.jsonl --pitches pitches.jsonl --out my-bench",
    "construct pitch": "audiobert construct generate clips.jsonl --pitches pitches.jsonl --out candidates.jsonl",
    "construct split": "audiobert evaluate MODEL --data-dir my-bench --split test",
    "data check": "audiobert data export --clean-train --out auditorybench-parquet",
    "data export": "audiobert data push YOUR_NAME/auditorybench",
    "data push": "audiobert evaluate MODEL --split test",
    "data seen": "audiobert evaluate MODEL --data-dir auditorybench --by-seen",
    "data stats": "audiobert data check --data-dir auditorybench",
    "demo": "audiobert demo runs/audiobert --export-space space",
    "doctor": "audiobert --help",
    "evaluate": "audiobert report results.json --data-dir auditorybench --out report",
    "evaluate clap": "audiobert bank build clips --clap runs/clap --audio-encoder runs/audio_encoder --out bank",
    "fill-mask": "audiobert demo runs/audiobert",
    "quickstart": "audiobert demo runs/quickstart/audiobert --audio-dir runs/quickstart/clips",
    "report": 'audiobert fill-mask runs/audiobert "meow is the sound a [MASK] makes."',
    "train audio-encoder": "audiobert bank build clips --clap runs/clap --audio-encoder runs/audio_encoder --out bank",
    "train audiobert": "audiobert evaluate runs/audiobert --data-dir auditorybench --split validation",
    "train clap": "audiobert bank build clips --clap runs/clap --audio-encoder runs/audio_encoder --out bank",
    "train detector": "audiobert train audiobert --config cpu_small span_detector=runs/detector",
}
"""Command → the command line that usually follows it."""


def add_next_steps(app: typer.Typer, path: tuple[str, ...] = ()) -> None:
    """Let the help of every command end with what follows it; of one not listed, with where to look."""
    for command in app.registered_commands:
        name = " ".join((*path, command.name or command.callback.__name__.replace("_", "-")))
        command.epilog = f"Next: {NEXT_STEPS.get(name, ' '.join(('audiobert', *path, '--help')))}"
    for group in app.registered_groups:
        add_next_steps(group.typer_instance, (*path, group.name))
