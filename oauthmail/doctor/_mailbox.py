"""What a check knows of the mailbox itself: what is stored, who provides it, and its token."""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from collections.abc import Callable

from .._redact import Redactor
from ..account import Account
from ..applications import Application
from ..credentials import OAuth1Credentials, OAuth2Credentials
from ..errors import CredentialsError, FlowError, StoreError
from ..providers import PROTOCOLS, Provider, Server
from ..records import Record
from ._claims import missing_scope, read
from ._network import days
from ._problems import trouble
from ._refusals import no_token

__all__ = ["Mailbox", "Watched"]


class Watched:
    """The account as a `TokenSource`, watched.

    Attributes:
        renewals: how often a server refused a token, so that another one was asked for, and came.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.renewals = 0

    def token(self, *, rejected: str | None = None) -> str:
        """Return the account's token."""
        token = self._account.token(rejected=rejected)
        self.renewals += rejected is not None
        return token


class Mailbox:
    """One mailbox, as far as it has been looked at.

    Attributes:
        account: the mailbox.
        address: its address.
        record: what is stored of it, or None.
        provider: who provides it, once that has been looked at.
        context: for TLS with its servers.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.address = account.address
        self.record: Record | None = None
        self.provider: Provider | None = None
        self.context: ssl.SSLContext | None = None
        self._source = Watched(account)
        self._renewed = False
        self._redactor = Redactor()

    # --- steps ----------------------------------------------------------------------------------------------------

    def look_into_store(self) -> str:
        """See what is stored.

        Raises:
            TroubleError: nothing is, or nothing that can be used.
        """
        try:
            self.record = record = self.account.record
            place = _place(self.account)
        except StoreError as error:
            raise trouble("store", what=str(error)) from error
        if record is None:
            raise trouble("not_set_up", address=self.address)
        self._hide(record)
        told = [place, record.flow]
        if record.authorized_at is not None:
            told.append(f"signed in {days(time.time() - record.authorized_at)} ago")
        return ", ".join(filter(None, told))

    def look_up_provider(self) -> str:
        """See who provides the mailbox."""
        try:
            self.provider = provider = self.account.provider
        except CredentialsError as error:
            raise trouble("provider", what=str(error)) from error
        try:
            self.context = ssl.create_default_context(cafile=provider.ca_file)
        except OSError as error:
            raise trouble("ca_file", what=f"{provider.ca_file}: {error.strerror}") from error
        return f"{provider.id} ({provider.name})" if provider.name else provider.id

    def obtain_token(self) -> str:
        """Have a token, renewed if that is due, and read what can be read of it."""
        before = self.access_token
        try:
            if isinstance(self.credentials, OAuth1Credentials):
                return "OAuth 1.0a: logins are signed, there is no token"
            token = self.account.token()
        except FlowError as error:
            raise no_token(self.address, error) from error
        except (CredentialsError, StoreError) as error:
            raise trouble("token", what=str(error), hint="") from error
        self._renewed = token != before
        self.look_again()
        return "; ".join(self._told(token))

    def _told(self, token: str) -> list[str]:
        held, claims = self.credentials, read(token)
        told = ["renewed now" if self._renewed else "kept"]
        if isinstance(held, OAuth2Credentials):
            if held.expires_at is not None:
                told[0] += f", good for {days(held.expires_at - time.time())}"
            if claims is None and held.scope:
                told.append(f"scope {' '.join(held.scope)}")
        if claims is None:
            return told
        if claims.audience:
            told.append(f"for {', '.join(claims.audience)}")
        if claims.scope:
            told.append(f"scope {' '.join(claims.scope)}")
        if claims.owner:
            told.append(f"of {claims.owner}")
        if claims.expires_at is not None and claims.expires_at <= time.time():
            told.append(f"ended {days(time.time() - claims.expires_at)} ago by its own words")
        return told

    # --- what the steps need --------------------------------------------------------------------------------------

    @property
    def credentials(self) -> OAuth2Credentials | OAuth1Credentials | None:
        """What is stored of tokens."""
        return None if self.record is None else self.record.credentials

    @property
    def user(self) -> str:
        """Who signs in."""
        return (self.record.user if self.record is not None else None) or self.address

    @property
    def source(self) -> Watched | OAuth1Credentials:
        """What a login takes."""
        return self.credentials if isinstance(self.credentials, OAuth1Credentials) else self._source

    @property
    def renewals(self) -> int:
        """How many tokens were renewed because a server had refused them."""
        return self._source.renewals

    @property
    def fresh(self) -> bool:
        """Whether the token was obtained or renewed during this check."""
        return self._renewed or self.renewals > 0

    def identity(self, protocol: str) -> str:
        """Return what names the mailbox in a login."""
        return self.address if self.record is None else self.account._identity(protocol)

    def servers(self, protocol: str) -> tuple[Server, ...]:
        """Return the provider's servers."""
        return () if self.provider is None else self.provider.servers(protocol)

    def protocols(self) -> list[str]:
        """Return what the mailbox is for: what it was set up for, of that for which there are servers."""
        known = [protocol for protocol in PROTOCOLS if self.servers(protocol)]
        asked = self.record.scope if self.record is not None else ()
        wanted = [protocol for protocol in known if not missing_scope(asked, self.wanted(protocol))]
        return wanted or known

    def redact(self, text: str) -> str:
        """Cut every secret of the mailbox out of a text."""
        return self._redactor(text)

    def _hide(self, record: Record) -> None:
        # A token that has been replaced since may still be in something that was said.
        self._redactor = self._redactor.adding(*_secrets(record))

    def wanted(self, protocol: str) -> tuple[str, ...]:
        """Return the scopes that the provider's server asks for."""
        return () if self.provider is None else self.provider.scopes.get(protocol, ())

    @property
    def access_token(self) -> str | None:
        """The access token that is stored."""
        held = self.credentials
        return held.access_token if isinstance(held, OAuth2Credentials) else None

    def look_again(self) -> None:
        """Take note of a token that was renewed."""
        with contextlib.suppress(StoreError):
            if (record := self.account.record) is not None:
                self.record = record
                self._hide(record)


def _place(account: Account) -> str:
    """Return where the mailbox is stored, where its store can say so, with ``~`` for the home folder."""
    path: Callable[[str], str] | None = getattr(account.store, "path", None)
    if path is None:
        return type(account.store).__name__
    place, home = path(account.address), os.path.expanduser("~")  # noqa: PTH111  # Path.home() raises without one
    return f"~{place[len(home) :]}" if len(home) > 1 and place.startswith(home + os.sep) else place


def _secrets(record: Record | None) -> list[str]:
    """Return every text of a record that must not be shown."""
    if record is None:
        return []
    application, held = record.application, record.credentials
    found: list[str | None] = []
    if isinstance(application, Application):
        found += [application.client_secret, application.private_key]
    elif application is not None:
        found.append(application.private_key)
    if isinstance(held, OAuth2Credentials):
        found += [held.access_token, held.refresh_token, held.id_token]
    elif held is not None:
        found += [held.client_secret, held.resource_owner_key, held.resource_owner_secret]
    return [secret for secret in found if secret]
