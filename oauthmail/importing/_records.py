"""Who issued what was found, and what is to be stored of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .. import providers
from ..applications import Application
from ..credentials import OAuth2Credentials
from ..errors import CredentialsError
from ..flows._quiet import private
from ..providers import Provider
from ..records import Record
from ._found import NONE_YET, Found

__all__ = ["provider_of", "record_of"]

_GOOGLE_HOSTS = ("accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com")

_PROGRAM = "pass --client-id (and --client-secret-file, if it has a secret) or --client-secrets"


@private
def provider_of(found: Found, address: str, named: Provider | None = None) -> tuple[Provider, str | None]:
    """Return who issued the tokens, and the tenant.

    Args:
        found: what the file says.
        address: the mailbox.
        named: what the user says.

    Raises:
        CredentialsError: nobody can tell, or the user and the file tell different things: a refresh token goes to
            nobody but its issuer.
    """
    if named is not None:
        _expect_same(found.token_endpoint, named)
        return named, _tenant(str(named.token_endpoint), found.token_endpoint)
    known = _by_endpoint(found.token_endpoint)
    if known is not None:
        return known
    if found.token_endpoint is not None:
        raise CredentialsError(
            f"these tokens were issued by {_host(found.token_endpoint)}, which is not in the table of providers: "
            "describe it in a TOML file, and pass that as --provider"
        )
    by_domain = providers.for_address(address)
    if found.provider is not None:
        # One sign-in serves several kinds of mailbox, whose servers differ.
        return _among(found.provider, by_domain), None
    if by_domain is None or not by_domain.oauth:
        raise CredentialsError(f"neither the file nor {address} tells who issued these tokens: pass --provider")
    return by_domain, None


def _among(provider_id: str, by_domain: Provider | None) -> Provider:
    named = providers.get(provider_id)
    microsoft = provider_id.startswith("microsoft") and by_domain is not None and by_domain.id == "outlook_com"
    return by_domain if microsoft and by_domain is not None else named


def _host(endpoint: str) -> str:
    found = re.match(r"https?://([A-Za-z0-9.:\[\]-]+)", endpoint)
    return found[1] if found else "somebody else"


def _expect_same(endpoint: str | None, named: Provider) -> None:
    if endpoint is None or _host(endpoint) == _host(str(named.token_endpoint)):
        return
    if named.id == "google" and _host(endpoint) in _GOOGLE_HOSTS:
        return
    raise CredentialsError(
        f"these tokens were issued by {_host(endpoint)}, and not by {named.name or named.id}: name the provider that "
        "issued them, or leave it out"
    )


def _by_endpoint(endpoint: str | None) -> tuple[Provider, str | None] | None:
    """Return the provider in the table that has this token endpoint, and the tenant in it."""
    if endpoint is None:
        return None
    if _host(endpoint) in _GOOGLE_HOSTS:
        return providers.get("google"), None
    table = [known for known in providers.providers() if known.token_endpoint is not None]
    # A fixed address says more than one with a place for any tenant.
    for known in sorted(table, key=lambda known: "{tenant}" in str(known.token_endpoint)):
        template = str(known.token_endpoint)
        if endpoint == template or _tenant(template, endpoint) is not None:
            return known, _tenant(template, endpoint)
    return None


def _tenant(template: str, endpoint: str | None) -> str | None:
    """Return what stands in the tenant's place, or None."""
    before, place, after = template.partition("{tenant}")
    found = re.fullmatch(f"{re.escape(before)}([A-Za-z0-9.-]+){re.escape(after)}", endpoint or "") if place else None
    return None if found is None else found[1]


@private
def record_of(
    found: Found,
    address: str,
    provider: Provider,
    *,
    tenant: str | None = None,
    definition: Mapping[str, object] | None = None,
    application: Application | None = None,
) -> Record:
    """Return what is to be stored.

    Args:
        found: what the file says.
        address: the mailbox.
        provider: who issued the tokens.
        tenant: Microsoft's.
        definition: of a provider that is not in the table.
        application: who asked for the tokens, where the file does not say.

    Raises:
        CredentialsError: something is missing that renewing the tokens takes.
    """
    if application is None and found.client_id is not None:
        application = Application(found.client_id, found.client_secret)
    if application is None and found.refresh_token is not None:
        raise CredentialsError(f"the file does not say which application asked for these tokens: {_PROGRAM}")
    # A token whose end nobody knows is worth nothing where another one can be had.
    unsure = found.refresh_token is not None and found.expires_at is None
    usable = found.access_token is not None and not unsure
    credentials = OAuth2Credentials(
        found.access_token if usable and found.access_token is not None else NONE_YET,
        refresh_token=found.refresh_token,
        expires_at=found.expires_at if usable else 0,
        scope=found.scope,
    )
    return Record(
        address,
        provider.id,
        "imported",
        application,
        credentials,
        user=found.address if found.address not in (None, address) else None,
        tenant=tenant,
        scope=found.scope,
        definition=definition,
        renew_ahead=provider.renew_ahead,
    )
