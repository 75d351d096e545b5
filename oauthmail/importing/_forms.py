"""One program after the other: how its file is recognised, and read."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CredentialsError
from ..records import decode
from ._found import Found

__all__ = ["FORMATS", "FORMS"]


def _own(values: Mapping[str, Any]) -> Found:
    try:
        record = decode(json.dumps(dict(values)))
    except (ValueError, TypeError) as error:
        raise CredentialsError(f"this was written by oauthmail, but {error}") from None
    return Found("", address=record.address, record=record)


def _google(values: Mapping[str, Any]) -> Found:
    """Read google-auth's ``to_json()`` and gcloud's ``application_default_credentials.json``."""
    return Found(
        "",
        _texts(values, "account"),
        _texts(values, "token"),
        _texts(values, "refresh_token"),
        _moment(values.get("expiry")),
        _scope(values.get("scopes")),
        _texts(values, "client_id"),
        _texts(values, "client_secret"),
        _texts(values, "token_uri"),
        # gcloud does not say, as it has only one.
        provider=None if _texts(values, "token_uri") else "google",
    )


def _oauth2client(values: Mapping[str, Any]) -> Found:
    identity = values.get("id_token")
    return Found(
        "",
        _texts(identity if isinstance(identity, dict) else {}, "email"),
        _texts(values, "access_token"),
        _texts(values, "refresh_token"),
        _moment(values.get("token_expiry")),
        _scope(values.get("scopes")),
        _texts(values, "client_id"),
        _texts(values, "client_secret"),
        _texts(values, "token_uri"),
    )


def _oauth2_py(values: Mapping[str, Any]) -> Found:
    # It says how long the token lives, but not since when.
    return Found("", None, _texts(values, "Access Token"), _texts(values, "Refresh Token"), provider="google")


def _yagmail(values: Mapping[str, Any]) -> Found:
    return Found(
        "",
        _texts(values, "email_address"),
        refresh_token=_texts(values, "google_refresh_token"),
        client_id=_texts(values, "google_client_id"),
        client_secret=_texts(values, "google_client_secret"),
        provider="google",
    )


def _plain(values: Mapping[str, Any]) -> Found:
    """Read what has the names of RFC 6749, with whatever a program adds."""
    return Found(
        "",
        _texts(values, "user", "username"),
        _texts(values, "access_token"),
        _texts(values, "refresh_token"),
        _moment(values.get("expires_at", values.get("expiry"))),
        _scope(values.get("scope")),
        _texts(values, "client_id"),
        _texts(values, "client_secret"),
        _texts(values, "token_uri", "token_endpoint", "token_url"),
    )


def _mutt(values: Mapping[str, Any]) -> Found:
    # The end is in local time, of whichever place it was written in; the token is renewed rather than trusted.
    return replace(
        _plain(values),
        address=_texts(values, "email"),
        provider={"google": "google", "microsoft": "microsoft365"}.get(str(values.get("registration")).lower()),
    )


@dataclass(frozen=True)
class _Form:
    """How a program's file is recognised, and read."""

    recognise: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any]], Found]


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda values: values.keys() >= set(names)


#: By name, in the order in which they are tried: the more telling first.
FORMS = {
    "oauthmail": _Form(_has("version", "flow", "address"), _own),
    "mutt": _Form(_has("registration", "authflow"), _mutt),
    "yagmail": _Form(_has("google_refresh_token"), _yagmail),
    "oauth2client": _Form(lambda values: "token_expiry" in values or "_module" in values, _oauth2client),
    "google": _Form(
        lambda values: values.get("type") == "authorized_user" or ("token" in values and "access_token" not in values),
        _google,
    ),
    "gmail-oauth2-tools": _Form(lambda values: "Refresh Token" in values or "Access Token" in values, _oauth2_py),
    "getmail": _Form(_has("token_uri", "user"), _plain),
    "sasl-xoauth2": _Form(
        lambda values: "refresh_token" in values and ("expiry" in values or "token_endpoint" in values), _plain
    ),
    "token": _Form(lambda values: "access_token" in values or "refresh_token" in values, _plain),
}

#: Names, and what they stand for.
FORMATS = {
    "oauthmail": "oauthmail export",
    "mutt": "mutt_oauth2.py, decrypted",
    "yagmail": "yagmail",
    "oauth2client": "oauth2client",
    "google": "google-auth (token.json) or gcloud",
    "gmail-oauth2-tools": "oauth2.py of gmail-oauth2-tools, what it printed",
    "getmail": "getmail's getmail-gmail-xoauth-tokens",
    "sasl-xoauth2": "sasl-xoauth2",
    "token": "requests-oauthlib, or any token response",
}


def _texts(values: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these members that holds text; empty text stands for none."""
    return next((values[name].strip() for name in names if isinstance(values.get(name), str) and values[name]), None)


def _scope(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def _moment(value: object) -> float | None:
    """Return a moment in seconds since the epoch: from a number, a number in text, or UTC as ISO 8601 has it."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    text = value.strip().upper().removesuffix("Z")
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()
