"""`audiobert bank caption-keys`: find clips by their captions instead of their sounds."""

import json
from typing import Annotated

import typer


def caption_keys(
    bank_folder: Annotated[
        str, typer.Argument(metavar="BANK", help="A folder that 'bank build' wrote, or a Hub repository.")
    ],
    clap: Annotated[str, typer.Option(metavar="ID", help="The CLAP that the bank was built with.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Where the new bank is saved: a new or empty folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Save a bank again with keys from its captions instead of its sounds. Not the paper's way; BANK stays as it is.

    Example: audiobert bank caption-keys bank --clap runs/clap --out caption_bank
    """
    from audiobert.trainers.caption_keys import save_keyed_by_captions

    keyed = save_keyed_by_captions(bank_folder, clap, out)
    facts = {"bank": out, "clips": len(keyed), "key_source": keyed.key_source}
    print(json.dumps(facts, indent=2) if as_json else f"{out}: {len(keyed)} clips, keys from their captions")
