"""`audiobert bank build`, `add` and `remove`."""

import json
from typing import Annotated, Any

import typer


_Bank = Annotated[str, typer.Argument(metavar="BANK", help="A folder that 'bank build' wrote.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A manifest (.csv or .jsonl with id, path, caption), a folder of audio files, a WebDataset tar, pattern "
        "or folder of tars, a folder of Parquet files, or a dataset on the Hub (USER/NAME).",
    ),
]
_Clap = Annotated[str, typer.Option(metavar="ID", help="The CLAP that makes the keys: a folder or Hub id.")]
_Encoder = Annotated[
    str, typer.Option(metavar="ID", help="The audio encoder that makes the values: a folder or Hub id.")
]
_Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a source with files that cannot be used, instead of reporting them.")
]
_Embed = Annotated[
    bool, typer.Option("--embed-audio", help="Keep the files' bytes in the bank, so that it can be played alone.")
]
_Duplicates = Annotated[
    bool, typer.Option("--keep-duplicates", help="Keep clips whose samples are those of an earlier one.")
]
_NumProc = Annotated[int, typer.Option(metavar="N", help="Processes that decode; 1: threads of this process.")]
_Features = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Keep features there, as training does: what is there is not decoded again."),
]
_Pooling = Annotated[
    str, typer.Option(metavar="NAME", help="mean (paper), or trimmed_mean: without the padding of short clips.")
]
_Split = Annotated[str | None, typer.Option(metavar="NAME", help="One split of a dataset; all by default.")]


def build(  # noqa: PLR0913 - one argument an option
    source: _Source,
    clap: _Clap,
    audio_encoder: _Encoder,
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the bank is saved.")],
    num_proc: _NumProc = 1,
    feature_cache: _Features = None,
    split: _Split = None,
    audio_pooling: _Pooling = "mean",
    strict: _Strict = False,
    keep_duplicates: _Duplicates = False,
    embed_audio: _Embed = False,
    as_json: _AsJson = False,
) -> None:
    """Build an audio bank. Interrupted, the same command goes on; `accelerate launch -m audiobert` shares the work.

    Example: audiobert bank build clips/manifest.csv --clap runs/clap --audio-encoder runs/audio_encoder --out bank
    """
    from audiobert.trainers.bank_building import build_bank
    from audiobert.trainers.bank_encoding import BankOptions

    clips, encoders = _loaded(source, split, (clap, audio_encoder, audio_pooling))
    options = BankOptions(strict, embed_audio, keep_duplicates, feature_cache=feature_cache, num_proc=num_proc)
    built, report = build_bank(clips, encoders, out, options)
    _print_report(out, len(built), report, as_json)


def add(  # noqa: PLR0913 - one argument an option
    bank_folder: _Bank,
    source: _Source,
    clap: _Clap,
    audio_encoder: _Encoder,
    num_proc: _NumProc = 1,
    feature_cache: _Features = None,
    split: _Split = None,
    audio_pooling: _Pooling = "mean",
    strict: _Strict = False,
    keep_duplicates: _Duplicates = False,
    embed_audio: _Embed = False,
    as_json: _AsJson = False,
) -> None:
    """Add the clips of a source to a bank; those that it has are not encoded again.

    Example: audiobert bank add bank more/manifest.csv --clap runs/clap --audio-encoder runs/audio_encoder
    """
    from audiobert.trainers.bank_building import add_clips
    from audiobert.trainers.bank_encoding import BankOptions

    clips, encoders = _loaded(source, split, (clap, audio_encoder, audio_pooling))
    options = BankOptions(strict, embed_audio, keep_duplicates, feature_cache=feature_cache, num_proc=num_proc)
    built, report = add_clips(bank_folder, clips, encoders, options)
    _print_report(bank_folder, len(built), report, as_json)


def remove(
    bank_folder: _Bank,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Of the clips, as 'bank search --json' prints.")],
    as_json: _AsJson = False,
) -> None:
    """Remove clips from a bank; nothing is encoded, the others keep their order.

    Example: audiobert bank remove bank dog-17 dog-18
    """
    from audiobert.trainers.bank_building import remove_clips

    facts = {"bank": bank_folder, "clips": len(remove_clips(bank_folder, ids)), "removed": len(set(ids))}
    print(
        json.dumps(facts, indent=2)
        if as_json
        else f"{bank_folder}: {facts['clips']} clips, {facts['removed']} removed"
    )


def _loaded(source: str, split: str | None, encoders: tuple[str, str, str]) -> tuple[Any, Any]:
    """Return clips, and encoders by names and pooling; the clips first, since a wrong source is found sooner."""
    from audiobert.trainers.bank_encoding import load_bank_encoders
    from audiobert.trainers.clip_opening import open_clips

    return open_clips(source, split), load_bank_encoders(*encoders)


def _print_report(folder: str, num_clips: int, report: Any, as_json: bool) -> None:
    """Print what became of a source; under `accelerate launch`, by the first process, which has the whole report."""
    from audiobert.trainers.bank_building import SKIPPED_FILE

    if not report.is_main:
        return
    if as_json:
        facts = {"added": report.num_clips, "skipped": report.skipped, "duplicates": report.duplicates}
        print(json.dumps({"bank": folder, "clips": num_clips, **facts, "speed": report.speed}, indent=2))
        return
    left_out = f"{len(report.skipped)} skipped, {len(report.duplicates)} copies of others left out"
    see = f" (see {SKIPPED_FILE} there)" if report.skipped or report.duplicates else ""
    print(f"{folder}: {num_clips} clips, {report.num_clips} of them new; {left_out}{see}")
    speed = report.speed
    if speed["real_time_factor"] is not None:
        print(
            f"{speed['audio_seconds']:.0f} s of sound in {speed['seconds']:.0f} s (real-time factor "
            f"{speed['real_time_factor']:.4f}); {speed['encoder_share']:.0%} of the processor's time in the encoders"
        )
