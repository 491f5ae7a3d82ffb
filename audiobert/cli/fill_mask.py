"""`audiobert fill-mask`."""

import json
from typing import Annotated

import typer


def fill_mask(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A saved AudioBERT: a folder or Hub id.")],
    text: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Sentences with a [MASK].")],
    top_k: Annotated[int, typer.Option(help="Predictions for each mask.", min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON document.")] = False,
) -> None:
    """Fill the masks of sentences, show what was heard, and beside it the same model with hearing off.

    Example: audiobert fill-mask runs/audiobert "meow is the sound a [MASK] makes."
    """
    from audiobert.trainers.prediction import fill_masks

    answers = fill_masks(model, text, top_k)
    if as_json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
        return
    for answer in answers:
        _show(answer)


def _show(answer: dict) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A width of its own where the output is no terminal, so that a pipe gets whole lines.
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    console.print(Text(answer["text"]), style="bold")
    for span in answer["spans"]:
        for clip in span["clips"]:
            known = ", ".join(filter(None, [clip["caption"], clip["licence"]]))
            console.print(
                Text(f"  heard {span['text']!r}: clip {clip['id']} ({known}), similarity {clip['similarity']:.3f}")
            )
    if not answer["spans"]:
        console.print("  nothing to hear: the language model answers as it is", style="dim")
    for mask, (on, off) in enumerate(zip(answer["predictions"], answer["hearing_off"], strict=True), start=1):
        table = Table("hearing on", "score", "hearing off", "score", box=None, padding=(0, 2))
        for with_hearing, without in zip(on, off, strict=True):
            table.add_row(
                Text(with_hearing["token_str"]),
                f"{with_hearing['score']:.4f}",
                Text(without["token_str"]),
                f"{without['score']:.4f}",
            )
        if len(answer["predictions"]) > 1:
            console.print(f"  mask {mask}")
        console.print(table)
