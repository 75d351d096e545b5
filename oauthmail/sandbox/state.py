"""What the sandbox knows: users, tokens, faults and what was said. Every server asks here, under one lock."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["FAULTS", "AccessToken", "Fault", "Line", "OAuth1Token", "State", "Verdict", "fingerprint"]

#: Faults that can be asked for, and what their number means.
FAULTS = {
    "temporary": "logins fail as they do when the authorization server is down",
    "drop": "the connection is closed in place of the next answer",
    "slow": "every answer waits this many seconds",
    "line_length": "command lines longer than this many octets are refused",
    "smtp_disabled": "SMTP logins fail as at Exchange Online where the administrator has switched them off",
    "not_connected": "IMAP logins succeed and every command after them fails, as at Exchange Online",
}


def fingerprint(token: str) -> str:
    """Return what may be shown of a secret: the first 12 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()[:12]


@dataclass
class AccessToken:
    """An access token's claims.

    Attributes:
        user: the mailbox address.
        scope: what was granted.
        client_id: who it was issued to.
        expires_at: seconds since the epoch.
        grant_id: tokens of one sign-in share it; revoking the grant ends them all.
    """

    user: str
    scope: tuple[str, ...]
    client_id: str
    expires_at: float
    grant_id: str = ""


@dataclass(frozen=True)
class OAuth1Token:
    """An OAuth 1.0a token: its secret, the mailbox it opens and the client it was issued to."""

    secret: str
    user: str
    client_key: str


@dataclass(frozen=True)
class Verdict:
    """What a mail server learns about a token.

    Attributes:
        user: the mailbox to open; None when the token does not open the one asked for.
        reason: why not: ``unknown``, ``expired``, ``revoked``, ``user``, ``scope``, ``temporary``; else empty.
    """

    user: str | None
    reason: str = ""


@dataclass
class Fault:
    """Something that goes wrong on purpose.

    Attributes:
        kind: one of `FAULTS`.
        service: ``smtp``, ``imap``, ``pop``, ``introspection``, or None for all.
        number: what `FAULTS` says.
        times: how often it still happens; None for always.
    """

    kind: str
    service: str | None = None
    number: float = 0
    times: int | None = 1


@dataclass(frozen=True)
class Line:
    """One line that a server received.

    Attributes:
        service: ``smtp``, ``imap`` or ``pop``.
        connection: counts connections, from 1.
        text: the line without its end; secrets stand as ``<fingerprint …>``.
    """

    service: str
    connection: int
    text: str


@dataclass
class State:
    """The sandbox's memory.

    Attributes:
        lock: held around everything that reads or changes more than one thing.
        users: addresses that may be signed in; anybody is let in, and added.
        tokens: access tokens by value.
        ended: why tokens that were valid once are not any more: ``expired`` or ``revoked``, by value.
        oauth1_clients: client keys and their secrets.
        oauth1_tokens: OAuth 1.0a tokens by key.
        lines: every line received, oldest first.
        introspected: fingerprints of the tokens that introspection was asked about, oldest first.
        token_length: characters of an access token where nobody asks for another length.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    users: set[str] = field(default_factory=set)
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    oauth1_clients: dict[str, str] = field(default_factory=dict)
    oauth1_tokens: dict[str, OAuth1Token] = field(default_factory=dict)
    oauth1_seen: set[tuple[str, str, str]] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)
    introspected: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    token_length: int = 40
    _connections: int = 0

    # --- tokens ---------------------------------------------------------------------------------------------------

    def issue(
        self,
        user: str,
        scope: tuple[str, ...] = ("mail",),
        *,
        client_id: str = "sandbox",
        expires_in: float = 3600,
        length: int | None = None,
        grant_id: str = "",
    ) -> str:
        """Return a new access token.

        Args:
            user: the mailbox address; it is added to `users`.
            scope: what the token is good for.
            client_id: who it is issued to.
            expires_in: seconds; 0 or less makes a token that has expired already.
            length: characters; None for `token_length`.
            grant_id: the sign-in that it belongs to.
        """
        length = length or self.token_length
        token = secrets.token_urlsafe(length)[:length]
        with self.lock:
            self.users.add(user)
            self.tokens[token] = AccessToken(user, scope, client_id, time.time() + expires_in, grant_id)
        return token

    def expire(self, token: str) -> None:
        """End a token's life now.

        Raises:
            KeyError: the token was not issued here, or was revoked.
        """
        with self.lock:
            self.tokens[token].expires_at = 0

    def revoke(self, token: str) -> None:
        """Forget a token; unknown ones are no error (RFC 7009 section 2.2)."""
        with self.lock:
            if self.tokens.pop(token, None):
                self.ended[token] = "revoked"

    def revoke_grant(self, grant_id: str) -> None:
        """Forget every access token of one sign-in."""
        with self.lock:
            for token in [token for token, claims in self.tokens.items() if claims.grant_id == grant_id]:
                self.revoke(token)

    def judge(self, token: str, user: str, service: str) -> Verdict:
        """Decide whether *token* opens the mailbox of *user*; an empty user takes the token's own."""
        with self.lock:
            if self.take_fault("temporary", service):
                return Verdict(None, "temporary")
            claims = self.tokens.get(token)
            if claims is None:
                return Verdict(None, self.ended.get(token, "unknown"))
            if claims.expires_at <= time.time():
                return Verdict(None, "expired")
            if not {"mail", service}.intersection(claims.scope):
                return Verdict(None, "scope")
            if user and user != claims.user:
                return Verdict(None, "user")
            return Verdict(claims.user)

    # --- faults ---------------------------------------------------------------------------------------------------

    def fault(self, kind: str, *, service: str | None = None, number: float = 0, times: int | None = 1) -> Fault:
        """Have something go wrong; see `FAULTS`.

        Raises:
            ValueError: an unknown kind.
        """
        if kind not in FAULTS:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(sorted(FAULTS))}")
        fault = Fault(kind, service, number, times)
        with self.lock:
            self.faults.append(fault)
        return fault

    def take_fault(self, kind: str, service: str) -> Fault | None:
        """Return the fault that happens now, counting it down, or None."""
        with self.lock:
            for fault in self.faults:
                if fault.kind == kind and fault.service in (None, service):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self.faults.remove(fault)
                    return fault
        return None

    def clear_faults(self) -> None:
        """Let everything work again."""
        with self.lock:
            self.faults.clear()

    # --- what was said --------------------------------------------------------------------------------------------

    def new_connection(self) -> int:
        """Return the number of a connection that has just been accepted."""
        with self.lock:
            self._connections += 1
            return self._connections

    def record(self, service: str, connection: int, text: str) -> None:
        """Keep a line that was received; the caller has put fingerprints in place of secrets."""
        with self.lock:
            self.lines.append(Line(service, connection, text))

    def received(self, service: str | None = None) -> Iterator[str]:
        """Return the text of every line received, oldest first."""
        with self.lock:
            return iter([line.text for line in self.lines if service in (None, line.service)])
