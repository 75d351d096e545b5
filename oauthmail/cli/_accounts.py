"""What there is to say of a mailbox that is set up, without asking anybody."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from ..account import Account
from ..credentials import OAuth1Credentials, OAuth2Credentials
from ..errors import OAuthMailError
from ..providers import Provider
from ..records import Record
from ..stores import Store
from ._terminal import wrapped, write

__all__ = ["Found", "as_object", "look", "show"]

_DAY = 86400.0
# So long before a refresh token is known to end there is a warning; a shorter life is warned of for its last quarter.
_AHEAD = 14 * _DAY
# Google ends what was signed in to an application that is not published; whether it is, nobody else can tell.
_TESTING = 7 * _DAY

_WAYS = {
    "authorization_code": "in a browser",
    "device": "on another device",
    "oauth1": "OAuth 1.0a",
    "client_credentials": "the application by itself",
    "service_account": "a service account",
    "imported": "imported from another program",
}


@dataclass(frozen=True)
class Found:
    """One mailbox.

    Attributes:
        address: in lower case.
        record: what is stored, or None.
        provider: who provides it, or None where that cannot be told any more.
        problem: why it cannot be used, or empty.
        ends: when the refresh token is known to end if nobody uses it before, in seconds since the epoch, or None.
        warnings: what somebody should do something about.
        notes: what is good to know.
    """

    address: str
    record: Record | None = None
    provider: Provider | None = None
    problem: str = ""
    ends: float | None = None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(store: Store, address: str, now: float) -> Found:
    """Return what is known of a mailbox; one that cannot be read is no reason to stop."""
    account = Account(address, store=store)
    try:
        record = account.record
        if record is None:
            return Found(address, problem="it was removed a moment ago")
        provider = account.provider
    except OAuthMailError as error:
        return Found(address, problem=str(error))
    warnings, notes = [], []
    ends = _ends(record, provider)
    again = f"oauthmail authorize {record.address}"
    held = record.credentials
    alone = record.flow in ("client_credentials", "service_account")
    if held is None and not alone:
        warnings.append(f"there are no tokens: sign in ({again})")
    elif isinstance(held, OAuth2Credentials) and held.refresh_token is None and not alone:
        over = held.expired(now, 0)
        warnings.append(f"there is no refresh token: sign in again {'now' if over else 'when that ends'} ({again})")
    if ends is not None and ends <= now:
        warnings.append(f"it was not used for {_span(now - ends + _life(provider))}: sign in again ({again})")
    elif ends is not None and ends - now < min(_AHEAD, _life(provider) / 4):
        warnings.append(f"the sign-in ends in {_span(ends - now)} unless it is used before: oauthmail token {address}")
    signed_in = record.authorized_at
    if provider.id == "google" and signed_in is not None and not alone and now - signed_in < _TESTING:
        notes.append(
            f"while the application's publishing status is Testing, Google ends this on {_date(signed_in + _TESTING)}"
        )
    return Found(address, record, provider, ends=ends, warnings=warnings, notes=notes)


def _life(provider: Provider) -> float:
    return (provider.refresh_token_days or 0) * _DAY


def _ends(record: Record, provider: Provider) -> float | None:
    """Return when the refresh token dies unused; every renewal starts its time anew."""
    held = record.credentials
    used = record.renewed_at or record.authorized_at
    if not isinstance(held, OAuth2Credentials) or held.refresh_token is None or used is None:
        return None
    return used + _life(provider) if provider.refresh_token_days else None


# --- for people ---------------------------------------------------------------------------------------------------


def show(found: Found, now: float) -> None:
    """Print a paragraph."""
    write(found.record.address if found.record is not None else found.address, sys.stdout)
    for name, text in _lines(found, now):
        write(wrapped(f"  {name:<15}", text), sys.stdout)
    write("", sys.stdout)


def _lines(found: Found, now: float) -> list[tuple[str, str]]:
    record, provider = found.record, found.provider
    if record is None or provider is None:
        return [("cannot be used", found.problem)]
    lines = [("provider", f"{provider.id} ({provider.name})" if provider.name else provider.id)]
    if record.tenant is not None:
        lines.append(("tenant", record.tenant))
    if record.user is not None and record.user != record.address:
        lines.append(("signs in", record.user))
    way = _WAYS[record.flow]
    if record.authorized_at is not None:
        way += f", {_span(now - record.authorized_at)} ago ({_date(record.authorized_at)})"
    lines.append(("sign-in", way))
    held = record.credentials
    if isinstance(held, OAuth1Credentials):
        lines.append(("tokens", "OAuth 1.0a, without an end of their own"))
    elif held is not None:
        lines.append(("access token", _access(held, now)))
        lines.append(("refresh token", _refresh(record, found.ends, now)))
    if scope := (held.scope if isinstance(held, OAuth2Credentials) and held.scope else record.scope):
        lines.append(("scope", " ".join(scope)))
    return lines + [("warning", text) for text in found.warnings] + [("note", text) for text in found.notes]


def _access(held: OAuth2Credentials, now: float) -> str:
    if held.expires_at is None:
        return "its end is not known"
    if not held.expires_at:
        return "none yet; it is obtained when one is needed"
    if held.expires_at > now:
        return f"good for {_span(held.expires_at - now)}"
    return f"ended {_span(now - held.expires_at)} ago; the next use renews it"


def _refresh(record: Record, ends: float | None, now: float) -> str:
    held = record.credentials
    if not isinstance(held, OAuth2Credentials) or held.refresh_token is None:
        return "none"
    told = "kept" if record.renewed_at is None else f"last used {_span(now - record.renewed_at)} ago"
    return told if ends is None else f"{told}; unused, it ends on {_date(ends)}"


def _span(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, length in (("day", _DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * length or (unit == "minute" and seconds >= length):
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{max(0, int(seconds))} seconds"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


# --- for programs -------------------------------------------------------------------------------------------------


def as_object(found: Found) -> dict[str, object]:
    """Return what ``--json`` prints; no secret is among it."""
    record, provider = found.record, found.provider
    if record is None or provider is None:
        return {"address": found.address, "problem": found.problem}
    held = record.credentials
    tokens = held if isinstance(held, OAuth2Credentials) else None
    return {
        "address": record.address,
        "provider": record.provider,
        "tenant": record.tenant,
        "user": record.user,
        "flow": record.flow,
        "scope": list((tokens.scope if tokens is not None else ()) or record.scope),
        "expires_at": tokens.expires_at if tokens is not None else None,
        "refresh_token": tokens is not None and tokens.refresh_token is not None,
        "authorized_at": record.authorized_at,
        "renewed_at": record.renewed_at,
        "ends_unused_at": found.ends,
        "warnings": found.warnings,
        "notes": found.notes,
    }
