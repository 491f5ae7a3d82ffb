"""Command lines of the documentation, checked against the real command line without running them."""

import shlex

import click
import typer

from audiobert.cli import app


def parse(line: str) -> tuple[str, dict]:
    """Return the name of the command that a line calls, and the values of its parameters.

    Raises whatever the command line itself raises for a command or option that does not exist, or a wrong value.
    """
    words = shlex.split(line)
    assert words[0] == "audiobert", line
    command, words, names = typer.main.get_command(app), words[1:], ["audiobert"]
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        while words and words[0] in ("-v", "--verbose"):
            words = words[1:]
        assert words, f"'{line}' names no command"
        if " ".join(words[:2]) in command.commands:  # a command of two words, such as "evaluate clap"
            words = [" ".join(words[:2]), *words[2:]]
        assert words[0] in command.commands, f"'{line}': there is no command '{words[0]}'"
        command = command.commands[words[0]]
        names, words = [*names, words[0]], words[1:]
    context = command.make_context(" ".join(names), words)
    return " ".join(names[1:]), context.params


def leaves(command=None, names=()) -> dict[str, object]:
    """Return every command that does something, by its full name."""
    command = typer.main.get_command(app) if command is None else command
    if not hasattr(command, "commands"):
        return {" ".join(names): command}
    found = {}
    for name, child in command.commands.items():
        found |= leaves(child, (*names, name))
    return found
