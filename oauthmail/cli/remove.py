"""``oauthmail remove``: forgets a mailbox on this machine."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Forgets all that is stored of a mailbox on this machine, the application's registration
included. At the provider the tokens stay good until they end; `revoke` first ends them."""
EXAMPLES = """\
  oauthmail remove me@example.com
  oauthmail revoke me@example.com && oauthmail remove me@example.com --yes
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("address", metavar="ADDRESS", help="the mailbox")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from ..account import Account
    from ..errors import CredentialsError
    from ._terminal import confirmed, note, on_terminal

    account = Account(arguments.address)
    if account.store.stamp(account.address) is None:
        raise CredentialsError(f"{account.address} is not set up; there is nothing to remove")
    if not arguments.yes:
        if not on_terminal():
            raise CredentialsError(f"nobody can be asked whether to forget {account.address}: pass --yes")
        note(f"This forgets the tokens of {account.address} and the application that asked for them.")
        if not confirmed("Forget them?"):
            note("Nothing was removed.")
            return 1
    account.remove()
    note(f"{account.address} is forgotten on this machine.")
    return 0
