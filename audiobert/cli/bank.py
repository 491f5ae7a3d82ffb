"""`audiobert bank`: build, search and inspect audio banks."""

import json
from typing import Annotated

import typer

from .bank_index import index


bank = typer.Typer(
    help="Audio banks: sound clips with the keys that find them and the values that AudioBERT injects.",
    no_args_is_help=True,
)

bank.command()(index)

_Bank = Annotated[str, typer.Argument(metavar="BANK", help="A folder that 'bank build' wrote, or a Hub repository.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@bank.command()
def build(  # noqa: PLR0913 - one argument an option
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A manifest (.csv or .jsonl with id, path, caption), or a folder of audio files. A folder with a "
            "manifest.csv or manifest.jsonl is read by it.",
        ),
    ],
    clap: Annotated[str, typer.Option(metavar="ID", help="The CLAP that makes the keys: a folder or Hub id.")],
    audio_encoder: Annotated[
        str, typer.Option(metavar="ID", help="The audio encoder that makes the values: a folder or Hub id.")
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the bank is saved.")],
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out files that cannot be used, and list them in the bank.")
    ] = False,
    embed_audio: Annotated[
        bool, typer.Option("--embed-audio", help="Keep the files' bytes in the bank, so that it can be played alone.")
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Build an audio bank from a folder or manifest. Interrupted, the same command goes on.

    Example: audiobert bank build clips/manifest.csv --clap runs/clap --audio-encoder runs/audio_encoder --out bank
    """
    from audiobert.trainers.bank_building import SKIPPED_FILE, build_bank
    from audiobert.trainers.bank_encoding import BankOptions, load_bank_encoders
    from audiobert.trainers.clip_sources import read_clips

    clips = read_clips(source)
    options = BankOptions(skip_broken=skip_broken, embed_audio=embed_audio)
    built, report = build_bank(clips, load_bank_encoders(clap, audio_encoder), out, options)
    if as_json:
        print(json.dumps({"bank": out, "clips": len(built), "skipped": list(report.skipped)}, indent=2))
        return
    skipped = f", {len(report.skipped)} skipped (see {SKIPPED_FILE} there)" if report.skipped else ""
    print(f"{out}: {len(built)} clips{skipped}")


@bank.command()
def search(
    bank_folder: _Bank,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to listen for, such as 'cat sound'.")],
    clap: Annotated[str, typer.Option(metavar="ID", help="The CLAP that the bank was built with.")],
    top_k: Annotated[int, typer.Option(metavar="K", help="How many clips.")] = 5,
    exact: Annotated[bool, typer.Option("--exact", help="Compare all keys, whatever index the bank has.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Find the clips of a bank that sound most like a text.

    Example: audiobert bank search bank "cat sound" --clap runs/clap --top-k 3
    """
    from audiobert.trainers.bank_search import search_bank

    found = search_bank(bank_folder, query, clap, top_k, "exact" if exact else "saved")
    if as_json:
        print(json.dumps({"query": query, "clips": found}, indent=2, ensure_ascii=False))
        return
    for clip in found:
        caption, licence = clip["caption"] or "no caption", clip["licence"] or "licence not known"
        print(f"{clip['similarity']:6.3f}  {caption}  [{licence}]  {clip['path']}")


@bank.command()
def info(bank_folder: _Bank, as_json: _AsJson = False) -> None:
    """Print what a bank holds: clips, hours, labels, licences, encoder fingerprints, size.

    Example: audiobert bank info bank --json
    """
    from audiobert.trainers.bank_search import bank_facts

    facts = bank_facts(bank_folder)
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{entry} ({count})" for entry, count in value.items())
        print(f"{name.replace('_', ' ')}: {value}")
