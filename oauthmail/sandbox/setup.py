"""What a client has to know of the servers, and a browser with somebody in front who agrees to everything."""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import providers

if TYPE_CHECKING:
    from .. import Provider
    from .web import Web

__all__ = ["browser", "describe"]

_TIMEOUT = 30


def describe(web: Web, ca_file: str, **servers: Any) -> Provider:
    """Return the provider that `oauthmail.Account` takes; its endpoints are https.

    Args:
        web: the authorization server.
        ca_file: PEM file of the authority that signed everybody's certificate.
        servers: ``smtp``, ``imap`` and ``pop``, as `oauthmail.providers.custom` takes them.
    """
    base = web.https_url
    return providers.custom(
        id="sandbox",
        name="the sandbox",
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
        ca_file=ca_file,
        **servers,
    )


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
