"""The parser as plain values, for what is made of it: the manual page and the completion scripts."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Argument", "Command", "tree", "walk"]


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    Attributes:
        flags: such as ``("--json",)``; empty for one that has its place.
        value: what the help calls its value; empty for an option that has none.
        choices: all that the value may be, or empty.
        kind: ``"file"``, ``"folder"``, ``"address"``, ``"provider"``, or empty for a value of any other kind.
        help: in a sentence or two.
        group: the heading of its group, or empty.
        repeatable: whether it can be given more than once.
        required: whether it has to be there.
    """

    flags: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    kind: str
    help: str
    group: str
    repeatable: bool
    required: bool


@dataclass(frozen=True)
class Command:
    """One command, or the program itself.

    Attributes:
        words: how it is called, without the program's name.
        help: in a few words.
        description: in a paragraph.
        examples: one or more lines each, two blanks in front.
        arguments: in the order of the help.
        commands: those below it.
    """

    words: tuple[str, ...]
    help: str
    description: str
    examples: str
    arguments: tuple[Argument, ...]
    commands: tuple[Command, ...]


def tree(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), summary: str = "") -> Command:
    """Return the command that a parser reads."""
    groups = {
        id(action): group.title or ""
        for group in parser._action_groups[2:]  # the first two are argparse's own
        for action in group._group_actions
    }
    arguments, commands = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {found.dest: found.help or "" for found in action._choices_actions}
            commands = [tree(below, (*words, name), helps.get(name, "")) for name, below in action.choices.items()]
        elif action.help != argparse.SUPPRESS:
            arguments.append(_argument(action, groups.get(id(action), ""), parser.prog))
    examples = re.search(r"examples:\n((?:  .*\n)+)", parser.epilog or "")
    return Command(
        words,
        summary,
        parser.description or "",
        examples[1] if examples else "",
        tuple(arguments),
        tuple(commands),
    )


def walk(command: Command) -> Iterator[Command]:
    """Yield a command and all below it."""
    yield command
    for below in command.commands:
        yield from walk(below)


def _argument(action: argparse.Action, group: str, program: str) -> Argument:
    choices = tuple(str(choice) for choice in action.choices or ())
    value = ""
    if action.nargs != 0:
        value = str(action.metavar or ("{" + ",".join(choices) + "}" if choices else action.dest.upper()))
    filled = {**vars(action), "prog": program}
    return Argument(
        tuple(action.option_strings),
        value,
        choices,
        _kind(action.dest, value),
        (action.help or "") % {name: item for name, item in filled.items() if item is not argparse.SUPPRESS},
        group,
        repeatable=isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+"),
        required=not action.option_strings and action.nargs not in ("*", "?"),
    )


def _kind(name: str, value: str) -> str:
    """Return what there is to choose from for a value, by what the help calls it."""
    if name == "provider":
        return "provider"
    if value in ("FILE", "PATH", "SCRIPT"):
        return "file"
    if value in ("DIR", "FOLDER"):
        return "folder"
    return "address" if value in ("ADDRESS", "FROM") else ""
