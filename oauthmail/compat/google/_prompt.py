"""The question for a verification code, which answers itself where the browser has brought the code."""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._sign_in import SignIn

__all__ = ["ask"]


def ask(question: str, sign_in: SignIn | None) -> str:
    """Return what somebody types, or nothing once the browser has brought the answer or there is nobody to type.

    Args:
        question: is printed, as `input` does it.
        sign_in: under way; None where only a typed answer will do.
    """
    if sign_in is not None and not sign_in.listening:
        sign_in = None
    print(question, end="", flush=True)  # noqa: T201  # it is what the scripts print
    while True:
        try:
            typed = input().strip() if sign_in is None or _typing(sign_in) else None
        except EOFError:
            typed = None
        if typed is None:
            print()  # noqa: T201  # nobody else ends the line of the question
            return ""
        if typed or sign_in is None or not _on_terminal():
            return typed
        # Enter was pressed too early: the browser goes on being waited for.


def _on_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _typing(sign_in: SignIn) -> bool:
    """Wait for the person or the browser, and tell whether it is the person's turn.

    What is no terminal may hold lines that have been read ahead, which nothing but reading finds.
    """
    if not _on_terminal():
        return True
    try:
        ready = select.select([sys.stdin, sign_in], [], [])[0]
    except (OSError, ValueError):
        # Windows can wait for sockets only.
        return True
    return sign_in not in ready
