"""What a token says of itself, read on this machine and believed by nobody.

Access tokens are between the provider and the mail server: a client cannot rely on what is in them. When a server has
refused one without a reason, though, what it says of itself is the best clue there is.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from .._redact import printable

__all__ = ["Claims", "foreign_audience", "missing_scope", "read"]

# Names of the person who signed in, the most telling first (OpenID Connect Core section 5.1, Microsoft's tokens).
_OWNER = ("upn", "preferred_username", "unique_name", "email")

# Application ids of Microsoft's that stand for an address in ``aud``.
_NAMES = {
    "00000002-0000-0ff1-ce00-000000000000": "https://outlook.office.com",
    "00000003-0000-0000-c000-000000000000": "https://graph.microsoft.com",
}
# All of them are Exchange Online; the clouds of governments and of China have one name each.
_EXCHANGE = frozenset({"outlook.office.com", "outlook.office365.com", "ps.outlook.com"})
_CLOUDS = frozenset({"outlook.office365.us", "partner.outlook.cn"})

# Asked for, and granted without being named in a token.
_UNNAMED = frozenset({"offline_access", "openid", "profile", "email", "address", "phone"})


@dataclass(frozen=True)
class Claims:
    """What a JWT (RFC 7519) says, as far as mail servers look at it.

    Attributes:
        audience: whom the token is for.
        scope: what it permits.
        expires_at: its end, in seconds since the epoch, or None.
        owner: who signed in, or None.
    """

    audience: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    expires_at: float | None = None
    owner: str | None = None


def read(token: str | None) -> Claims | None:
    """Return what a token says; None where it is no JWT, which most are not."""
    parts = (token or "").split(".")
    if len(parts) != 3:
        return None
    try:
        content = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    expires_at = content.get("exp")
    owner = next((content[name] for name in _OWNER if isinstance(content.get(name), str) and content[name]), None)
    return Claims(
        audience=tuple(_NAMES.get(audience, audience) for audience in _texts(content.get("aud"))),
        # Microsoft's ``scp`` of a person and ``roles`` of an application, and RFC 9068's.
        scope=tuple(scope for name in ("scp", "scope", "roles") for scope in _texts(content.get(name))),
        expires_at=expires_at if isinstance(expires_at, int | float) and not isinstance(expires_at, bool) else None,
        owner=None if owner is None else printable(owner, 200),
    )


def _texts(value: object) -> tuple[str, ...]:
    found = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
    return tuple(printable(item, 200) for item in found if isinstance(item, str))


def foreign_audience(audience: Collection[str], scopes: Collection[str]) -> str | None:
    """Return the server that a token should be for and is not, or None.

    It can only be told of Microsoft, whose scopes begin with the server that a token for them is for.

    Args:
        audience: of the token.
        scopes: what the mail server wants.
    """
    wanted = next((host for scope in scopes if (host := urlsplit(scope).hostname) in _EXCHANGE | _CLOUDS), None)
    held = {urlsplit(item).hostname for item in audience}
    if wanted is None or not held or None in held:
        return None
    good = {wanted} if wanted in _CLOUDS else _EXCHANGE
    return None if good & held else f"https://{wanted}"


def missing_scope(granted: Collection[str], wanted: Collection[str]) -> list[str]:
    """Return which of the scopes a token lacks; nothing where it does not say what it has.

    A JWT has names alone (``SMTP.Send``) where the request had addresses; ``.default`` stands for all that there is.
    """
    held = {_name(scope) for scope in granted}
    if not held or ".default" in held:
        return []
    return [scope for scope in wanted if scope not in _UNNAMED and _name(scope) not in held]


def _name(scope: str) -> str:
    return re.sub(r"^https?://[^/]+/(?=.)", "", scope.lower()).rstrip("/")
