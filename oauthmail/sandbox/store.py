"""What the authorization server keeps: clients, consents, codes and refresh tokens, and what may be registered."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from oauthlib.common import Request

from .grants import DeviceCode
from .state import State

__all__ = ["DEFAULT_REDIRECT_URIS", "SCOPES", "Client", "Code", "Grant", "RefreshToken", "Store", "redirect_allowed"]

#: Scopes that may be asked for, and which of the sandbox's own they stand for: the providers' names work as well.
SCOPES: dict[str, tuple[str, ...]] = {
    "mail": (),
    "smtp": (),
    "imap": (),
    "pop": (),
    "profile": (),
    "offline_access": (),
    "https://mail.google.com/": ("mail",),
    "https://outlook.office.com/SMTP.Send": ("smtp",),
    "https://outlook.office.com/IMAP.AccessAsUser.All": ("imap",),
    "https://outlook.office.com/POP.AccessAsUser.All": ("pop",),
    "https://outlook.office365.com/.default": ("mail",),
    "mail-w": ("mail",),
}

#: Loopback with the paths that libraries use: none (MSAL), "/" (google-auth-oauthlib), "/callback" (most examples).
DEFAULT_REDIRECT_URIS = frozenset(
    f"http://{host}{path}" for host in ("127.0.0.1", "localhost", "[::1]") for path in ("", "/", "/callback")
)

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|localhost|\[::1\])):(\d{1,5})((?:/.*)?)", re.DOTALL)


def redirect_allowed(redirect_uri: str, registered: frozenset[str]) -> bool:
    """Compare with what is registered, character by character; only loopback's port is free (RFC 8252 section 7.3)."""
    if redirect_uri in registered:
        return True
    found = _LOOPBACK.fullmatch(redirect_uri)
    return found is not None and 0 < int(found[2]) < 65536 and found[1] + found[3] in registered


@dataclass
class Client:
    """A registered client.

    Attributes:
        client_id: its name in the protocol.
        name: its name on the consent page.
        grant_types: what it may use at the token endpoint.
        secret: None for a public client (RFC 6749 section 2.1).
        redirect_uris: where a browser may be sent; see `redirect_allowed`.
        keys: public keys in PEM, for ``private_key_jwt``.
    """

    client_id: str
    name: str
    grant_types: frozenset[str]
    secret: str | None = field(default=None, repr=False)
    redirect_uris: frozenset[str] = DEFAULT_REDIRECT_URIS
    keys: list[str] = field(default_factory=list, repr=False)


@dataclass
class Grant:
    """A person's consent; all tokens of one sign-in belong to it and end with it."""

    grant_id: str
    user: str
    scopes: tuple[str, ...]
    client_id: str


@dataclass
class Code:
    """An authorization code and what it was given for (RFC 6749 section 4.1.2, RFC 7636 section 4.4)."""

    grant: Grant
    redirect_uri: str
    code_challenge: str
    expires_at: float
    used: bool = False


@dataclass
class RefreshToken:
    """A refresh token; it is kept when it has been used, so that a second use is noticed."""

    grant: Grant
    used: bool = False


@dataclass
class Store:
    """What the authorization server keeps beside the access tokens, which are in the sandbox's memory.

    Attributes:
        state: the sandbox's memory; its lock is held around every request.
        now: the clock that ends codes, device codes and assertions; seconds since the epoch.
        audiences: names of this server that a JWT may carry in ``aud``.
        expires_in: lifetime of access tokens in seconds.
        access_token_length: in characters.
        device_expires_in: lifetime of device codes in seconds.
        device_interval: seconds that a device waits between two polls.
        application_user: the mailbox of tokens that an application gets for itself (client credentials).
    """

    state: State
    now: Callable[[], float] = time.time
    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    device_codes: dict[str, DeviceCode] = field(default_factory=dict)
    seen_assertions: set[tuple[str, str]] = field(default_factory=set)
    audiences: list[str] = field(default_factory=list)
    expires_in: int = 3600
    access_token_length: int = 40
    device_expires_in: int = 1800
    device_interval: float = 5
    application_user: str = "app@sandbox.test"

    def end_grant(self, grant: Grant) -> None:
        """Forget every token of one sign-in."""
        self.refresh_tokens = {
            token: kept for token, kept in self.refresh_tokens.items() if kept.grant.grant_id != grant.grant_id
        }
        self.state.revoke_grant(grant.grant_id)

    def issue(self, request: Request) -> str:
        """Make an access token for the user, scopes and client that a grant type has established."""
        # Not `request.grant`: oauthlib's requests have every parameter that a client sends as an attribute.
        grant = vars(request).get("grant")
        scopes = tuple(dict.fromkeys(own for scope in request.scopes for own in (scope, *SCOPES[scope])))
        return self.state.issue(
            request.user,
            scopes,
            client_id=request.client.client_id,
            expires_in=self.expires_in,
            length=self.access_token_length,
            grant_id=grant.grant_id if grant else "",
        )

    def device(self, user_code: str) -> DeviceCode | None:
        """Find the pending request that a person's code belongs to; case and dashes are free (RFC 8628 section 6.1)."""
        typed = re.sub("[^A-Z]", "", user_code.upper())
        for device in self.device_codes.values():
            pending = device.user is None and not device.denied and self.now() < device.expires_at
            if pending and device.user_code.replace("-", "") == typed:
                return device
        return None
