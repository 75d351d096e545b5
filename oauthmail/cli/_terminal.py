"""Talks with a person: notes and questions on standard error, as what a command is for goes to standard output."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from ..errors import CredentialsError

__all__ = ["ask", "ask_secret", "confirmed", "marks", "note", "on_terminal", "wrapped", "write"]


def note(text: str = "") -> None:
    """Say something to the person."""
    write(text, sys.stderr)


def write(text: str, stream: TextIO) -> None:
    """Print a line at once, with escapes for what the stream's encoding has not."""
    encoding = stream.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def wrapped(start: str, text: str) -> str:
    """Return *text* behind *start*, its further lines under the first; names of hosts and addresses stay whole."""
    import shutil
    import textwrap

    return textwrap.fill(
        text,
        max(60, shutil.get_terminal_size((100, 24)).columns),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def marks(stream: TextIO) -> tuple[str, str, str]:
    """Return what stands for done, failed and not tried: signs, or plain letters where the encoding has no signs."""
    signs = ("✓", "✗", "–")  # noqa: RUF001  # a dash is what is meant
    try:
        "".join(signs).encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return ("+", "x", "-")
    return signs


def on_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None


def ask(question: str) -> str:
    """Return the line that somebody types, or that standard input holds.

    Raises:
        CredentialsError: there is none.
    """
    try:
        if on_terminal() and sys.stdout.isatty():
            # Without it a terminal cuts off what is pasted after some 1000 to 4000 characters; addresses are longer.
            with contextlib.suppress(ImportError):
                # Windows has no such limit, and no such module.
                import readline  # noqa: F401
            # It has to know what stands in front, or writes over it.
            return input(question)
        print(question, end="", file=sys.stderr, flush=True)
        return input() if on_terminal() else _line()
    except EOFError:
        raise CredentialsError("nothing was typed in") from None


def _line() -> str:
    line = sys.stdin.readline() if sys.stdin is not None else ""
    # Nobody else ends the line of the question.
    print(file=sys.stderr)
    if not line:
        raise EOFError
    return line.rstrip("\n")


def ask_secret(question: str) -> str:
    """Return a secret that somebody types, unseen, or that is the next line of standard input.

    Raises:
        CredentialsError: there is none.
    """
    if on_terminal():
        import getpass

        try:
            secret = getpass.getpass(question, stream=sys.stderr)
        except EOFError:
            secret = ""
    else:
        secret = ask(question)
    if not secret.strip():
        raise CredentialsError("no secret was typed in")
    return secret.strip()


def confirmed(question: str) -> bool:
    """Return whether somebody at the terminal says yes."""
    return ask(f"{question} [y/N] ").strip().lower() in ("y", "yes")
