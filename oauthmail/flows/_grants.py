"""The grants that need no browser: refresh, client credentials, and the assertion of a service account."""

from __future__ import annotations

import dataclasses
import time
import urllib.parse
from collections.abc import Callable, Collection

from ..applications import Application, ServiceAccount
from ..credentials import OAuth2Credentials, check_text
from ..errors import CredentialsError, FlowError
from ..providers import Provider, providers
from ._assertions import service_account_assertion
from ._http import HTTP, using
from ._quiet import private
from ._tokens import token_request

__all__ = ["client_credentials", "joined", "refresh", "service_account"]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@private
def refresh(
    provider: Provider,
    application: Application | None,
    credentials: OAuth2Credentials,
    *,
    scope: Collection[str] = (),
    http: HTTP | None = None,
    now: Callable[[], float] = time.time,
) -> OAuth2Credentials:
    """Renew an access token (RFC 6749 section 6).

    Store the result at once, before anything else is done with it: where refresh tokens work once, the old one is
    dead already.

    Args:
        provider: who issued the token.
        application: to whom; None where nobody knows any more.
        credentials: with the refresh token.
        scope: less than was granted, or empty for all of it.
        http: see the package.
        now: the clock, in seconds since the epoch.

    Returns:
        The new access token, with what the answer left out taken from *credentials*: the refresh token, the scope and
        the ID token.

    Raises:
        CredentialsError: there is nothing to ask with, or nowhere to; nothing was sent.
        FlowError: there is no refresh token (nothing was sent), or the server refused. ``authorize_again`` tells
            whether somebody has to sign in again.
    """
    if credentials.refresh_token is None:
        raise FlowError(
            "no_refresh_token",
            "the token cannot be renewed: no refresh token came with it",
            hint=_OFFLINE,
            authorize_again=True,
        )
    if application is None:
        raise CredentialsError("a refresh token is only good for the application that it was issued to: which is it?")
    fields = {"grant_type": "refresh_token", "refresh_token": credentials.refresh_token}
    if scope:
        fields["scope"] = joined(scope)
    if provider.redirect_uri_on_refresh:
        # The port of a loopback address was chosen for one sign-in; what is registered has none.
        loopback = f"http://{provider.loopback_host}{provider.redirect_path}"
        fields["redirect_uri"] = application.redirect_uri or loopback
    with using(http, provider.ca_file) as client:
        renewed = token_request(client, provider, application, fields, asked=scope or credentials.scope, now=now)
    return dataclasses.replace(
        renewed,
        refresh_token=renewed.refresh_token or credentials.refresh_token,
        id_token=renewed.id_token or credentials.id_token,
    )


_OFFLINE = "Sign in again, and ask for lasting access (a scope such as offline_access) where the provider needs that"


@private
def client_credentials(
    provider: Provider,
    application: Application,
    *,
    scope: Collection[str] | None = None,
    http: HTTP | None = None,
    now: Callable[[], float] = time.time,
) -> OAuth2Credentials:
    """Get a token for an application that acts for itself (RFC 6749 section 4.4).

    Args:
        provider: one whose mailboxes open to applications, with a tenant of its own where it has them.
        application: with a secret or a private key.
        scope: None for the provider's ``client_credentials_scope``.
        http: see the package.
        now: the clock, in seconds since the epoch.

    Raises:
        CredentialsError: the provider or the application is not made for it; nothing was sent.
        FlowError: the server refused.
    """
    if not provider.client_credentials:
        raise CredentialsError(
            f"{provider.name or provider.id} opens no mailbox to an application by itself (client credentials): "
            + ("use a service account" if provider.jwt_bearer else "somebody has to sign in")
        )
    if application.client_secret is None and application.private_key is None:
        raise CredentialsError("client credentials need an application with a client_secret or a private_key")
    if scope is None:
        scope = (provider.client_credentials_scope or "").split()
    with using(http, provider.ca_file) as client:
        _check_tenant(provider, client.check(provider.token_endpoint, "token endpoint"))
        fields = {"grant_type": "client_credentials", **({"scope": joined(scope)} if scope else {})}
        return token_request(client, provider, application, fields, asked=scope, now=now)


def _check_tenant(provider: Provider, url: str) -> None:
    """Refuse the names that stand for many tenants: an application acts in one."""
    if provider.tenants and not {"common", "organizations", "consumers"}.isdisjoint(url.split("/")):
        raise CredentialsError("client credentials need the tenant's id or domain, not common or organizations")


@private
def service_account(
    provider: Provider,
    account: ServiceAccount,
    *,
    subject: str,
    scope: Collection[str],
    http: HTTP | None = None,
    now: Callable[[], float] = time.time,
) -> OAuth2Credentials:
    """Get a token for a service account that acts for a mailbox of its domain (RFC 7523 section 2.1).

    Args:
        provider: one that has such accounts.
        account: with its key. Where the provider has a token endpoint, the assertion goes there and nowhere else,
            whatever the account's file says.
        subject: the mailbox.
        scope: what an administrator has authorised the account for.
        http: see the package.
        now: the clock, in seconds since the epoch.

    Raises:
        CredentialsError: the provider has none, or the account is another's; nothing was sent.
        FlowError: the server refused.
    """
    if not provider.jwt_bearer:
        raise CredentialsError(f"{provider.name or provider.id} has no service accounts that open mailboxes")
    check_text("subject", subject)
    if not scope:
        raise CredentialsError("the scope is empty: name what the service account was authorised for")
    with using(http, provider.ca_file) as client:
        endpoint = client.check(provider.token_endpoint or account.token_uri, "token endpoint")
        audience = _audience(provider, account, endpoint)
        assertion = service_account_assertion(account, subject, joined(scope), audience, now())
        fields = {"grant_type": JWT_BEARER, "assertion": assertion}
        asking = dataclasses.replace(provider, token_endpoint=endpoint)
        return token_request(client, asking, None, fields, asked=scope, now=now)


def _audience(provider: Provider, account: ServiceAccount, endpoint: str) -> str:
    """Return whom the assertion is for, after a look at the address in the account's file.

    The file comes from somewhere; one that names another server belongs to another provider, or was forged.
    """
    if account.token_uri is None:
        return endpoint
    named = urllib.parse.urlsplit(account.token_uri).hostname
    known = {urllib.parse.urlsplit(url).hostname for url in (endpoint, provider.issuer or endpoint)}
    if named not in known:
        raise CredentialsError(
            "the service account's token_uri is at another server than the provider's token endpoint: this is the "
            "account of some other provider"
        )
    return endpoint if any(provider.id == listed.id for listed in providers()) else account.token_uri


def joined(scope: Collection[str]) -> str:
    """Return the scopes as one parameter (RFC 6749 section 3.3)."""
    if isinstance(scope, str):
        return check_text("scope", scope)
    return " ".join(check_text("scope", item) for item in scope)
