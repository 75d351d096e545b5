"""What oauthlib's OAuth 1.0a server classes ask, answered from the sandbox's memory."""

from __future__ import annotations

import secrets
import time
from typing import Any

from oauthlib.oauth1 import RequestValidator

from .state import State

__all__ = ["Validator"]

# Seconds by which a timestamp may differ from the clock.
_LEEWAY = 300


class Validator(RequestValidator):  # type: ignore[misc]  # oauthlib is untyped
    """Answers for signed requests: clients, tokens, timestamps and nonces.

    Unknown keys are answered for with a dummy and a secret that nobody has, so that an answer takes the same time
    whether a key exists or not (RFC 5849 section 4.10's advice, and oauthlib's).
    """

    enforce_ssl = False
    # RSA would need a key of the client's, and PLAINTEXT a line that nobody reads (RFC 5849 section 3.4.4).
    allowed_signature_methods = ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512")
    timestamp_lifetime = _LEEWAY
    dummy_client = "dummy-client"
    dummy_access_token = "dummy-token"  # noqa: S105  # a name, not a password
    dummy_request_token = "dummy-request-token"  # noqa: S105  # a name, not a password

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state

    # The standard form of a key is not worth checking here: whatever was issued is accepted.

    def check_client_key(self, client_key: str) -> bool:
        """Take any form."""
        return bool(client_key)

    def check_access_token(self, request_token: str) -> bool:
        """Take any form."""
        return bool(request_token)

    def check_nonce(self, nonce: str) -> bool:
        """Take any form."""
        return bool(nonce)

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        """Recognise a client that is registered."""
        return client_key in self.state.oauth1_clients

    def get_client_secret(self, client_key: str, request: Any) -> str:
        """Return the client's secret, or for an unknown client one that nobody has."""
        return self.state.oauth1_clients.get(client_key) or secrets.token_urlsafe()

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        """Accept a token that was issued to this client."""
        found = self.state.oauth1_tokens.get(token)
        return found is not None and found.client_key == client_key

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        """Return the token's secret, or for an unknown token one that nobody has."""
        found = self.state.oauth1_tokens.get(token)
        return found.secret if found else secrets.token_urlsafe()

    def validate_realms(self, client_key: str, token: str, request: Any, uri: Any = None, realms: Any = None) -> bool:
        """Take any realm; the sandbox has none of its own."""
        return True

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        """Accept a timestamp near the clock, and a nonce once per client and timestamp (RFC 5849 section 3.3)."""
        key = (client_key, timestamp, nonce)
        fresh = abs(time.time() - int(timestamp)) <= _LEEWAY and key not in self.state.oauth1_seen
        self.state.oauth1_seen.add(key)
        return fresh
