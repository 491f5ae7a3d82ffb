"""Help that a newcomer can follow: every command shows an example, and every example is a real command line."""

import re

import pytest
from command_lines import leaves, parse
from typer.testing import CliRunner

from audiobert.cli import app
from audiobert.cli.next_steps import NEXT_STEPS


COMMANDS = leaves()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_shows_an_example_of_it_that_parses(name):
    examples = re.findall(r"^\s*Example: (audiobert .+)$", COMMANDS[name].help, re.M)
    assert examples, f"'audiobert {name} --help' shows no 'Example: audiobert {name} ...'"
    for example in examples:
        assert parse(example)[0] == name
    shown = CliRunner().invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert f"Example: audiobert {name}" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_ends_with_what_comes_next(name):
    following = COMMANDS[name].epilog.removeprefix("Next: ")
    if not following.endswith("--help"):
        parse(following)
    shown = " ".join(CliRunner().invoke(app, [*name.split(), "--help"]).stdout.split())
    assert shown.endswith(f"Next: {' '.join(following.split())}")


def test_every_next_step_belongs_to_a_command():
    assert set(NEXT_STEPS) <= set(COMMANDS)


@pytest.mark.parametrize("line", ["audiobert fill-maks x y", "audiobert fill-mask m t --topk 3", "audiobert bank"])
def test_a_line_that_is_no_command_is_noticed(line):
    with pytest.raises(Exception, match=r"fill-maks|--topk|names no command"):
        parse(line)


def test_every_parameter_is_explained():
    unexplained = [
        f"{name} {parameter.name}"
        for name, command in COMMANDS.items()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert COMMANDS
    assert unexplained == []


def test_the_shell_can_complete_commands(monkeypatch):
    # What a shell with the installed completion asks the program.
    monkeypatch.setenv("_AUDIOBERT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "audiobert fi")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = CliRunner().invoke(app, [], prog_name="audiobert")
    assert done.stdout.split() == ["fill-mask"]
