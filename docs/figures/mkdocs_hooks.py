"""Hooks of mkdocs: the import layout that reference pages are read from, and the help of every command as a page."""

import inspect
import shutil
from pathlib import Path

import typer

from audiobert.cli import app


_PLACE = "{{ commands }}"
_ROOT = Path(__file__).resolve().parents[2]
_LAYOUT = _ROOT / ".docs_package"


def on_startup(**kwargs) -> None:
    """Lay our folders out as they are imported: what reads the docstrings follows folders, not setup.py."""
    shutil.rmtree(_LAYOUT, ignore_errors=True)
    package = _LAYOUT / "audiobert"
    package.mkdir(parents=True)
    rooms = [_ROOT / name for name in ("modeling_audiobert", "dataset_scripts", "metrics", "trainers")]
    for entry in [*(_ROOT / "audiobert").iterdir(), *rooms]:
        (package / entry.name).symlink_to(entry)


def on_shutdown(**kwargs) -> None:
    """Take the layout away again."""
    shutil.rmtree(_LAYOUT, ignore_errors=True)


def on_page_markdown(markdown: str, **kwargs) -> str:
    """Return a page with the commands in the place that is kept for them."""
    return markdown.replace(_PLACE, commands()) if _PLACE in markdown else markdown


def commands() -> str:
    """Return the help of every command as Markdown."""
    return "\n".join(_sections(typer.main.get_command(app), "audiobert"))


def _sections(command, name: str) -> list[str]:
    if hasattr(command, "commands"):
        heading = [f"## {name}", "", inspect.cleandoc(command.help or ""), ""] if name != "audiobert" else []
        return heading + [
            line for child, entry in sorted(command.commands.items()) for line in _sections(entry, f"{name} {child}")
        ]
    text, _, example = inspect.cleandoc(command.help or "").partition("Example: ")
    lines = [f"### {name}", "", text.strip(), "", "```bash", " ".join(example.split()), "```", ""]
    lines += ["| argument or option | default | meaning |", "|---|---|---|"]
    return [*lines, *(_row(parameter) for parameter in command.params if parameter.name != "help"), ""]


def _row(parameter) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts) if parameter.opts[0].startswith("-") else ""
    name = names or f"`{parameter.metavar or parameter.name.upper()}`"
    default = (
        "needed" if parameter.required else "" if parameter.default in (None, False) else f"`{parameter.default}`"
    )
    return f"| {name} | {default} | {(parameter.help or '').replace('|', chr(92) + '|')} |"
