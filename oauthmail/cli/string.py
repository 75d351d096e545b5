"""``oauthmail string``: what a client sends to log in."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ..errors import CredentialsError

if TYPE_CHECKING:
    from ..credentials import OAuth1Credentials

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Prints the initial response of a SASL mechanism, in base64 as it goes to the server, for
programs that want it whole and for trying a server by hand. Whoever reads it can log in
for as long as the token lives (the signature of XOAUTH: once)."""
EXAMPLES = """\
  oauthmail string xoauth2 me@gmail.com
  oauthmail string oauthbearer me@gmail.com --host imap.gmail.com --port 993
  oauthmail string xoauth2 me@example.com --token-file - < token
  oauthmail string xoauth https://mail.google.com/mail/b/me@example.com/imap/ --client-key KEY \\
      --client-secret-file secret --token-key KEY --token-secret-file token-secret
"""

_CLIENT_SECRET = "OAUTHMAIL_CLIENT_SECRET"  # noqa: S105  # the variable's name
_TOKEN_SECRET = "OAUTHMAIL_TOKEN_SECRET"  # noqa: S105


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    added = parser.add_subparsers(dest="mechanism", metavar="MECHANISM", required=True)
    helps = {
        "xoauth2": "OAuth 2, as Google and Microsoft have it",
        "oauthbearer": "OAuth 2, as RFC 7628 has it",
        "xoauth": "OAuth 1.0a: a signed request URL",
    }
    each = {name: added.add_parser(name, help=text, description=f"{text}.") for name, text in helps.items()}
    for name in ("xoauth2", "oauthbearer"):
        each[name].add_argument("user", metavar="ADDRESS", help="the mailbox")
        each[name].add_argument(
            "--token-file",
            metavar="FILE",
            help="the access token, and nothing else; - reads standard input (default: the one of the mailbox)",
        )
    each["oauthbearer"].add_argument("--host", metavar="HOST", default="", help="the server (default: not said)")
    each["oauthbearer"].add_argument("--port", metavar="PORT", type=int, default=0, help="its port")
    _add_oauth1(each["xoauth"])
    for one in each.values():
        one.add_argument(
            "--raw", action="store_true", help="print the octets as they are before base64, without a line end"
        )


def _add_oauth1(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="the request URL; or the address of a mailbox that is set up")
    parser.add_argument(
        "--protocol",
        choices=("smtp", "imap", "pop"),
        default="imap",
        help="for a mailbox that is set up: what the login is to (default: %(default)s)",
    )
    parser.add_argument("--client-key", metavar="KEY", help="the client's (the consumer's) key")
    parser.add_argument(
        "--client-secret-file", metavar="FILE", help=f"its secret (otherwise the environment's {_CLIENT_SECRET})"
    )
    parser.add_argument("--token-key", metavar="KEY", help="the token; without one the request is two-legged")
    parser.add_argument(
        "--token-secret-file", metavar="FILE", help=f"its secret (otherwise the environment's {_TOKEN_SECRET})"
    )
    parser.add_argument("--requestor-id", metavar="ADDRESS", help="two-legged: the mailbox that the client acts for")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    import base64

    from .. import sasl

    if arguments.mechanism == "xoauth":
        identity, credentials = _oauth1(arguments)
        message = sasl.build("XOAUTH", identity, credentials).initial_response
    else:
        host, port = getattr(arguments, "host", ""), getattr(arguments, "port", 0)
        token = _token(arguments)
        message = sasl.build(arguments.mechanism.upper(), arguments.user, token, host=host, port=port).initial_response
    sys.stdout.buffer.write(message if arguments.raw else base64.b64encode(message) + b"\n")
    return 0


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token_file is None:
        from ..account import Account

        return Account(arguments.user).token()
    return _line(arguments.token_file, "access token")


def _line(path: str, what: str) -> str:
    """Return the one line of a file."""
    if path == "-":
        content = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:  # noqa: PTH123  # as a name that is shown again
            content = file.read()
    if not content.isascii() or len(content.splitlines()) != 1:
        raise CredentialsError(f"{path} must hold the {what} and nothing else, in one line")
    return content.decode("ascii").strip()


def _oauth1(arguments: argparse.Namespace) -> tuple[str, OAuth1Credentials]:
    """Return the request URL and what signs it."""
    from ..credentials import OAuth1Credentials

    if "://" not in arguments.url:
        from ..account import Account

        account = Account(arguments.url)
        held = account.credentials
        if not isinstance(held, OAuth1Credentials):
            raise CredentialsError(f"{arguments.url} is set up with OAuth 2: use xoauth2 or oauthbearer")
        return account._identity(arguments.protocol), held
    if arguments.client_key is None:
        arguments.usage_error("a request URL goes with --client-key")
    secret = _secret(arguments.client_secret_file, _CLIENT_SECRET, "client's secret")
    if secret is None:
        raise CredentialsError(f"the client's secret is missing: pass --client-secret-file, or set {_CLIENT_SECRET}")
    return arguments.url, OAuth1Credentials(
        arguments.client_key,
        secret,
        arguments.token_key,
        _secret(arguments.token_secret_file, _TOKEN_SECRET, "token's secret") or "",
        requestor_id=arguments.requestor_id,
    )


def _secret(path: str | None, variable: str, what: str) -> str | None:
    return os.environ.get(variable) if path is None else _line(path, what)
