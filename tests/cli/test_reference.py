"""docs/reference/cli.md names every command and option, and none that does not exist."""

import re
from pathlib import Path

import pytest
import typer.main

from headwater.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
SECTIONS = dict(
    re.findall(
        r"^## `headwater ([a-z-]+(?: [a-z-]+)*)[^\n]*\n(.*?)(?=^## |\Z)",
        PAGE,
        re.MULTILINE | re.DOTALL,
    )
)
GROUP = typer.main.get_command(app)


def all_commands(group, before=""):
    """The commands by the words that call them, those of a group too."""
    found = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {before + name: command} if inner is None else all_commands(command, f"{name} ")
    return found


COMMANDS = all_commands(GROUP)


def options(command):
    found = [name for p in command.params for name in p.opts if name.startswith("-")]
    return sorted(name for name in found if name not in {"-h", "--help"})


def documented(text):
    cells = re.findall(r"^\| (`-[^|]*)\|", text, re.MULTILINE)
    names = re.findall(r"`(-{1,2}[A-Za-z-]+)", " ".join(cells))
    return sorted(name for name in names if name not in {"-h", "--help"})


def test_every_command_has_a_section():
    assert list(SECTIONS) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_has_a_row(name):
    assert documented(SECTIONS[name]) == options(COMMANDS[name])


def test_every_shared_option_has_a_row():
    shared = PAGE.partition("## Before the command")[2].partition("\n## ")[0]
    assert documented(shared) == options(GROUP)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    command = COMMANDS[name]
    assert command.help
    assert len(command.help.splitlines()[0]) <= 45, "the list of commands would cut it"
    assert all(p.help for p in command.params if p.name != "help"), name


@pytest.mark.parametrize("name", COMMANDS)
def test_reading_commands_write_json(name):
    if name not in {"init", "serve"}:
        assert "--json" in options(COMMANDS[name])
