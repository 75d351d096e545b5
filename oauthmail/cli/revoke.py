"""``oauthmail revoke``: ends a mailbox's tokens at the provider."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Has the provider invalidate the tokens of a mailbox, and forgets them. Which application
asked for them is kept, so that signing in again needs no options; `remove` forgets that,
too. Where the provider takes no tokens back from programs, nothing is forgotten and the
message says where a person does it."""
EXAMPLES = """\
  oauthmail revoke me@example.com
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("address", metavar="ADDRESS", help="the mailbox")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from ..account import Account
    from ..credentials import OAuth1Credentials
    from ..errors import CredentialsError
    from ._terminal import note

    account = Account(arguments.address)
    record = account.record
    if record is not None and isinstance(record.credentials, OAuth1Credentials):
        raise CredentialsError(
            f"{record.address} is set up with OAuth 1.0a, which has no way to end tokens: remove the application's "
            f"access in the account's settings at the provider, then forget them:  oauthmail remove {record.address}"
        )
    account.revoke()
    note(f"The tokens of {account.address} are invalid now, and forgotten.")
    note(f"To sign in again:  oauthmail authorize {account.address}")
    return 0
