"""Starting the web demo."""

import os
from pathlib import Path
from typing import Any

from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.listener import Listener


__all__ = ["launch_demo"]

# A sound of ten minutes, the longest that is taken, compressed; a WAV of that length is refused by its size already.
_MAX_UPLOAD = "40mb"


def launch_demo(model: str | os.PathLike, audio_dir: str | os.PathLike | None = None, **settings: Any):
    """Serve the web demo of a saved AudioBERT, until it is interrupted.

    Nothing is fetched from elsewhere but the model, if it is on the Hub; no statistics are sent.

    Args:
        model (`str` or `Path`): a folder or Hub id.
        audio_dir (`str` or `Path`, *optional*): the folder of the bank's clips, where the bank does not hold them.
        **settings: of `gradio.Blocks.launch`: `server_name`, `server_port`, `share`, `prevent_thread_lock` …

    Returns:
        What `gradio.Blocks.launch` returns: the app, its address here, and its public one.

    Raises:
        AudioBertInputError: gradio is not installed, the model cannot be loaded, or the port is taken.
    """
    try:
        from .page import demo_page, page_theme
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gradio":
            raise
        raise AudioBertInputError('the web demo needs gradio: pip install "audiobert[demo]".') from error
    page = demo_page(Listener(model, audio_dir))
    style = Path(__file__).with_name("style.css")
    try:
        return page.launch(
            **{"theme": page_theme(), "css_paths": style, "max_file_size": _MAX_UPLOAD, "footer_links": [], **settings}
        )
    except OSError as error:
        if settings.get("server_port") is None:
            raise
        raise AudioBertInputError(
            f"port {settings['server_port']} cannot be used ({error}). Choose another --port, or leave it out."
        ) from error
