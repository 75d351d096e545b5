"""The manual page as source for man, made of the parser's tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ._tree import Argument, Command, walk

__all__ = ["page"]

_ENVIRONMENT = {
    "OAUTHMAIL_HOME": "the folder where tokens are kept, in place of the one under FILES.",
    "OAUTHMAIL_CLIENT_SECRET": "the secret of the application that --client-id names.",
    "OAUTHMAIL_TOKEN_SECRET": "the secret of an OAuth 1.0a token, for string xoauth.",
    "BROWSER": "the browser that authorize opens.",
    "SSL_CERT_FILE": "certificates of the authorities that mail servers are checked with.",
    "REQUESTS_CA_BUNDLE": "the same for authorization servers.",
    "HTTPS_PROXY": "the proxy to authorization servers; mail servers are always spoken to directly.",
}

_FILES = {
    "~/.config/oauthmail": "one file for each mailbox, for this user alone; elsewhere the platform's own folder for "
    "configuration.",
}

# What roff takes for something else, where it is to stand for itself.
_SPECIAL = str.maketrans(
    {"\\": "\\e", "-": "\\-", "~": "\\(ti", "^": "\\(ha", "'": "\\(aq", "`": "\\(ga", '"': "\\(dq"}
)


def page(program: Command, epilog: str) -> str:
    """Return the page.

    Args:
        program: all commands.
        epilog: has the exit statuses.
    """
    from importlib.metadata import version

    lines = [
        f'.TH OAUTHMAIL 1 "" "oauthmail {version("oauthmail")}" "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        "oauthmail \\- mail with OAuth",
        ".SH SYNOPSIS",
        ".B oauthmail",
        ".I COMMAND",
        "[arguments]",
        ".SH DESCRIPTION",
        _text(program.description),
        ".SH COMMANDS",
    ]
    for command in program.commands:
        lines += [".TP", f".B {_text(command.words[-1])}", _text(command.help)]
    for command in program.commands:
        lines += _section(command)
    lines += [".SH EXIT STATUS", *_pairs(re.findall(r"^  (\d+) +(.+)$", epilog, re.MULTILINE))]
    lines += [".SH ENVIRONMENT", *_pairs(_ENVIRONMENT.items())]
    lines += [".SH FILES", *_pairs(_FILES.items())]
    return "\n".join(lines) + "\n"


def _section(command: Command) -> Iterator[str]:
    yield f".SH OAUTHMAIL {_text(' '.join(command.words).upper())}"
    yield from _synopsis(command)
    yield ".PP"
    yield _text(command.description)
    yield from _arguments(command)
    for below in list(walk(command))[1:]:
        yield f".SS oauthmail {_text(' '.join(below.words))}"
        yield from _synopsis(below)
        yield ".PP"
        yield _text(below.description)
        yield from _arguments(below)
    if command.examples:
        yield ".PP"
        yield "Examples:"
        yield ".PP"
        yield ".EX"
        yield from (_text(line) for line in command.examples.splitlines())
        yield ".EE"


def _synopsis(command: Command) -> Iterator[str]:
    yield f".B oauthmail {_text(' '.join(command.words))}"
    if any(argument.flags and "--help" not in argument.flags for argument in command.arguments):
        yield "[options]"
    for argument in command.arguments:
        if not argument.flags:
            shown = f"\\fI{_text(argument.value)}\\fR" + (" ..." if argument.repeatable else "")
            yield shown if argument.required else f"[{shown}]"
    if command.commands:
        yield ".I MECHANISM"


def _arguments(command: Command) -> Iterator[str]:
    for argument in sorted(command.arguments, key=lambda argument: bool(argument.flags)):
        if "--help" in argument.flags:
            continue
        yield ".TP"
        yield _named(argument)
        yield _text(argument.help)


def _named(argument: Argument) -> str:
    value = f"\\fI{_text(argument.value)}\\fR" if argument.value else ""
    if not argument.flags:
        return value
    return ", ".join(f"\\fB{_text(flag)}\\fR{' ' if value else ''}{value}" for flag in argument.flags)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in pairs:
        yield ".TP"
        yield f".B {_text(name)}"
        yield _text(text)


def _text(text: str) -> str:
    """Return text as roff prints it to the letter, in ASCII."""
    lines = text.translate(_SPECIAL).splitlines()
    # A dot or an apostrophe in front makes a line a command.
    kept = "\n".join(f"\\&{line}" if line[:1] == "." else line for line in lines)
    return "".join(character if character.isascii() else f"\\[u{ord(character):04X}]" for character in kept)
