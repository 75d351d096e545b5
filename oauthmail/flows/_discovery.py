"""A provider out of its own description: OpenID Connect Discovery 1.0 and RFC 8414."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any

from .._redact import printable
from ..errors import CredentialsError, FlowError
from ..providers import Provider, custom
from ._http import HTTP, using
from ._quiet import private

__all__ = ["discover"]

# Members of the document that are attributes of `Provider` by the same name.
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "revocation_endpoint")

# How an application may prove itself, the better way first; without a word it is the first (RFC 8414 section 2).
_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")

# Where one document serves many tenants, its issuer has this in the tenant's place.
_MICROSOFT = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")
_TEMPLATE = "{tenantid}"

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@private
def discover(issuer: str, *, http: HTTP | None = None, **known: Any) -> Provider:
    """Ask an authorization server to describe itself.

        C: GET https://auth.example.org/.well-known/openid-configuration
        S: 200, {"issuer": "https://auth.example.org", "token_endpoint": ..., ...}

    Where there is nothing, the other address is asked: ``/.well-known/oauth-authorization-server``, before the path.

    Args:
        issuer: the server's name as an address, which the document must repeat to the letter: otherwise anybody who
            can have a document read could stand in for a server.
        http: see the package.
        known: what the document does not say, or what is known better: attributes of `Provider` as
            `oauthmail.providers.custom` takes them, such as ``smtp=``, ``imap=``, ``scopes=`` and ``domains=``.

    Raises:
        CredentialsError: *issuer* is no https address, or *known* holds something that a provider does not have.
        FlowError: ``discovery_failed`` where there is no document that can be used, ``issuer_mismatch`` for one of
            another server.
    """
    custom(**known)
    with using(http, known.get("ca_file")) as client:
        client.check(issuer, "issuer")
        if "?" in issuer:
            raise CredentialsError("the issuer must have no query")
        address, document = _document(client, issuer)
        return custom(**{**_definition(client, issuer, address, document), **known})


def _addresses(issuer: str) -> tuple[str, str]:
    """Return where the two standards put the document: OpenID behind the path, RFC 8414 section 3.1 before it."""
    parts = urllib.parse.urlsplit(issuer)
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{base}{path}/.well-known/openid-configuration",
        f"{base}/.well-known/oauth-authorization-server{path}",
    )


def _document(http: HTTP, issuer: str) -> tuple[str, Mapping[str, Any]]:
    """Return the address of the document and the document, once it is known to be this issuer's."""
    problems = []
    for address in _addresses(issuer):
        try:
            answer = http.get(address)
            document = answer.json() if answer.ok else None
        except FlowError as error:
            if error.temporary or error.error == "tls_error":
                raise
            problems.append(str(error))
            continue
        if document is None:
            if answer.temporary:
                raise answer.unusable("no description of the server")
            problems.append(f"{address}: status {answer.status}")
            continue
        if not _same(issuer, document.get("issuer")):
            found = answer.words(document.get("issuer"), 200) or "no issuer"
            raise FlowError(
                "issuer_mismatch",
                f"the document at {address} is of {found}, not of {printable(issuer)}",
                hint="Give the issuer exactly as the provider names itself; if that is what you did, do not trust it",
            )
        return address, document
    raise FlowError(
        "discovery_failed",
        f"{printable(issuer)} describes itself nowhere ({'; '.join(problems)})",
        hint="Check the issuer, or describe the provider by its endpoints",
    )


def _same(issuer: str, found: object) -> bool:
    """Compare as RFC 8414 section 3.3 says, character by character, with one exception that is Microsoft's."""
    if issuer == found:
        return True
    if not isinstance(found, str) or urllib.parse.urlsplit(issuer).netloc not in _MICROSOFT:
        return False
    before, template, after = found.partition(_TEMPLATE)
    tenant = issuer[len(before) : len(issuer) - len(after)]
    return bool(template and tenant and "/" not in tenant and issuer == f"{before}{tenant}{after}")


def _definition(http: HTTP, issuer: str, address: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the document says, in `custom`'s words."""
    host = str(urllib.parse.urlsplit(issuer).hostname)
    found: dict[str, Any] = {"id": host, "issuer": issuer, "discovery": address}
    for name in _ENDPOINTS:
        if (endpoint := document.get(name)) is not None:
            found[name] = _checked(http, name, endpoint, host)
    if "token_endpoint" not in found:
        raise FlowError("discovery_failed", f"the description of {host} names no token_endpoint")
    grants = _listed(document, "grant_types_supported")
    found["client_credentials"] = "client_credentials" in grants
    found["jwt_bearer"] = _JWT_BEARER in grants
    if "offline_access" in _listed(document, "scopes_supported"):
        found["offline_scope"] = "offline_access"
    methods = _listed(document, "token_endpoint_auth_methods_supported") or _METHODS
    found["token_endpoint_auth_method"] = next((method for method in _METHODS if method in methods), _METHODS[0])
    return found


def _checked(http: HTTP, name: str, endpoint: object, host: str) -> str:
    problem = ""
    try:
        return http.check(endpoint if isinstance(endpoint, str) else "", name)
    except CredentialsError as error:
        problem = str(error)
    raise FlowError("discovery_failed", f"the description of {host} cannot be used: {problem}")


def _listed(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = document.get(name)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()
