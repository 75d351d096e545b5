"""OAuth 1.0a from nothing to a token (RFC 5849 section 2), on oauthlib's ``oauth1`` server classes."""

from __future__ import annotations

import secrets
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from oauthlib.common import Request, add_params_to_uri
from oauthlib.oauth1 import AccessTokenEndpoint, AuthorizationEndpoint, RequestTokenEndpoint

from .state import OAuth1Token, State
from .store import DEFAULT_REDIRECT_URIS, redirect_allowed
from .validator1 import Validator

__all__ = ["OUT_OF_BAND", "Flow", "Temporary"]

#: RFC 5849 section 2.1: the callback of a client that cannot receive one.
OUT_OF_BAND = "oob"

# Seconds that a person has to decide and the client to fetch its token.
_LIFETIME = 600


@dataclass
class Temporary:
    """Temporary credentials (RFC 5849 section 2.1).

    Attributes:
        secret: ``oauth_token_secret``.
        client_key: who asked.
        callback: where the browser goes afterwards, or `OUT_OF_BAND`.
        expires_at: seconds since the epoch.
        user: who said yes, once somebody has.
        verifier: what proves it; empty before.
    """

    secret: str = field(repr=False)
    client_key: str
    callback: str
    expires_at: float
    user: str = ""
    verifier: str = field(default="", repr=False)


class FlowValidator(Validator):
    """Answers what oauthlib asks on the way to a token; `Validator` answers for logins."""

    def __init__(self, state: State, now: Callable[[], float]) -> None:
        super().__init__(state)
        self.now = now
        self.redirect_uris = DEFAULT_REDIRECT_URIS
        self.temporary: dict[str, Temporary] = {}

    def pending(self, token: str, client_key: str | None = None) -> Temporary | None:
        """Return temporary credentials that are still good, of one client or of any."""
        found = self.temporary.get(token)
        if found is None or self.now() >= found.expires_at or client_key not in (None, found.client_key):
            return None
        return found

    # The standard form of a value is not worth checking: it is known or not.

    def check_request_token(self, request_token: str) -> bool:
        """Take any form."""
        return bool(request_token)

    def check_verifier(self, verifier: str) -> bool:
        """Take any form."""
        return bool(verifier)

    def check_realms(self, realms: list[str]) -> bool:
        """Take any realm; the sandbox has none of its own."""
        return True

    def get_default_realms(self, client_key: str, request: Request) -> list[str]:
        """Have none."""
        return []

    def get_realms(self, token: str, request: Request) -> list[str]:
        """Have none."""
        return []

    def validate_requested_realms(self, client_key: str, realms: list[str], request: Request) -> bool:
        """Take any realm."""
        return True

    def validate_redirect_uri(self, client_key: str, redirect_uri: str, request: Request) -> bool:
        """Allow ``oob`` and what is registered: a browser must not be sent just anywhere."""
        return redirect_uri == OUT_OF_BAND or redirect_allowed(redirect_uri, self.redirect_uris)

    def save_request_token(self, token: dict[str, str], request: Request) -> None:
        """Keep new temporary credentials."""
        self.temporary[token["oauth_token"]] = Temporary(
            token["oauth_token_secret"], request.client_key, request.redirect_uri, self.now() + _LIFETIME
        )

    def get_request_token_secret(self, client_key: str, token: str, request: Request) -> str:
        """Return the secret, or for unknown credentials one that nobody has."""
        found = self.pending(token, client_key)
        return found.secret if found else secrets.token_urlsafe()

    def validate_request_token(self, client_key: str, token: str, request: Request) -> bool:
        """Accept temporary credentials that are neither used nor expired nor another client's."""
        return self.pending(token, client_key) is not None

    def verify_request_token(self, token: str, request: Request) -> bool:
        """Let a person decide once."""
        found = self.pending(token)
        return found is not None and not found.verifier

    def save_verifier(self, token: str, verifier: dict[str, str], request: Request) -> None:
        """Keep what proves the person's consent (RFC 5849 section 2.2)."""
        self.temporary[token].verifier = verifier["oauth_verifier"]

    def get_redirect_uri(self, token: str, request: Request) -> str:
        """Return the callback."""
        return self.temporary[token].callback

    def validate_verifier(self, client_key: str, token: str, verifier: str, request: Request) -> bool:
        """Compare the verifier; before a consent there is none to be right."""
        found = self.pending(token, client_key)
        expected = found.verifier if found and found.verifier else secrets.token_urlsafe()
        return secrets.compare_digest(verifier.encode(), expected.encode())

    def invalidate_request_token(self, client_key: str, request_token: str, request: Request) -> None:
        """Forget temporary credentials: they bring one token (RFC 5849 section 2.3)."""
        del self.temporary[request_token]

    def save_access_token(self, token: dict[str, str], request: Request) -> None:
        """Let the mail servers know the token."""
        user = self.temporary[request.resource_owner_key].user
        self.state.users.add(user)
        self.state.oauth1_tokens[token["oauth_token"]] = OAuth1Token(
            token["oauth_token_secret"], user, request.client_key
        )


