"""``oauthmail accounts``: what is set up, and how long it will last."""

from __future__ import annotations

import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Lists the mailboxes that are set up: who provides them, what the tokens are good for, when
the access token ends, when somebody signed in, and a warning where somebody will have to
sign in again before long. Nobody is asked over the network, and no secret is shown. The
exit status is 1 if one of them cannot be read."""
EXAMPLES = """\
  oauthmail accounts
  oauthmail accounts --json
  for address in $(oauthmail accounts --addresses); do oauthmail check "$address"; done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a list of objects, for other programs")
    form.add_argument("--addresses", action="store_true", help="print the addresses alone, one in a line")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    import sys
    import time

    from ..stores import FileStore
    from ._accounts import as_object, look, show
    from ._terminal import note, write

    store = FileStore()
    addresses = store.addresses()
    if arguments.addresses:
        for address in addresses:
            write(address, sys.stdout)
        return 0
    now = time.time()
    found = [look(store, address, now) for address in addresses]
    if arguments.json:
        import json

        print(json.dumps([as_object(one) for one in found], indent=1))
    else:
        for one in found:
            show(one, now)
        if not found:
            note(f"No mailbox is set up in {store.folder}. Set one up:  oauthmail authorize ADDRESS")
    damaged = [one.address for one in found if one.problem]
    if damaged:
        note(f"oauthmail: {len(damaged)} of {len(found)} cannot be used: {', '.join(damaged)}")
    return int(bool(damaged))
