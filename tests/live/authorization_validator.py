"""What the authorization server knows: its clients, codes and tokens, as oauthlib asks for them.

Only the authorization server's own process imports this module.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oauthlib.oauth2 import RequestValidator

if TYPE_CHECKING:
    from oauthlib.common import Request

SCOPES = frozenset({"mail", "profile"})
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True)
class Client:
    """A registered client; oauthlib wants an object with a ``client_id``."""

    client_id: str


@dataclass(frozen=True)
class Code:
    """An authorization code and what it was given for (RFC 6749 section 4.1.2, RFC 7636 section 4.4)."""

    user: str
    scopes: tuple[str, ...]
    redirect_uri: str
    code_challenge: str
    code_challenge_method: str


@dataclass(frozen=True)
class Grant:
    """A user's consent to a scope; every token of one sign-in points to the same grant."""

    user: str
    scopes: tuple[str, ...]


@dataclass
class AccessToken:
    """An access token's claims; ``expires_at`` is in seconds since the epoch."""

    grant: Grant
    expires_at: float


@dataclass
class Store:
    """Everything issued so far. The HTTP side holds one lock around each request."""

    codes: dict[str, Code] = field(default_factory=dict)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict)
    refresh_tokens: dict[str, Grant] = field(default_factory=dict)
    introspected: list[str] = field(default_factory=list)
    expires_in: int = 3600
    access_token_length: int = 40
    introspection_available: bool = True


def fingerprint(token: str) -> str:
    """Return the SHA-256 of *token* in hex, which may stand in logs and answers where a token may not."""
    return hashlib.sha256(token.encode()).hexdigest()


def basic_credentials(header: str) -> tuple[str, str]:
    """Split an ``Authorization: Basic`` value into user and password; two empty strings when it is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


class Validator(RequestValidator):  # type: ignore[misc, unused-ignore]  # a missing stub makes it Any
    """Answer oauthlib's questions from a `Store`: one public client with PKCE, one resource server."""

    def __init__(self, store: Store, client_id: str, resource_server: tuple[str, str]) -> None:
        """Keep *store* and the two parties' names.

        Args:
            store: what was issued so far.
            client_id: the public client that may ask for tokens.
            resource_server: name and secret that may introspect.
        """
        self.store = store
        self.client_id = client_id
        self.resource_server = resource_server

    # -- who is calling

    def client_authentication_required(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Ask the resource server for its secret; a public client has none (RFC 6749 section 2.1)."""
        path: str = urllib.parse.urlsplit(request.uri).path
        return path == "/introspect"

    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Check the resource server's HTTP Basic credentials (RFC 7662 section 2.1)."""
        given = basic_credentials(request.headers.get("Authorization", ""))
        request.client = Client(given[0])
        pairs = zip(given, self.resource_server, strict=True)
        # A list, so that both are compared whichever is wrong.
        return all([hmac.compare_digest(one.encode(), other.encode()) for one, other in pairs])  # noqa: C419

    def authenticate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Recognise the public client by its name alone."""
        request.client = Client(self.client_id)
        return client_id == self.client_id

    def validate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Recognise the client at the authorization endpoint."""
        return self.authenticate_client_id(client_id, request)

    def validate_grant_type(self, client_id: str, grant_type: str, *args: object, **kwargs: object) -> bool:
        """Allow what the server's metadata announces."""
        return grant_type in {"authorization_code", "refresh_token"}

    def validate_response_type(self, client_id: str, response_type: str, *args: object, **kwargs: object) -> bool:
        """Allow ``code`` only."""
        return response_type == "code"

    def validate_redirect_uri(self, client_id: str, redirect_uri: str, *args: object, **kwargs: object) -> bool:
        """Allow loopback with any port and path (RFC 8252 section 7.3)."""
        parts = urllib.parse.urlsplit(redirect_uri)
        return parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS

    def get_default_redirect_uri(self, *args: object, **kwargs: object) -> None:
        """Have none: the client always says where to go."""

    def get_default_scopes(self, *args: object, **kwargs: object) -> list[str]:
        """Grant mail to a client that names no scope."""
        return ["mail"]

    def validate_scopes(self, client_id: str, scopes: list[str], *args: object, **kwargs: object) -> bool:
        """Refuse a scope that is not announced."""
        return set(scopes) <= SCOPES

    # -- authorization codes

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Require PKCE, as RFC 8252 section 8.1 does for native applications."""
        return True

    def save_authorization_code(
        self, client_id: str, code: dict[str, Any], request: Request, *args: object, **kwargs: object
    ) -> None:
        """Keep the code with all it is bound to."""
        self.store.codes[code["code"]] = Code(
            user=request.user,
            scopes=tuple(request.scopes),
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            code_challenge_method=request.code_challenge_method,
        )

    def validate_code(
        self, client_id: str, code: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Look the code up and hand its user and scopes to oauthlib."""
        saved = self.store.codes.get(code)
        if saved is None:
            return False
        request.user, request.scopes = saved.user, list(saved.scopes)
        return True

    def get_code_challenge(self, code: str, request: Request) -> str:
        """Return the PKCE challenge of a code that `validate_code` accepted."""
        return self.store.codes[code].code_challenge

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """Return the PKCE method of a code that `validate_code` accepted."""
        return self.store.codes[code].code_challenge_method

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, *args: object, **kwargs: object
    ) -> bool:
        """Compare with the authorization request's, character by character (RFC 6749 section 4.1.3)."""
        return self.store.codes[code].redirect_uri == redirect_uri

    def invalidate_authorization_code(self, client_id: str, code: str, *args: object, **kwargs: object) -> None:
        """Forget a used code: it works once."""
        self.store.codes.pop(code, None)

    # -- tokens

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: object, **kwargs: object) -> None:
        """Keep new tokens and end the refresh token they came from."""
        grant = self.store.refresh_tokens.pop(request.refresh_token or "", None)
        grant = grant or Grant(request.user, tuple(request.scopes))
        granted = Grant(grant.user, tuple(request.scopes))
        expires_at = time.time() + token["expires_in"]
        self.store.access_tokens[token["access_token"]] = AccessToken(granted, expires_at)
        if "refresh_token" in token:
            self.store.refresh_tokens[token["refresh_token"]] = grant

    def validate_refresh_token(
        self, refresh_token: str, client: object, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Accept a refresh token that is neither used, revoked nor unknown."""
        grant = self.store.refresh_tokens.get(refresh_token)
        if grant is None:
            return False
        request.user = grant.user
        return True

    def get_original_scopes(self, refresh_token: str, *args: object, **kwargs: object) -> list[str]:
        """Return what the user agreed to, the most a refresh may ask for."""
        return list(self.store.refresh_tokens[refresh_token].scopes)

    def introspect_token(self, token: str, *args: object, **kwargs: object) -> dict[str, Any] | None:
        """Return the claims of a valid access token (RFC 7662 section 2.2), None for all else."""
        known = self.store.access_tokens.get(token)
        if known is None or known.expires_at <= time.time():
            return None
        return {
            "username": known.grant.user,
            "scope": " ".join(known.grant.scopes),
            "exp": int(known.expires_at),
            "token_type": "Bearer",
        }

    def revoke_token(self, token: str, *args: object, **kwargs: object) -> None:
        """Forget an access token, or a refresh token (RFC 7009 section 2.1)."""
        self.store.access_tokens.pop(token, None)
        self.store.refresh_tokens.pop(token, None)
