"""``oauthmail man``: the manual page."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Prints the manual page oauthmail(1) as source for man, with every command and option."""
EXAMPLES = """\
  oauthmail man | man -l -
  oauthmail man > ~/.local/share/man/man1/oauthmail.1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes: nothing."""


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    import sys

    from . import EPILOG, build_parser
    from ._roff import page
    from ._tree import tree

    # roff has its own escapes for all that is not ASCII.
    sys.stdout.buffer.write(page(tree(build_parser()), EPILOG).encode("ascii"))
    return 0