class Flow:
    """The three steps. The caller holds the state's lock.

    Addresses are the real ones, not `call.oauthlib_uri`'s: the client has signed them (RFC 5849 section 3.4.1.2).
    """

    def __init__(self, state: State, now: Callable[[], float] = time.time) -> None:
        self.validator = FlowValidator(state, now)
        self._request_token = RequestTokenEndpoint(self.validator)
        self._authorization = AuthorizationEndpoint(self.validator)
        self._access_token = AccessTokenEndpoint(self.validator)

    def request_token(
        self, uri: str, method: str, body: str, headers: dict[str, str]
    ) -> tuple[dict[str, str], str, int]:
        """Issue temporary credentials; return headers, body and status."""
        return _explained(self._request_token.create_request_token_response(uri, method, body, headers))

    def access_token(
        self, uri: str, method: str, body: str, headers: dict[str, str]
    ) -> tuple[dict[str, str], str, int]:
        """Exchange temporary credentials and verifier for a token; return headers, body and status."""
        return _explained(self._access_token.create_access_token_response(uri, method, body, headers))

    def pending(self, token: str) -> Temporary | None:
        """Return what a person is asked to decide about, or None: unknown, expired, or decided already."""
        found = self.validator.pending(token)
        return None if found is None or found.verifier else found

    def authorize(self, token: str, user: str | None) -> str:
        """Record a decision about credentials that are `pending`.

        Args:
            token: ``oauth_token`` of the temporary credentials.
            user: who said yes; None when they said no.

        Returns:
            Where to send the browser; empty when the callback is `OUT_OF_BAND`.
        """
        temporary = self.validator.temporary[token]
        if user is None:
            del self.validator.temporary[token]
            # RFC 5849 has no word for it; this is the OAuth Problem Reporting extension's.
            answer = [("oauth_token", token), ("oauth_problem", "user_refused")]
            return "" if temporary.callback == OUT_OF_BAND else str(add_params_to_uri(temporary.callback, answer))
        temporary.user = user
        query = urllib.parse.urlencode({"oauth_token": token})
        headers, _, _ = self._authorization.create_authorization_response(f"http://sandbox.invalid/?{query}")
        return str(headers.get("Location", ""))


def _explained(answer: tuple[dict[str, str], str | None, int]) -> tuple[dict[str, str], str, int]:
    """Give a 401 the challenge that HTTP wants; oauthlib leaves headers and body empty."""
    headers, body, status = answer
    if status == 401:
        headers = {"WWW-Authenticate": 'OAuth realm="oauthmail sandbox"', "Content-Type": "text/plain"}
        body = "oauth_problem=refused: check key, secrets, timestamp, nonce, verifier and the signed address\n"
    return {**headers, "Cache-Control": "no-store"}, body or "", status
