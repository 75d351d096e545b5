"""Grant types that oauthlib's server side lacks or that its versions spell differently: device code, JWT bearer.

oauthlib has a device grant since 3.3, but it asks the validator differently from 4.0 on; ours is the same for all.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oauthlib.oauth2 import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Error,
    ServerError,
)
from oauthlib.oauth2.rfc6749.grant_types.base import GrantTypeBase

if TYPE_CHECKING:
    import types

    from oauthlib.common import Request

__all__ = [
    "CLIENT_ASSERTION_TYPE",
    "DEVICE_CODE",
    "JWT_BEARER",
    "DeviceCode",
    "DeviceCodeGrant",
    "InvalidAssertionError",
    "JWTBearerGrant",
    "load_jwt",
    "new_rsa_key",
    "new_user_code",
    "public_key",
    "verify_assertion",
]

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#: RFC 8628 section 6.1: consonants only, so that a code spells no word and no letter looks like a digit.
_USER_CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"

#: RFC 8628 section 3.5: what ``slow_down`` adds to the interval, in seconds.
_SLOW_DOWN = 5

# Seconds by which a client's clock may be ahead of ours, and the longest life of an assertion (Google's limit).
_LEEWAY = 60
_LONGEST_LIFE = 3600

_EXTRA = "this grant needs PyJWT and cryptography: python -m pip install 'oauthmail[sandbox]'"


class InvalidAssertionError(ValueError):
    """A JWT was refused; the message says which check failed and holds nothing of the token."""


class AuthorizationPendingError(OAuth2Error):  # type: ignore[misc]  # oauthlib is untyped
    """The person has not decided yet (RFC 8628 section 3.5)."""

    error = "authorization_pending"


class SlowDownError(OAuth2Error):  # type: ignore[misc]  # oauthlib is untyped
    """The client asks more often than it was told to (RFC 8628 section 3.5)."""

    error = "slow_down"


class ExpiredTokenError(OAuth2Error):  # type: ignore[misc]  # oauthlib is untyped
    """Nobody decided in time (RFC 8628 section 3.5)."""

    error = "expired_token"


# --- JSON Web Tokens ------------------------------------------------------------------------------------------------


def load_jwt() -> types.ModuleType:
    """Return PyJWT, imported only when a grant needs it.

    Raises:
        ImportError: PyJWT or cryptography is missing; the message names the extra that has them.
    """
    try:
        import cryptography  # noqa: F401  # only to see that it is there
        import jwt
    except ImportError as error:
        raise ImportError(_EXTRA) from error
    return jwt


def verify_assertion(
    assertion: str, keys: Mapping[str, Sequence[str]], *, audiences: Sequence[str], now: float
) -> dict[str, Any]:
    """Check a JWT as RFC 7523 section 3 says, and return its claims.

    Args:
        assertion: the JWT.
        keys: who may have made it, and their public keys in PEM, RSA or elliptic curve.
        audiences: names of this server; one of them must be in ``aud``.
        now: seconds since the epoch.

    Raises:
        InvalidAssertionError: a check failed.
        ImportError: PyJWT or cryptography is missing.
    """
    claims = _signed_claims(assertion, keys)
    given = claims.get("aud")
    if not any(audience in audiences for audience in (given if isinstance(given, list) else [given])):
        raise InvalidAssertionError(f"aud must be one of {', '.join(audiences)}")
    expires_at: Any = claims.get("exp")
    issued_at, not_before = claims.get("iat", now), claims.get("nbf", now)
    if not all(isinstance(time, int | float) for time in (expires_at, issued_at, not_before)):
        raise InvalidAssertionError("exp, iat and nbf must be numbers, and exp is required")
    # Every test names what is good: JSON in Python knows NaN, which is neither more nor less than anything.
    if not expires_at > now - _LEEWAY:
        raise InvalidAssertionError("the JWT has expired")
    if not (issued_at <= now + _LEEWAY and not_before <= now + _LEEWAY):
        raise InvalidAssertionError("the JWT is not valid yet: is the clock right?")
    if not expires_at <= now + _LONGEST_LIFE + _LEEWAY:
        raise InvalidAssertionError("exp may be at most an hour ahead")
    return claims


def _signed_claims(assertion: str, keys: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the claims of a JWT that its issuer has signed; the caller checks times, as its clock may be another."""
    jwt = load_jwt()
    try:
        issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError as error:
        raise InvalidAssertionError("this is not a JWT") from error
    if not isinstance(issuer, str) or issuer not in keys:
        raise InvalidAssertionError("iss is not one that the sandbox knows")
    unchecked = {"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    for key in keys[issuer]:
        try:
            # Naming the algorithms keeps out "none" and HS256 with the public key as the secret (RFC 8725 section 3.1).
            claims: dict[str, Any] = jwt.decode(assertion, key, algorithms=["RS256", "ES256"], options=unchecked)
        except jwt.PyJWTError:
            continue
        return claims
    raise InvalidAssertionError("the signature is not by a key of the issuer's (RS256 or ES256)")


def new_rsa_key() -> str:
    """Return a new private key in PEM, as providers hand them out."""
    load_jwt()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def public_key(private_key: str) -> str:
    """Return the public half of a private key, both in PEM."""
    load_jwt()
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private_key.encode(), None).public_key()
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(encoding, form).decode()


