"""The web demo as a folder that runs as a Hugging Face Space."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingface_hub import SpaceCard, SpaceCardData

from audiobert.modeling_audiobert.atomic_files import staged_folder
from audiobert.modeling_audiobert.errors import AudioBertInputError
from audiobert.trainers.listener import Listener


__all__ = ["export_space"]

_APP = '''"""The web demo of AudioBERT, as `audiobert demo` serves it."""

from pathlib import Path

from audiobert.demo import launch_demo


here = Path(__file__).parent
launch_demo({model}, audio_dir={audio_dir})
'''
# Git on the Hub refuses large files that are not declared; these are what a model and a bank consist of.
_LARGE_FILES = ("*.safetensors", "*.parquet", "*.wav", "*.flac", "*.mp3", "*.ogg", "*.opus", "*.aif", "*.aiff")
_CARD = """---
{{ card_data }}
---

# {{ title }}

Type a sentence with `[MASK]` and see what a language model answers with and without hearing, and what it heard.

{{ model }} Made with [AudioBERT](https://arxiv.org/abs/2409.08199)'s `audiobert demo --export-space`; `python app.py`
runs it anywhere.
"""


def export_space(
    model: str | os.PathLike, folder: str | os.PathLike, audio_dir: str | os.PathLike | None = None
) -> Path:
    """Write the web demo of a model as a Space: `app.py`, `requirements.txt`, `README.md`, `.gitattributes`.

    A local model folder is copied into it, as `model`, and with `audio_dir` the bank's clips, as `clips`; a model on
    the Hub is named only.

    Args:
        model (`str` or `Path`): a saved AudioBERT, a folder or Hub id; it is loaded once, to see that it works.
        folder (`str` or `Path`): where the Space is written.
        audio_dir (`str` or `Path`, *optional*): the folder of the bank's clips, where the bank does not hold them.

    Returns:
        `Path`: the folder.

    Raises:
        AudioBertInputError: the model or a clip cannot be loaded, or the folder cannot be written to.
    """
    listener = Listener(model, audio_dir)
    local = Path(model).is_dir()
    folder = Path(folder)
    if local and folder.resolve().is_relative_to(Path(model).resolve()):
        raise AudioBertInputError(f"the Space '{folder}' would lie in the model that it copies. Choose another place.")
    with staged_folder(folder) as stage:
        if local:
            shutil.copytree(model, stage / "model", ignore=shutil.ignore_patterns("checkpoint-*", "runs", ".*"))
        if audio_dir is not None:
            _copy_clips(listener, stage / "clips")
        app = _APP.format(
            model='here / "model"' if local else repr(str(model)),
            audio_dir='here / "clips"' if audio_dir is not None else "None",
        )
        (stage / "app.py").write_text(app, encoding="utf-8")
        (stage / "requirements.txt").write_text("audiobert[demo]\n", encoding="utf-8")
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in _LARGE_FILES)
        (stage / ".gitattributes").write_text(attributes, encoding="utf-8")
        _card(None if local else str(model)).save(stage / "README.md")
    return folder


def _copy_clips(listener: Listener, destination: Path) -> None:
    for clip in listener.model.bank.clips["id"].to_pylist():
        source = listener.clip_file(clip)
        if source is not None:
            target = destination / source.relative_to(listener.audio_dir.resolve())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _card(hub_id: str | None) -> SpaceCard:
    return SpaceCard.from_template(
        SpaceCardData(
            title="AudioBERT",
            sdk="gradio",
            sdk_version=_gradio_version(),
            python_version="3.11",
            app_file="app.py",
            license="apache-2.0",
            models=[hub_id] if hub_id else None,
            short_description="A language model that hears what words name",
            emoji="👂",
            colorFrom="yellow",
            colorTo="red",
        ),
        template_str=_CARD,
        title="AudioBERT",
        model=f"The model is [{hub_id}](https://huggingface.co/{hub_id})." if hub_id else "The model lies in `model`.",
    )


def _gradio_version() -> str:
    try:
        return version("gradio")
    except PackageNotFoundError as error:
        raise AudioBertInputError('the web demo needs gradio: pip install "audiobert[demo]".') from error
