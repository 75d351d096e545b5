"""``oauthmail authorize``: sets a mailbox up, and proves it."""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

from ..credentials import OAuth2Credentials
from ..errors import CredentialsError, StoreError
from ..providers import PROTOCOLS
from . import _options as options

if TYPE_CHECKING:
    from ..account import Account
    from ..applications import Application, ServiceAccount
    from ..providers import Provider
    from ..records import Record

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Sets a mailbox up: somebody signs in at the provider and allows access to mail, the tokens
are kept where only you can read them, and a login over each protocol shows that they work.
Every other command, and `token` for other programs, uses them from then on. A mailbox that
was set up before needs no options when somebody has to sign in again."""
EXAMPLES = """\
  oauthmail authorize me@gmail.com --client-secrets client_secret.json
  oauthmail authorize me@contoso.com --provider microsoft365 --tenant contoso.com --client-id ID --device
  oauthmail authorize sales@contoso.com --user me@contoso.com --provider microsoft365 --client-id ID
  oauthmail authorize robot@contoso.com --provider microsoft365 --tenant contoso.com --client-id ID \\
      --private-key key.pem --certificate certificate.pem --client-credentials
  oauthmail authorize me@example.org --provider example.toml --client-id ID --paste
  oauthmail authorize me@gmail.com
"""

# Flows in which nobody opens a browser on this machine: the next sign-in goes the same way.
_WITHOUT_BROWSER = ("device", "client_credentials")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("address", metavar="ADDRESS", help="the mailbox")
    options.add_provider(parser)
    parser.add_argument(
        "--user", metavar="WHO", help="who signs in, where that is somebody else than the mailbox (shared mailboxes)"
    )
    options.add_application(parser)
    how = parser.add_argument_group("how to sign in", "a browser on this machine, unless one of these is given")
    way = how.add_mutually_exclusive_group()
    way.add_argument(
        "--no-browser", action="store_true", help="print the address to open, in a browser on this machine"
    )
    way.add_argument(
        "--paste",
        action="store_true",
        help="print the address to open in a browser anywhere, and ask for the address that the browser ends at",
    )
    way.add_argument("--device", action="store_true", help="print a code to enter on any device; not at every provider")
    way.add_argument(
        "--client-credentials",
        action="store_true",
        help="nobody signs in: the application opens the mailbox by itself, as an administrator has allowed",
    )
    how.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, default=300.0, help="how long to wait (default: %(default)g)"
    )
    what = parser.add_argument_group("what for")
    what.add_argument(
        "--protocol",
        action="append",
        choices=PROTOCOLS,
        help="ask for this one alone; can be given more than once (default: all that the provider has)",
    )
    what.add_argument(
        "--scope", action="append", metavar="SCOPE", help="ask for this scope in place of the provider's; repeatable"
    )
    what.add_argument("--no-check", action="store_true", help="do not log in to prove that the tokens work")
    parser.add_argument("--json", action="store_true", help="print one object of JSON at the end, for other programs")


def seconds(text: str) -> float:
    """Return a number of seconds that can be waited; argparse names this function where it is none."""
    number = float(text)
    if not 0 < number <= 86400:
        raise ValueError
    return number


def run(arguments: argparse.Namespace) -> int:
    """Do it and return the exit status."""
    from . import _proof
    from ._person import Person
    from ._terminal import note

    application = options.application(arguments)
    account, record = _account(arguments, application)
    application = application or _stored(account, record)
    flow = _flow(arguments, record, application, account.provider)
    scope = _scope(arguments, record, flow)
    note(f"Setting up {account.address} at {account.provider.name or account.provider.id}.")
    person = Person(arguments, flow, arguments.user or (record.user if record else None) or account.address)
    protocols = arguments.protocol or PROTOCOLS
    account.authorize(flow=flow, protocols=protocols, scope=scope, timeout=arguments.timeout, **person.ways())
    _tell(account)
    proofs = [] if arguments.no_check else _proof.prove(account, arguments.protocol or (), shown=not arguments.json)
    if arguments.json:
        _proof.print_json(account, proofs)
    failed = any(not proof.ok for proof in proofs)
    if failed:
        note(f"The tokens are kept all the same. Every step, one by one:  oauthmail check {account.address}")
    return int(failed)


def _account(
    arguments: argparse.Namespace, application: Application | ServiceAccount | None
) -> tuple[Account, Record | None]:
    """Return the account, and what is stored of it."""
    from .. import providers
    from ..account import Account

    named = options.provider(arguments.provider)
    try:
        record = Account(arguments.address).record
    except StoreError:
        # Whatever is damaged is kept under another name, and made anew if all is said that it takes.
        if application is None:
            raise
        record = None
    if named is None and record is None:
        named = _by_domain(arguments.address)
    elif named is None and record is not None and arguments.tenant is not None:
        known = record.definition
        named = providers.get(record.provider) if known is None else providers.custom(**known)
    account = Account(
        arguments.address, provider=named, application=application, user=arguments.user, tenant=arguments.tenant
    )
    return account, record


def _by_domain(address: str) -> Provider:
    from .. import providers

    found = providers.for_address(address)
    if found is None:
        raise CredentialsError(
            f"the domain of {address} does not tell who hosts its mail: say so with --provider: google for Google "
            "Workspace, microsoft365 for Microsoft 365, another provider's id, or a TOML file that describes a server "
            "of your own (docs/other-providers.rst)"
        )
    if not found.oauth:
        raise CredentialsError(f"{found.name} has no OAuth for mail that is known: {found.note}")
    return found


def _stored(account: Account, record: Record | None) -> Application | ServiceAccount:
    """Return who asked the last time.

    Raises:
        CredentialsError: nobody, or at another provider.
    """
    provider = account.provider
    if record is not None and record.application is not None and record.provider == provider.id:
        return record.application
    raise CredentialsError(
        f"no application is named that asks for the tokens of {account.address}: register one at "
        f"{provider.name or provider.id}, as {options.guide(provider)} describes, and pass --client-secrets FILE or "
        "--client-id ID"
    )


def _flow(
    arguments: argparse.Namespace,
    record: Record | None,
    application: Application | ServiceAccount,
    provider: Provider,
) -> str:
    """Return the way to the tokens: as asked for, or as the last time where that took no browser here."""
    from ..signin import flow_for

    if arguments.device:
        return "device"
    if arguments.client_credentials:
        return "client_credentials"
    browser = arguments.paste or arguments.no_browser
    if record is not None and record.flow in _WITHOUT_BROWSER and record.application == application and not browser:
        return record.flow
    return flow_for(provider, application)


def _scope(arguments: argparse.Namespace, record: Record | None, flow: str) -> tuple[str, ...] | None:
    """Return what to ask for: as asked for, or as the last time; None for the provider's scopes."""
    if arguments.scope:
        return tuple(scope for given in arguments.scope for scope in given.split())
    if arguments.protocol or arguments.provider or record is None or record.flow != flow:
        return None
    return record.scope or None


def _tell(account: Account) -> None:
    """Say what was stored, and what of it is less than it should be."""
    from .. import flows
    from ..signin import ALONE
    from ._terminal import note

    record, path = account.record, getattr(account.store, "path", None)
    note(f"The tokens are kept{f' in {path(account.address)}' if path else ''}, where only you can read them.")
    held = record.credentials if record is not None else None
    if record is None or not isinstance(held, OAuth2Credentials):
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        flows.check_scope(record.scope, held)
    for warning in said:
        note(f"Note: {warning.message}.")
    if held.refresh_token is None and record.flow not in ALONE:
        note("Note: the provider gave no refresh token: somebody has to sign in again when the access token ends.")
