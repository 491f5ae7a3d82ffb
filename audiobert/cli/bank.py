"""`audiobert bank`: search and inspect audio banks; see `bank_changes` for building them."""

import json
from typing import Annotated

import typer

from .bank_caption_keys import caption_keys
from .bank_changes import add, build, remove
from .bank_index import index


bank = typer.Typer(
    help="Audio banks: sound clips with the keys that find them and the values that AudioBERT injects.",
    no_args_is_help=True,
)
bank.command()(build)
bank.command()(add)
bank.command()(remove)
bank.command()(index)
bank.command()(caption_keys)

_Bank = Annotated[str, typer.Argument(metavar="BANK", help="A folder that 'bank build' wrote, or a Hub repository.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


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
    """Print what a bank holds: clips, hours, labels, licences, key source, encoder fingerprints, size.

    Example: audiobert bank info bank --json
    """
    from audiobert.trainers.bank_facts import bank_facts

    facts = bank_facts(bank_folder)
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{entry} ({count})" for entry, count in value.items())
        print(f"{name.replace('_', ' ')}: {value}")
