"""The OAuth 2 authorization server: oauthlib's endpoints and grant types put together, and their description."""

from __future__ import annotations

import re
from typing import Any

from oauthlib.common import Request, add_params_to_uri, generate_token
from oauthlib.oauth2 import (
    AccessDeniedError,
    AuthorizationCodeGrant,
    AuthorizationEndpoint,
    BearerToken,
    ClientCredentialsGrant,
    IntrospectEndpoint,
    InvalidGrantError,
    InvalidRequestError,
    RefreshTokenGrant,
    RevocationEndpoint,
    TokenEndpoint,
)

from .grants import DEVICE_CODE, JWT_BEARER, DeviceCode, DeviceCodeGrant, JWTBearerGrant, new_user_code
from .store import SCOPES, Store
from .validator2 import Validator

__all__ = ["Server", "metadata"]

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def _check_challenge(request: Request) -> dict[str, Any]:
    """Refuse ``plain``, the default of RFC 7636 section 4.3, which RFC 9700 section 2.1.1 advises against."""
    if request.code_challenge is not None and request.code_challenge_method != "S256":
        raise InvalidRequestError("code_challenge_method must be S256", request=request)
    if request.code_challenge is not None and not _CHALLENGE.fullmatch(request.code_challenge):
        raise InvalidRequestError("code_challenge must be 43 characters of base64url", request=request)
    return {}


def _check_consent(request: Request) -> dict[str, Any]:
    """Refuse when the person has; before they were asked, `Server.authorize` has not set ``decided``."""
    if "decided" in vars(request) and not request.user:
        raise AccessDeniedError(request=request)
    return {}


def _check_verifier(request: Request) -> None:
    """Hold the verifier to RFC 7636 section 4.1's length and alphabet."""
    if request.code_verifier is not None and not _VERIFIER.fullmatch(request.code_verifier):
        raise InvalidGrantError("code_verifier must be 43 to 128 unreserved characters", request=request)


class Server(AuthorizationEndpoint, TokenEndpoint, IntrospectEndpoint, RevocationEndpoint):  # type: ignore[misc]  # oauthlib is untyped
    """oauthlib's endpoints around one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        validator = Validator(store)
        token = BearerToken(
            validator, store.issue, lambda _: store.expires_in, refresh_token_generator=lambda _: generate_token(43)
        )
        code_grant, refresh_grant = AuthorizationCodeGrant(validator), RefreshTokenGrant(validator)
        code_grant.custom_validators.pre_auth.append(_check_challenge)
        code_grant.custom_validators.post_auth.append(_check_consent)
        code_grant.custom_validators.pre_token.append(_check_verifier)
        application_grant = ClientCredentialsGrant(validator)
        application_grant.custom_validators.post_token.append(self._choose_mailbox)
        self.device_grant = DeviceCodeGrant(validator)
        AuthorizationEndpoint.__init__(self, "code", token, {"code": code_grant})
        grants = {
            "authorization_code": code_grant,
            "refresh_token": refresh_grant,
            "client_credentials": application_grant,
            DEVICE_CODE: self.device_grant,
            JWT_BEARER: JWTBearerGrant(validator),
        }
        TokenEndpoint.__init__(self, "authorization_code", token, grants)
        IntrospectEndpoint.__init__(self, validator)
        RevocationEndpoint.__init__(self, validator)

    def _choose_mailbox(self, request: Request) -> None:
        """Give an application's own token a mailbox: OAuth has no word for it, so ``login_hint`` serves."""
        request.user = request.login_hint or self.store.application_user

    def authorize(self, uri: str, issuer: str, user: str | None) -> str:
        """Return the address that ends an authorization request.

        Args:
            uri: the request's, see `call.oauthlib_uri`.
            issuer: named in the answer, so that a client of two servers cannot be confused (RFC 9207).
            user: who said yes; None when they said no.

        Raises:
            FatalClientError: client or redirect URI are wrong, so there is nobody to redirect to.
        """
        headers, _, _ = self.create_authorization_response(uri, credentials={"user": user, "decided": True})
        return str(add_params_to_uri(headers["Location"], [("iss", issuer)]))

    def device_authorization(self, uri: str, body: str, headers: dict[str, str], issuer: str) -> dict[str, Any]:
        """Return the answer to a device authorization request (RFC 8628 section 3.2).

        Raises:
            OAuth2Error: it is refused.
        """
        request = Request(uri, "POST", body, headers)
        request.grant_type = DEVICE_CODE
        self.device_grant.authenticate(request)
        self.device_grant.validate_grant_type(request)
        self.device_grant.validate_scopes(request)
        store, user_code, device_code = self.store, new_user_code(), generate_token(40)
        store.device_codes[device_code] = DeviceCode(
            request.client.client_id,
            user_code,
            tuple(request.scopes),
            store.now() + store.device_expires_in,
            store.device_interval,
        )
        return {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": f"{issuer}/device",
            "verification_uri_complete": f"{issuer}/device?user_code={user_code}",
            "expires_in": store.device_expires_in,
            "interval": store.device_interval,
        }


def metadata(issuer: str) -> dict[str, Any]:
    """Describe the server (RFC 8414 section 2)."""
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    algorithms = ["RS256", "ES256"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "device_authorization_endpoint": f"{issuer}/device_authorization",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            DEVICE_CODE,
            JWT_BEARER,
        ],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", *methods],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": ["none", *methods],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": list(SCOPES),
    }
