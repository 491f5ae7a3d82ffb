"""`audiobert demo`."""

from typing import Annotated

import typer


def demo(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A saved AudioBERT: a folder or Hub id.")],
    audio_dir: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The folder of the bank's clips, where the bank does not hold their sound."),
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="By default the first free one from 7860.")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines in; by default only this one.")
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also give the page a public address, through Gradio.")
    ] = False,
    export_space: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write a folder that runs as a Hugging Face Space, instead of a page here."),
    ] = None,
) -> None:
    """Show in the browser what a model hears in a sentence, and let it hear something else.

    Needs the extra "demo": pip install "audiobert[demo]". Ctrl-C ends it.

    Example: audiobert demo runs/audiobert --port 7860
    """
    from audiobert.demo import export_space as write_space
    from audiobert.demo import launch_demo

    if export_space is not None:
        folder = write_space(model, export_space, audio_dir)
        print(f"{folder}: try it with 'python app.py' there, publish it with")
        print(f"  hf upload YOUR_NAME/{folder.name} {folder} --repo-type space")
        return
    launch_demo(model, audio_dir, server_name=host, server_port=port, share=share)
