"""What oauthlib's OAuth 2 server classes ask, answered from a `Store`."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
import urllib.parse
from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2 import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    RequestValidator,
    ServerError,
)

from .grants import CLIENT_ASSERTION_TYPE, JWT_BEARER, InvalidAssertionError, verify_assertion
from .store import SCOPES, Client, Code, Grant, RefreshToken, Store, redirect_allowed

__all__ = ["Validator"]

# RFC 6749 section 4.1.2 recommends at most ten minutes.
_CODE_LIFETIME = 600


def _basic_credentials(header: str) -> tuple[str, str] | None:
    """Return client_id and secret of ``Authorization: Basic``, form-encoded inside (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return urllib.parse.unquote_plus(client_id), urllib.parse.unquote_plus(secret)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


class Validator(RequestValidator):  # type: ignore[misc]  # oauthlib is untyped
    """Answers oauthlib's questions from a `Store`."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    # Who is calling.

    def client_authentication_required(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Ask for a proof unless a public client gives nothing but its name; resource servers always have one."""
        client = self.store.clients.get(request.client_id or "")
        shown = request.client_secret or hasattr(request, "client_assertion") or "Authorization" in request.headers
        introspects = urllib.parse.urlsplit(request.uri).path == "/introspect"
        return bool(shown) or introspects or (client is not None and client.secret is not None)

    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Check the secret or the signed assertion; more than one is refused (RFC 6749 section 2.3)."""
        basic = _basic_credentials(request.headers.get("Authorization", ""))
        assertion = getattr(request, "client_assertion", None)
        if (basic is not None) + (request.client_secret is not None) + (assertion is not None) != 1:
            return False
        if assertion is not None:
            return self._authenticate_by_assertion(assertion, request)
        client_id, secret = basic or (request.client_id or "", request.client_secret)
        request.client = self.store.clients.get(client_id)
        expected = request.client.secret if request.client else None
        return _same(secret, expected or secrets.token_urlsafe()) and request.client_id in (None, client_id)

    def _authenticate_by_assertion(self, assertion: str, request: Request) -> bool:
        """Check ``private_key_jwt`` (RFC 7523 section 3): issuer and subject are the client, and it works once."""
        if getattr(request, "client_assertion_type", None) != CLIENT_ASSERTION_TYPE:
            raise InvalidRequestError(f"client_assertion_type must be {CLIENT_ASSERTION_TYPE}", request=request)
        keys = {client.client_id: client.keys for client in self.store.clients.values() if client.secret}
        try:
            claims = verify_assertion(assertion, keys, audiences=self.store.audiences, now=self.store.now())
        except InvalidAssertionError as error:
            raise InvalidClientError(str(error), request=request) from error
        except ImportError as error:
            raise ServerError(str(error), status_code=500, request=request) from error
        issuer, seen = claims["iss"], (claims["iss"], str(claims.get("jti")))
        if claims.get("sub") != issuer or request.client_id not in (None, issuer):
            raise InvalidClientError("sub and client_id must be iss", request=request)
        if "jti" in claims and seen in self.store.seen_assertions:
            raise InvalidClientError("jti was used before", request=request)
        self.store.seen_assertions.add(seen)
        request.client = self.store.clients[issuer]
        return True

    def authenticate_client_id(self, client_id: str | None, request: Request, *args: object, **kwargs: object) -> bool:
        """Recognise a public client by its name alone."""
        request.client = self.store.clients.get(client_id or "")
        return request.client is not None and request.client.secret is None

    def validate_client_id(self, client_id: str, request: Request, *args: object, **kwargs: object) -> bool:
        """Recognise any client at the authorization endpoint, where none can prove anything."""
        request.client = self.store.clients.get(client_id)
        return request.client is not None

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Client, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Allow what the client is registered for."""
        return grant_type in client.grant_types

    def validate_response_type(self, client_id: str, response_type: str, *args: object, **kwargs: object) -> bool:
        """Allow ``code``, to clients with the grant type."""
        return response_type == "code" and "authorization_code" in self.store.clients[client_id].grant_types

    def validate_redirect_uri(self, client_id: str, redirect_uri: str, *args: object, **kwargs: object) -> bool:
        """Compare with what the client has registered."""
        return redirect_allowed(redirect_uri, self.store.clients[client_id].redirect_uris)

    def get_default_redirect_uri(self, *args: object, **kwargs: object) -> None:
        """Have none: the client always says where to go."""

    def get_default_scopes(self, *args: object, **kwargs: object) -> list[str]:
        """Grant mail to a client that names no scope."""
        return ["mail"]

    def validate_scopes(self, client_id: str, scopes: list[str], *args: object, **kwargs: object) -> bool:
        """Refuse a scope that is not announced."""
        return set(scopes) <= SCOPES.keys()

    # Authorization codes.

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Require PKCE of everybody (RFC 9700 section 2.1.1)."""
        return True

    def save_authorization_code(
        self, client_id: str, code: dict[str, Any], request: Request, *args: object, **kwargs: object
    ) -> None:
        """Keep the code with all it is bound to."""
        grant = Grant(secrets.token_hex(8), request.user, tuple(request.scopes), client_id)
        expires_at = self.store.now() + _CODE_LIFETIME
        self.store.codes[code["code"]] = Code(grant, request.redirect_uri, request.code_challenge, expires_at)

    def validate_code(
        self, client_id: str, code: str, client: Client, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Look the code up; one that comes a second time ends what the first brought (RFC 6749 section 4.1.2)."""
        saved = self.store.codes.get(code)
        if saved is None or saved.grant.client_id != client.client_id:
            return False
        if saved.used:
            self.store.end_grant(saved.grant)
            return False
        if self.store.now() >= saved.expires_at:
            return False
        request.grant, request.user, request.scopes = saved.grant, saved.grant.user, list(saved.grant.scopes)
        return True

    def get_code_challenge(self, code: str, request: Request) -> str:
        """Return the PKCE challenge of a code that `validate_code` accepted."""
        return self.store.codes[code].code_challenge

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """Return the one method that the authorization endpoint lets pass."""
        return "S256"

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, *args: object, **kwargs: object
    ) -> bool:
        """Compare with the authorization request's, character by character (RFC 6749 section 4.1.3)."""
        if self.store.codes[code].redirect_uri != redirect_uri:
            # oauthlib's own answer is invalid_request; section 5.2 wants invalid_grant.
            raise InvalidGrantError("redirect_uri is not the authorization request's")
        return True

    def invalidate_authorization_code(self, client_id: str, code: str, *args: object, **kwargs: object) -> None:
        """Mark a used code: it works once."""
        self.store.codes[code].used = True

    # The other grants.

    def validate_refresh_token(
        self, refresh_token: str, client: Client, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Accept a refresh token once; a second use ends the whole grant (RFC 9700 section 4.14.2).

        Either the client or a thief comes with the old one, and nobody can tell which.
        """
        kept = self.store.refresh_tokens.get(refresh_token)
        if kept is None or kept.grant.client_id != client.client_id:
            return False
        if kept.used:
            self.store.end_grant(kept.grant)
            return False
        request.grant, request.user = kept.grant, kept.grant.user
        return True

    def get_original_scopes(self, refresh_token: str, *args: object, **kwargs: object) -> list[str]:
        """Return what the person agreed to, the most a refresh may ask for."""
        return list(self.store.refresh_tokens[refresh_token].grant.scopes)

    def validate_device_code(self, request: Request) -> None:
        """Set user and scopes from a device code that was confirmed, and forget it."""
        device = self.store.device_codes.get(request.device_code)
        if device is None or device.client_id != request.client.client_id:
            raise InvalidGrantError(request=request)
        request.user, request.scopes = device.poll(self.store.now()), list(device.scopes)
        request.grant = Grant(secrets.token_hex(8), request.user, device.scopes, device.client_id)
        del self.store.device_codes[request.device_code]

    def validate_jwt_bearer(self, assertion: str, request: Request) -> None:
        """Set user, client and scope from a service account's assertion."""
        accounts = [client for client in self.store.clients.values() if JWT_BEARER in client.grant_types]
        keys = {client.client_id: client.keys for client in accounts}
        claims = verify_assertion(assertion, keys, audiences=self.store.audiences, now=self.store.now())
        user, scope = claims.get("sub"), claims.get("scope")
        if not isinstance(user, str) or "@" not in user:
            raise InvalidAssertionError("sub must be the address of a mailbox")
        request.client = self.store.clients[claims["iss"]]
        request.client_id, request.user = claims["iss"], user
        request.scopes = request.scopes or (scope.split() if isinstance(scope, str) else None)

    # Tokens.

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: object, **kwargs: object) -> None:
        """Put a new refresh token in the old one's place; the access token is kept already."""
        if "refresh_token" not in token:
            return
        if request.grant_type == "refresh_token":
            self.store.refresh_tokens[request.refresh_token].used = True
        self.store.refresh_tokens[token["refresh_token"]] = RefreshToken(request.grant)

    def introspect_token(self, token: str, *args: object, **kwargs: object) -> dict[str, Any] | None:
        """Return the claims of a token that works (RFC 7662 section 2.2), None for all else."""
        claims = self.store.state.tokens.get(token)
        if claims is not None and claims.expires_at > time.time():
            return {
                "username": claims.user,
                "sub": claims.user,
                "client_id": claims.client_id,
                "scope": " ".join(claims.scope),
                "exp": int(claims.expires_at),
                "token_type": "Bearer",
            }
        kept = self.store.refresh_tokens.get(token)
        if kept is None or kept.used:
            return None
        grant = kept.grant
        return {
            "username": grant.user,
            "sub": grant.user,
            "client_id": grant.client_id,
            "scope": " ".join(grant.scopes),
        }

    def revoke_token(
        self, token: str, token_type_hint: str | None, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Forget an access token; with a refresh token the whole grant goes (RFC 7009 section 2.1)."""
        kept = self.store.refresh_tokens.get(token)
        claims = self.store.state.tokens.get(token)
        owner = kept.grant.client_id if kept else claims.client_id if claims else request.client.client_id
        if owner != request.client.client_id:
            raise InvalidGrantError("The token was issued to another client.", request=request)
        if kept:
            self.store.end_grant(kept.grant)
        self.store.state.revoke(token)
