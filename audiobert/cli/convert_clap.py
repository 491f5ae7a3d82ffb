"""`audiobert convert-clap`."""

import json
from typing import Annotated

import typer


def convert_clap(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A .pt file of the laion-clap package.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder to write.")],
    tokenizer: Annotated[
        str, typer.Option(metavar="ID", help="RoBERTa's tokenizer: a folder or Hub id.")
    ] = "FacebookAI/roberta-base",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a checkpoint of laion-clap, fused or not, into a folder for --clap, once; no pickle is read after that.

    Example: audiobert convert-clap 630k-audioset-fusion-best.pt --out clap
    Then: audiobert bank build clips --clap clap --audio-encoder runs/audio_encoder --out bank
    """
    from audiobert.trainers.laion_clap_checkpoint import convert_laion_clap

    config = convert_laion_clap(checkpoint, out, tokenizer)
    if as_json:
        print(json.dumps({"folder": out, **config}, indent=2))
        return
    print(f"{out}: {config['audio_model']}, {'fused' if config['enable_fusion'] else 'not fused'}")
