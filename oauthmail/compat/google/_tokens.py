"""Google's token endpoint, or another server's, asked as the scripts asked: who, for what, and a mapping comes back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ... import Application, Provider, providers
from ...flows import HTTP, discover
from ...flows._quiet import private
from ...flows._tokens import token_request

__all__ = ["GOOGLE", "ask", "provider"]

GOOGLE = "https://accounts.google.com"


def provider(base_url: str) -> Provider:
    """Return the provider whose name as an issuer is *base_url*; any other than Google is asked to describe itself."""
    return providers.get("google") if base_url == GOOGLE else _discovered(base_url)


@functools.lru_cache(maxsize=8)
def _discovered(base_url: str) -> Provider:
    return discover(base_url)


@private
def ask(found: Provider, application: Application, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a token request, as a dictionary of what RFC 6749 section 5.1 has in it.

    Raises:
        CredentialsError: nothing was sent.
        FlowError: the server refused, or answered with something else than tokens.
    """
    with HTTP(ca_file=found.ca_file) as http:
        # At the beginning of time, a token's end is its lifetime.
        issued = token_request(http, found, application, fields, now=lambda: 0.0)
    answer: dict[str, Any] = {"access_token": issued.access_token}
    if issued.expires_at is not None:
        answer["expires_in"] = int(issued.expires_at)
    if issued.refresh_token is not None:
        answer["refresh_token"] = issued.refresh_token
    if issued.scope:
        answer["scope"] = " ".join(issued.scope)
    answer["token_type"] = issued.token_type
    if issued.id_token is not None:
        answer["id_token"] = issued.id_token
    return answer
