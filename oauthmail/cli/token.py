"""``oauthmail token``: an access token, for other programs.

They run it for every connection. `show` is all that a bare ``oauthmail token ADDRESS`` comes to, and nothing is
imported here that it does not need.
"""

from __future__ import annotations

# typing's own takes as long to import as all that is below.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run", "show"]

DESCRIPTION = """\
Prints an access token that is good now, and nothing else, for programs that ask another
one for a password or token. One that is about to end is renewed first; of all that ask
at the same time, one renews it. Nobody is ever asked for anything: where somebody has to
sign in again, the exit status is 77."""
EXAMPLES = """\
  oauthmail token me@example.com
  oauthmail token me@example.com --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("address", metavar="ADDRESS", help="the mailbox")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one object with access_token, token_type and expires_at (seconds since the epoch, or null)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    return _show_json(arguments.address) if arguments.json else show(arguments.address)


def show(address: str) -> int:
    """Print the token alone."""
    from ._quick import kept_token

    token = kept_token(address)
    if token is None:
        from ..account import Account

        token = Account(address).token()
    print(token)
    return 0


def _show_json(address: str) -> int:
    import json

    from ..account import Account

    account = Account(address)
    token = account.token()
    held = account.record.credentials if account.record is not None else None
    # Somebody else may have renewed it in between; then the one that is kept now is as good.
    shown = {
        "access_token": getattr(held, "access_token", token),
        "token_type": getattr(held, "token_type", "Bearer"),
        "expires_at": getattr(held, "expires_at", None),
    }
    print(json.dumps(shown))
    return 0
