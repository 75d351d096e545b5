"""``oauthmail sandbox``: servers to try things on.

What it does is in a module of its own, as that needs the extra ``sandbox``, which the help must not.
"""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Runs an OAuth authorization server and SMTP, IMAP and POP3 servers on this machine
until Ctrl-C. They let anybody in and listen on loopback only."""
EXAMPLES = """\
  oauthmail sandbox
  oauthmail sandbox --like microsoft
  oauthmail sandbox --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--like",
        choices=("generic", "gmail", "microsoft", "yahoo"),
        default="generic",
        help="the provider to behave like (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON, for other programs")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _sandbox

    return _sandbox.run(arguments)
