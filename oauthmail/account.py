"""One mailbox: its provider, its tokens and how they are renewed, and clients that are logged in to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .credentials import OAuth1Credentials, OAuth2Credentials, TokenSource, check_text
from .errors import CredentialsError, FlowError, StoreError
from .records import Record

if TYPE_CHECKING:
    import ssl

    from .applications import Application, ServiceAccount
    from .flows import DeviceCode
    from .imap import IMAP4
    from .pop import POP3
    from .providers import Provider, Server
    from .smtp import SMTP
    from .stores import Store

__all__ = ["Account"]

_PROTOCOLS = ("smtp", "imap", "pop")


class Account:
    """A mailbox that is set up once and then opened from any number of processes; a `TokenSource`.

    >>> with Account("me@example.com").smtp() as smtp:
    ...     smtp.send_message(message)

    A token that is good costs no lock and no network, and at the most one look at the store. One that is about to
    expire, or that a server has refused, is renewed by exactly one of all threads and processes that need it.

    Args:
        address: the mailbox.
        provider: id in the provider table, or a `Provider`; otherwise the stored one, or that of the mail domain.
        application: who asks for tokens, for `authorize`; otherwise the stored one.
        user: who signs in, where that is somebody else than the mailbox (shared mailboxes).
        tenant: Microsoft's tenant; ``"common"`` if not given.
        store: where tokens are kept; otherwise a `FileStore` in its usual folder.
        timeout: seconds that a server may take for an answer.
        allow_loopback_http: let the provider's endpoints be ``http`` on this machine, for tests.
        now: the clock, in seconds since the epoch.
    """

    def __init__(
        self,
        address: str,
        *,
        provider: str | Provider | None = None,
        application: Application | ServiceAccount | None = None,
        user: str | None = None,
        tenant: str | None = None,
        store: Store | None = None,
        timeout: float = 30.0,
        allow_loopback_http: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.address = check_text("address", address)
        self.timeout = timeout
        self._provider = provider
        self._application = application
        self._user = None if user is None else check_text("user", user)
        self._tenant = tenant
        self._store = store
        self._allow_loopback_http = allow_loopback_http
        self._now = now
        # A pair, so that a thread that reads it while another one writes sees one or the other.
        self._seen: tuple[object, Record | None] = (None, None)

    def __repr__(self) -> str:
        return f"Account({self.address!r})"

    # --- what is known --------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """Where tokens are kept."""
        if self._store is None:
            from .stores import FileStore

            self._store = FileStore()
        return self._store

    @property
    def record(self) -> Record | None:
        """What is stored of the mailbox, or None; read again only when it has changed.

        Raises:
            StoreError: it cannot be read.
        """
        stamp = self.store.stamp(self.address)
        seen, record = self._seen
        if stamp is None or stamp != seen:
            # The stamp was taken first: a record that is replaced meanwhile is read again next time.
            record = None if stamp is None else self.store.load(self.address)
            self._seen = (stamp, record)
        return record

    @property
    def provider(self) -> Provider:
        """The provider: given, stored, or found by the mail domain.

        Raises:
            CredentialsError: not known; the message says how to name one.
        """
        from . import providers

        if self._provider is not None:
            given = providers.get(self._provider) if isinstance(self._provider, str) else self._provider
            return given.with_tenant(self._tenant)
        if (record := self.record) is not None:
            return _provider_of(record if self._tenant is None else replace(record, tenant=self._tenant))
        found = providers.for_address(self.address)
        if found is None:
            raise CredentialsError(
                f"the domain of {self.address} does not tell who hosts its mail: name the provider, "
                "such as provider='google' or 'microsoft365', or describe your own"
            )
        if not found.oauth:
            raise CredentialsError(f"{found.name} has no OAuth for mail that is known: {found.note}")
        return found.with_tenant(self._tenant)

    @property
    def credentials(self) -> OAuth1Credentials | TokenSource:
        """What ``authenticate_oauth`` takes: the account itself, or the stored values of OAuth 1.0a.

        Raises:
            CredentialsError: the mailbox is not set up.
        """
        found = self._set_up().credentials
        return found if isinstance(found, OAuth1Credentials) else self

    def _set_up(self) -> Record:
        record = self.record
        if record is None:
            raise CredentialsError(
                f"{self.address} is not set up: run  oauthmail authorize {self.address}  or call Account.authorize()"
            )
        return record

    # --- tokens ---------------------------------------------------------------------------------------------------

    def token(self, *, rejected: str | None = None) -> str:
        """Return an access token that is good now, renewed if need be.

        Args:
            rejected: the access token that a server has just refused; another one is returned.

        Raises:
            CredentialsError: the mailbox is not set up, or uses OAuth 1.0a.
            FlowError: it cannot be renewed; ``.authorize_again`` tells whether somebody has to sign in again.
            StoreError: the store cannot be read or written.
        """
        record = self._set_up()
        token = self._usable(record, rejected)
        if token is not None:
            return token
        with self.store.lock(self.address):
            # Somebody else may have renewed it while this one waited.
            record = self._set_up()
            token = self._usable(record, rejected)
            return self._renewed(record, rejected) if token is None else token

    async def token_async(self, *, rejected: str | None = None) -> str:
        """Return what `token` returns, without holding up the event loop."""
        import asyncio

        return await asyncio.to_thread(self.token, rejected=rejected)

    def _usable(self, record: Record, rejected: str | None) -> str | None:
        found = record.credentials
        if isinstance(found, OAuth1Credentials):
            raise CredentialsError(f"{self.address} is set up with OAuth 1.0a, which has no tokens of this kind")
        if found is None or found.access_token == rejected or found.expired(self._now(), record.renew_ahead):
            return None
        return found.access_token

    def _renewed(self, record: Record, rejected: str | None) -> str:
        from .signin import renew

        provider = _provider_of(record)
        try:
            with self._http(provider) as http:
                credentials = renew(record, provider, http=http, now=self._now)
        except FlowError as error:
            held = record.credentials
            if not error.temporary or not isinstance(held, OAuth2Credentials):
                raise
            # Renewal comes ahead of time: an outage in between does no harm yet.
            if held.access_token == rejected or held.expired(self._now(), 0):
                raise
            return held.access_token
        record = replace(record, credentials=credentials, renewed_at=self._now())
        self._save(record)
        _warn_of_less(record)
        return credentials.access_token

    def _save(self, record: Record) -> None:
        self.store.save(record)
        self._seen = (None, None)

    @contextlib.contextmanager
    def _http(self, provider: Provider) -> Iterator[Any]:
        from .flows import HTTP

        with HTTP(
            timeout=self.timeout, ca_file=provider.ca_file, allow_loopback_http=self._allow_loopback_http
        ) as http:
            yield http

    # --- setting up -----------------------------------------------------------------------------------------------

    def authorize(
        self,
        *,
        flow: str | None = None,
        protocols: Collection[str] = _PROTOCOLS,
        scope: Collection[str] | None = None,
        open_browser: Callable[[str], object] | None = None,
        show: Callable[[str], None] | None = None,
        paste: Callable[[str], str] | None = None,
        show_device: Callable[[DeviceCode], None] | None = None,
        timeout: float = 300.0,
    ) -> Account:
        """Obtain tokens and keep them, replacing those that were kept; nothing changes if that fails.

        Args:
            flow: ``"authorization_code"`` (with a browser, or *paste*), ``"device"``, ``"client_credentials"``,
                ``"service_account"`` or ``"oauth1"``; otherwise what the application and the provider call for.
            protocols: which of ``"smtp"``, ``"imap"`` and ``"pop"`` the tokens are to open.
            scope: what to ask for, in place of the provider's scopes for *protocols*.
            open_browser: shows an address to the person; otherwise the system's browser does.
            show: is told the address when no browser could be opened; otherwise it is printed.
            paste: is given the address, and returns the one that the browser ended at, for machines without a
                browser. For OAuth 1.0a, it returns the verification code.
            show_device: is told what to type where, in the device flow; otherwise it is printed.
            timeout: seconds that the person may take.

        Raises:
            CredentialsError: no application, or a flow that the provider does not have.
            FlowError: refused, or nobody answered.
            StoreError: the tokens cannot be kept.
        """
        from .signin import ALONE, Person, completed, flow_for, obtain, scope_for

        # A store that cannot be written is told before somebody takes the trouble to sign in.
        with self.store.lock(self.address):
            previous = self._previous()
        provider, application = self.provider, self._asking(previous)
        user = previous.user if self._user is None and previous is not None else self._user
        person = Person(user or self.address, open_browser, show, paste, show_device, timeout, self._now)
        with self._http(provider) as http:
            provider = completed(provider, http)
            flow = flow or flow_for(provider, application)
            wanted = scope_for(provider, flow, protocols) if scope is None else tuple(scope)
            credentials = obtain(
                flow, provider, application, address=self.address, scope=wanted, person=person, http=http
            )
        now, tenant = self._now(), self._tenant
        if tenant is None and self._provider is None and previous is not None:
            tenant = previous.tenant
        record = Record(
            self.address,
            provider.id,
            flow,
            application,
            credentials,
            user=user,
            tenant=tenant,
            scope=wanted,
            definition=_definition(provider, tenant),
            renew_ahead=provider.renew_ahead,
            authorized_at=None if flow in ALONE else now,
            renewed_at=now,
        )
        with self.store.lock(self.address):
            self._save(record)
        _warn_of_less(record)
        return self

    def _previous(self) -> Record | None:
        """Return what is stored; a record that cannot be read is no hindrance where nothing of it is needed."""
        try:
            return self.record
        except StoreError:
            if self._application is None or self._provider is None:
                raise
            return None

    def _asking(self, previous: Record | None) -> Application | ServiceAccount:
        """Return who asks for tokens: given, or as stored."""
        if self._application is not None:
            return self._application
        if previous is None or previous.application is None:
            raise CredentialsError(
                f"nobody is registered to ask for tokens of {self.address}: pass application=, an Application of your "
                "own or what load_application() reads from the file that the provider's console offers"
            )
        return previous.application

    def revoke(self) -> None:
        """Have the provider invalidate the tokens, and forget them; who asked for them is kept.

        Raises:
            CredentialsError: the mailbox is not set up.
            FlowError: the provider refused, or has no endpoint for it: then nothing is forgotten.
        """
        from . import flows
        from .applications import Application

        with self.store.lock(self.address):
            record = self._set_up()
            # A service account's tokens die within the hour; there is no endpoint that ends them.
            if isinstance(record.credentials, OAuth2Credentials) and isinstance(record.application, Application):
                provider = _provider_of(record)
                with self._http(provider) as http:
                    flows.revoke(provider, record.application, record.credentials, http=http)
            self._save(replace(record, credentials=None))

    def remove(self) -> bool:
        """Forget all that is stored of the mailbox, at no server; return whether there was anything."""
        with self.store.lock(self.address):
            self._seen = (None, None)
            return self.store.delete(self.address)

    # --- clients --------------------------------------------------------------------------------------------------

    def smtp(
        self, *, timeout: float | None = None, context: ssl.SSLContext | None = None
    ) -> AbstractContextManager[SMTP]:
        """Return a context manager around an `SMTP` client: connected, over TLS, logged in, closed at the end.

        Args:
            timeout: in seconds, for each answer; otherwise the account's.
            context: for TLS; otherwise one that verifies the server.

        Raises:
            CredentialsError: the provider has no server for this, or the mailbox is not set up.
            AuthenticationError: the server refused.
            OSError: the connection failed, in the form of the standard library's class.
        """
        from . import connections

        return connections.smtp(self._server("smtp"), *self._login("smtp"), **self._manner(timeout, context))

    def imap(
        self, *, timeout: float | None = None, context: ssl.SSLContext | None = None
    ) -> AbstractContextManager[IMAP4]:
        """Return the same around an `IMAP4` client; see `smtp`."""
        from . import connections

        return connections.imap(self._server("imap"), *self._login("imap"), **self._manner(timeout, context))

    def pop(
        self, *, timeout: float | None = None, context: ssl.SSLContext | None = None
    ) -> AbstractContextManager[POP3]:
        """Return the same around a `POP3` client; see `smtp`.

        Messages that were marked as deleted are deleted unless the ``with`` block ends in an exception.
        """
        from . import connections

        return connections.pop(self._server("pop"), *self._login("pop"), **self._manner(timeout, context))

    def _server(self, protocol: str) -> Server:
        provider = self.provider
        servers = provider.servers(protocol)
        if not servers:
            raise CredentialsError(f"{provider.name or provider.id} has no server for {protocol} that is known")
        return servers[0]

    def _manner(self, timeout: float | None, context: ssl.SSLContext | None) -> dict[str, Any]:
        if context is None:
            import ssl

            context = ssl.create_default_context(cafile=self.provider.ca_file)
        return {"timeout": self.timeout if timeout is None else timeout, "context": context}

    def _login(self, protocol: str) -> tuple[str, OAuth1Credentials | TokenSource]:
        return self._identity(protocol), self.credentials

    def _identity(self, protocol: str) -> str:
        """Return what names the mailbox in a login: its address, or the request URL of OAuth 1.0a."""
        if not isinstance(self._set_up().credentials, OAuth1Credentials):
            return self.address
        template = self.provider.xoauth_url
        if template is None:
            raise CredentialsError(f"{self.provider.id} has no xoauth_url, which OAuth 1.0a signs")
        from urllib.parse import quote

        return template.replace("{user}", quote(self.address, safe="@")).replace("{protocol}", protocol)


def _warn_of_less(record: Record) -> None:
    """Warn where less was granted than was asked for; what was granted is kept by now, whatever becomes of this."""
    from .flows import check_scope

    if isinstance(record.credentials, OAuth2Credentials):
        check_scope(record.scope, record.credentials, stacklevel=5)


def _provider_of(record: Record) -> Provider:
    """Return the provider of a mailbox that is set up: its definition then, or the table's now."""
    from . import providers

    if record.definition is not None:
        return providers.custom(**record.definition)
    return providers.get(record.provider).with_tenant(record.tenant)


def _definition(provider: Provider, tenant: str | None) -> dict[str, object] | None:
    """Return what describes a provider that is not in the table; None for one that is, which may be corrected there."""
    from . import providers

    for known in providers.providers():
        if known.with_tenant(tenant if known.tenants else None) == provider:
            return None
    return provider.definition()
