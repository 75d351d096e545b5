"""``oauthmail import``: takes over what another program has kept."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import CredentialsError
from . import _options as options

if TYPE_CHECKING:
    from ..importing import Found
    from ..records import Record
    from ..stores import Store

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Takes over the tokens that another program has kept, so that nobody has to sign in again.
These files are recognised: google-auth's token.json and gcloud's, what oauth2.py of
gmail-oauth2-tools printed, and those of yagmail, getmail, sasl-xoauth2, mutt_oauth2.py
(decrypted), oauth2client, requests-oauthlib (or any token response), and `export`. Nobody
is asked over the network; `check` shows afterwards whether the tokens are good. The other
program should not go on with them, as some providers end a refresh token once it is used."""
EXAMPLES = """\
  oauthmail import token.json --address me@gmail.com
  gpg --decrypt me.tokens | oauthmail import - --client-id ID
  oauthmail import tokens.txt --address me@gmail.com --client-secrets client_secret.json
  oauthmail import me.json
"""

_LARGEST = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", metavar="FILE", help="the file; - reads standard input")
    parser.add_argument("--address", metavar="ADDRESS", help="the mailbox, where the file does not say")
    parser.add_argument(
        "--format",
        metavar="NAME",
        help="take the file as this one's: oauthmail, mutt, yagmail, oauth2client, google, gmail-oauth2-tools, "
        "getmail, sasl-xoauth2 or token (default: as it looks)",
    )
    parser.add_argument("--replace", action="store_true", help="replace what is stored of the mailbox already")
    options.add_provider(parser)
    options.add_application(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from .. import importing
    from ..stores import FileStore
    from ._terminal import note

    if arguments.format is not None and arguments.format not in importing.FORMATS:
        arguments.usage_error(f"--format is one of {', '.join(importing.FORMATS)}")
    found = importing.read(_content(arguments.file), arguments.format)
    record = _record(arguments, found)
    store = FileStore()
    with store.lock(record.address):
        _expect_room(store, record, replacing=arguments.replace)
        store.save(record)
    note(f"{record.address} is set up with the tokens of {importing.FORMATS[found.format]}, at {record.provider}.")
    for remark in _remarks(record, found):
        note(f"Note: {remark}.")
    note(f"To see whether they are good:  oauthmail check {record.address}")
    return 0


def _content(path: str) -> bytes:
    if path == "-":
        content = sys.stdin.buffer.read(_LARGEST + 1)
    else:
        with open(path, "rb") as file:  # noqa: PTH123  # as a name that is shown again
            content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise CredentialsError("the file is longer than any that holds tokens")
    return content


def _record(arguments: argparse.Namespace, found: Found) -> Record:
    from .. import importing
    from ..applications import Application

    if found.record is not None:
        # The whole of it: nothing is left to be said.
        return found.record if arguments.address is None else replace(found.record, address=arguments.address)
    address = arguments.address or found.address
    if address is None:
        raise CredentialsError("the file does not say whose tokens these are: pass --address")
    application = options.application(arguments)
    if application is not None and not isinstance(application, Application):
        raise CredentialsError("a service account asks for tokens by itself: there are none to import")
    named = options.provider(arguments.provider)
    provider, tenant = importing.provider_of(found, address, named)
    own = arguments.provider is not None and arguments.provider.endswith(".toml")
    tenant = arguments.tenant or tenant
    # Whether there is such a tenant, or any.
    provider.with_tenant(tenant)
    return importing.record_of(
        found,
        address,
        provider,
        tenant=tenant,
        definition=provider.definition() if own else None,
        application=application,
    )


def _expect_room(store: Store, record: Record, *, replacing: bool) -> None:
    if not replacing and store.stamp(record.address) is not None:
        raise CredentialsError(f"{record.address} is set up already: pass --replace to forget what is stored of it")


def _remarks(record: Record, found: Found) -> list[str]:
    """Return what somebody should know who relies on these tokens."""
    from .. import providers

    if found.record is not None:
        return []
    remarks = []
    if found.refresh_token is None:
        remarks.append("there is no refresh token, so that somebody has to sign in when the access token ends")
    provider = providers.custom(**record.definition) if record.definition else providers.get(record.provider)
    wanted = {scope for protocol in providers.PROTOCOLS for scope in provider.scopes.get(protocol, ())}
    if record.scope and wanted and not wanted & set(record.scope):
        remarks.append(
            f"the tokens were granted for {' '.join(record.scope)}, and mail takes {' '.join(sorted(wanted))}: the "
            f"mail servers will refuse them, so sign in instead:  oauthmail authorize {record.address}"
        )
    return remarks