# --- device codes ---------------------------------------------------------------------------------------------------


@dataclass
class DeviceCode:
    """One device authorization request (RFC 8628 section 3.2).

    Attributes:
        client_id: who asked.
        user_code: what the person types.
        scopes: what was asked for.
        expires_at: seconds since the epoch.
        interval: seconds that the client must wait between two polls.
        polled_at: when it last asked; None before the first time.
        user: who said yes, once somebody has.
        denied: somebody said no.
    """

    client_id: str
    user_code: str
    scopes: tuple[str, ...]
    expires_at: float
    interval: float
    polled_at: float | None = None
    user: str | None = None
    denied: bool = False

    def poll(self, now: float) -> str:
        """Return the mailbox that the device may open.

        Raises:
            OAuth2Error: it may not, or not yet (RFC 8628 section 3.5).
        """
        if now >= self.expires_at:
            raise ExpiredTokenError
        early = self.polled_at is not None and now < self.polled_at + self.interval
        self.polled_at = now
        if self.denied:
            raise AccessDeniedError
        if self.user is not None:
            return self.user
        if early:
            # "the interval MUST be increased by 5 seconds for this and all subsequent requests"
            self.interval += _SLOW_DOWN
            raise SlowDownError
        raise AuthorizationPendingError


def new_user_code() -> str:
    """Return a code that a person can type, such as ``WDJB-MJHT``."""
    letters = "".join(secrets.choice(_USER_CODE_ALPHABET) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


# --- oauthlib's grant types -----------------------------------------------------------------------------------------


class _Grant(GrantTypeBase):  # type: ignore[misc]  # oauthlib is untyped
    """The part of a grant type that oauthlib repeats in each of its own."""

    issues_refresh_token = False

    def create_token_response(self, request: Request, token_handler: Any) -> tuple[dict[str, str], str, int]:
        """Return headers, body and status of the token endpoint's answer."""
        headers = self._get_default_headers()
        try:
            self.validate_token_request(request)
        except OAuth2Error as error:
            headers.update(error.headers)
            return headers, error.json, error.status_code
        token = token_handler.create_token(request, refresh_token=self.issues_refresh_token)
        self.request_validator.save_token(token, request)
        return headers, json.dumps(token), 200

    def authenticate(self, request: Request) -> None:
        """Have the client prove who it is, as far as it can (RFC 6749 section 3.2.1); oauthlib has it since 3.3."""
        validator = self.request_validator
        if validator.client_authentication_required(request):
            known = validator.authenticate_client(request)
        else:
            known = validator.authenticate_client_id(request.client_id, request)
        if not known:
            raise InvalidClientError(request=request)
        request.client_id = request.client.client_id

    def validate_token_request(self, request: Request) -> None:
        """Refuse a request by raising `OAuth2Error`, or set its user, client and scopes."""
        raise NotImplementedError


class DeviceCodeGrant(_Grant):
    """RFC 8628 section 3.4."""

    issues_refresh_token = True

    def validate_token_request(self, request: Request) -> None:
        """Have the validator find the device code, and ask what the person said."""
        if not getattr(request, "device_code", None):
            raise InvalidRequestError("Missing device_code parameter.", request=request)
        self.authenticate(request)
        self.validate_grant_type(request)
        self.request_validator.validate_device_code(request)


class JWTBearerGrant(_Grant):
    """RFC 7523 section 2.1, as Google's service accounts use it: ``sub`` names the mailbox."""

    def validate_token_request(self, request: Request) -> None:
        """Have the validator check the assertion; whoever signed it is the client (section 3.1)."""
        assertion = getattr(request, "assertion", None)
        if not assertion:
            raise InvalidRequestError("Missing assertion parameter.", request=request)
        try:
            self.request_validator.validate_jwt_bearer(assertion, request)
        except InvalidAssertionError as error:
            raise InvalidGrantError(str(error), request=request) from error
        except ImportError as error:
            raise ServerError(str(error), status_code=500, request=request) from error
        self.validate_scopes(request)
