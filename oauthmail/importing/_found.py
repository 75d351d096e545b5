"""What a file says, in one form for all programs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..records import Record

__all__ = ["NONE_YET", "Found"]

#: What stands for an access token until there is one: it has ended before it began, so that it is never used.
NONE_YET = "no-access-token-yet"


@dataclass(frozen=True)
class Found:
    """What a file says.

    Attributes:
        format: one of `FORMATS`.
        address: whose it is, or None.
        access_token: or None.
        refresh_token: or None.
        expires_at: end of the access token, in seconds since the epoch, or None.
        scope: what was granted; empty if the file does not say.
        client_id: who asked, or None.
        client_secret: its secret, or None.
        token_endpoint: where the tokens come from, or None.
        provider: the same as an id in the provider table, where the program says so by a name, or None.
        record: the whole of it, where the file is oauthmail's own.
    """

    format: str
    address: str | None = None
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    scope: tuple[str, ...] = ()
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    token_endpoint: str | None = None
    provider: str | None = None
    record: Record | None = field(default=None, repr=False)
