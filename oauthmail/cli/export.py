"""``oauthmail export``: all that is stored of a mailbox."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ..errors import CredentialsError

if TYPE_CHECKING:
    from ..providers import Provider
    from ..records import Record

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Prints what is stored of a mailbox, every secret included: whoever reads it can open the
mailbox. `import` takes it on another machine. Two machines should not go on with the same
tokens, as some providers end a refresh token when the other machine has used it."""
EXAMPLES = """\
  oauthmail export me@example.com --output me.json
  oauthmail export me@example.com | ssh other-machine oauthmail import -
  oauthmail export me@gmail.com --format google --output token.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("address", metavar="ADDRESS", help="the mailbox")
    parser.add_argument(
        "--format",
        choices=("record", "google"),
        default="record",
        help="record: as it is stored; google: as google-auth's token.json (default: %(default)s)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--output", metavar="FILE", help="write to a new file that only you can read")
    where.add_argument("--yes", action="store_true", help="print the secrets on a terminal, too")


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from ..account import Account
    from ._terminal import note

    if arguments.output is None and not arguments.yes and sys.stdout.isatty():
        raise CredentialsError("these are secrets, and are not shown on a terminal: pass --output FILE or --yes")
    account = Account(arguments.address)
    record = account.record
    if record is None:
        raise CredentialsError(f"{account.address} is not set up; there is nothing to export")
    text = _google(record, account.provider) if arguments.format == "google" else _own(record)
    if arguments.output is None:
        # UTF-8 wherever it goes: it is data.
        sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    else:
        _write(arguments.output, text)
        note(f"All that opens {record.address} is in {arguments.output}, which only you can read.")
    return 0


def _own(record: Record) -> str:
    from ..records import encode

    return encode(record)


def _google(record: Record, provider: Provider) -> str:
    """Return what google-auth's ``Credentials.from_authorized_user_file`` reads."""
    import datetime
    import json

    from ..applications import Application
    from ..credentials import OAuth2Credentials

    held, application = record.credentials, record.application
    if not isinstance(held, OAuth2Credentials) or not isinstance(application, Application):
        raise CredentialsError(f"{record.address} has no tokens of the kind that token.json holds ({record.flow})")
    if held.refresh_token is None:
        raise CredentialsError(f"{record.address} has no refresh token, without which token.json is not read")
    if provider.id != "google":
        # google-auth renews at Google, whatever the file says, and would give the refresh token away.
        raise CredentialsError(f"token.json is for Google alone, and {record.address} is at {provider.id}")
    values: dict[str, object] = {
        "token": held.access_token,
        "refresh_token": held.refresh_token,
        "token_uri": provider.token_endpoint,
        "client_id": application.client_id,
        # It has to be there, also where the application has none.
        "client_secret": application.client_secret or "",
        "scopes": list(held.scope or record.scope),
        "account": record.user or record.address,
    }
    if held.expires_at is not None:
        # Without a zone, as google-auth writes it.
        end = datetime.datetime.fromtimestamp(held.expires_at, datetime.timezone.utc).replace(tzinfo=None)
        values["expiry"] = f"{end.isoformat()}Z"
    return json.dumps(values, indent=1) + "\n"


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CredentialsError(f"{path} is there already, and is not overwritten: name another file") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "surrogatepass"))
