"""What a client has to know of the servers, and a browser with somebody in front who agrees to everything."""

from __future__ import annotations

import itertools
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from .. import Application, providers

if TYPE_CHECKING:
    from pathlib import Path

    from .. import Provider
    from .state import State
    from .web import Web

__all__ = ["Installation", "browser"]

_TIMEOUT = 30


class _Address(Protocol):
    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Installation:
    """What all servers of one kind tell of themselves, wherever their mail servers come from.

    Attributes:
        domain: of all addresses.
        ca_file: PEM file of the authority that signed everybody's certificate.
        state: what the servers know.
        web: the authorization server.
    """

    domain: str
    ca_file: Path
    state: State
    web: Web

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def mail_servers(self) -> tuple[_Address, _Address, _Address]:
        """Return submission with STARTTLS, and IMAP and POP3 with TLS from the start."""
        raise NotImplementedError

    def ssl_context(self) -> ssl.SSLContext:
        """Return a client's context that trusts these servers, and verifies everything."""
        return ssl.create_default_context(cafile=self.ca_file)

    @cached_property
    def provider(self) -> Provider:
        """These servers as `oauthmail.Account` takes them; every endpoint is https."""
        base = self.web.https_url
        smtp, imap, pop = self.mail_servers()
        return providers.custom(
            id="sandbox",
            name="the sandbox",
            smtp={"host": smtp.host, "port": smtp.port, "security": "starttls"},
            imap={"host": imap.host, "port": imap.port},
            pop={"host": pop.host, "port": pop.port},
            issuer=base,
            authorization_endpoint=f"{base}/authorize",
            token_endpoint=f"{base}/token",
            device_authorization_endpoint=f"{base}/device_authorization",
            revocation_endpoint=f"{base}/revoke",
            oauth1_request_endpoint=f"{base}/oauth1/request_token",
            oauth1_authorization_endpoint=f"{base}/oauth1/authorize",
            oauth1_token_endpoint=f"{base}/oauth1/access_token",
            xoauth_url="https://localhost/mail/b/{user}/{protocol}/",
            scopes="mail",
            offline_scope="offline_access",
            client_credentials=True,
            client_credentials_scope="mail",
            jwt_bearer=True,
            device_flow_for_mail=True,
            ca_file=str(self.ca_file),
        )

    @property
    def application(self) -> Application:
        """The registered client without a secret, as native applications are."""
        return Application(self.web.public_client_id)

    def browser(self, *, allow: bool = True, user: str | None = None) -> Callable[[str], bool]:
        """Return what stands for a browser with somebody in front who clicks at once; see `browser`."""
        return browser(self.ssl_context(), allow=allow, user=user)

    def new_user(self) -> str:
        """Return an address that nobody used before; its mailbox comes with the first delivery or login."""
        user = f"user-{next(self._numbers)}@{self.domain}"
        self.state.users.add(user)
        return user

    def expire_token(self, token: str) -> None:
        """End a token's life now."""
        self.state.expire(token)

    def revoke_token(self, token: str) -> None:
        """Revoke a token now."""
        self.state.revoke(token)


def browser(context: ssl.SSLContext, *, allow: bool = True, user: str | None = None) -> Callable[[str], bool]:
    """Return what opens an address as a browser does, with somebody in front who clicks at once.

    Args:
        context: trusts the authorization server.
        allow: whether that person agrees.
        user: who signs in, where the address does not say so by ``login_hint``.
    """
    # A browser prints nothing, also where http.client is told to: the code is in its address.
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(debuglevel=0, context=context),
        urllib.request.HTTPHandler(debuglevel=0),
        urllib.request.ProxyHandler({}),
    )

    def visit(address: str) -> None:
        # What the page says is for a person, and so is a refusal's status.
        try:
            opener.open(address, timeout=_TIMEOUT).close()
        except urllib.error.HTTPError as error:
            error.close()

    def open_browser(address: str) -> bool:
        said = {"sandbox_consent": "allow" if allow else "deny", **({"login_hint": user} if user else {})}
        # A browser works on its own: the redirect at the end is answered by whoever opened it.
        threading.Thread(target=visit, args=(f"{address}&{urllib.parse.urlencode(said)}",)).start()
        return True

    return open_browser
