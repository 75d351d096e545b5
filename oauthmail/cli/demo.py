"""``oauthmail demo``: the main job from nothing, on the sandbox or on Dovecot and Postfix.

What it does is in a module of its own, as that needs the extra ``sandbox``, which the help must not.
"""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Starts the sandbox, obtains a token by the authorization code flow with PKCE, sends a
message over SMTP, reads it over IMAP and POP3, does the same with OAuth 1.0a, and shows
what a refusal says."""
EXAMPLES = """\
  oauthmail demo
  oauthmail demo --servers dovecot
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--servers",
        choices=("sandbox", "dovecot"),
        default="sandbox",
        help="what to log in to: the sandbox, or Dovecot and Postfix where they are installed, as root, and "
        "without OAuth 1.0a, which they do not have (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _demo

    return _demo.run(arguments)
