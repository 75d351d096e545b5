"""Signed proofs in place of secrets: JSON Web Tokens as RFC 7523 wants them. PyJWT is loaded when one is made."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Mapping
from typing import Any

from ..applications import Application, ServiceAccount
from ..errors import CredentialsError

__all__ = ["client_assertion", "service_account_assertion", "thumbprints"]

# Seconds. A client's assertion is used at once; an account's lives as long as the access token (Google's most).
_CLIENT_LIFE = 600
_ACCOUNT_LIFE = 3600


def client_assertion(application: Application, audience: str, now: float) -> str:
    """Return a client's proof for one token request (RFC 7523 section 3, ``private_key_jwt``).

    Args:
        application: with its ``private_key``; a certificate's fingerprints go into the header.
        audience: the token endpoint.
        now: seconds since the epoch.

    Raises:
        CredentialsError: a key that cannot sign, a certificate of another key, or PyJWT is not installed.
    """
    key, algorithm = _key(application.private_key or "", ("RS256", "ES256"))
    header = {"kid": application.key_id} if application.key_id is not None else {}
    if application.certificate is not None:
        header |= thumbprints(_certificate(application.certificate, key))
    claims = {
        "iss": application.client_id,
        "sub": application.client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(now) + _CLIENT_LIFE,
    }
    return _signed(claims, key, algorithm, header)


def service_account_assertion(account: ServiceAccount, subject: str, scope: str, audience: str, now: float) -> str:
    """Return a service account's request to act for a mailbox (RFC 7523 section 2.1, in Google's form).

    Args:
        account: whose key signs.
        subject: the mailbox.
        scope: separated by blanks.
        audience: the token endpoint.
        now: seconds since the epoch.

    Raises:
        CredentialsError: a key that is not RSA, or PyJWT is not installed.
    """
    key, algorithm = _key(account.private_key, ("RS256",))
    claims = {
        "iss": account.client_email,
        "sub": subject,
        "scope": scope,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + _ACCOUNT_LIFE,
    }
    header = {"kid": account.private_key_id} if account.private_key_id is not None else {}
    return _signed(claims, key, algorithm, header)


def _signed(claims: Mapping[str, object], key: Any, algorithm: str, header: Mapping[str, str]) -> str:
    import jwt

    return jwt.encode(dict(claims), key, algorithm=algorithm, headers=dict(header))


def _key(pem: str, algorithms: tuple[str, ...]) -> tuple[Any, str]:
    """Return the private key and the algorithm that goes with it."""
    try:
        import jwt  # noqa: F401  # only to see that it is there
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise CredentialsError(
            "signing with a private key needs PyJWT and cryptography: python -m pip install 'oauthmail[jwt]'"
        ) from None
    key: Any = None
    # What cryptography says of a key that it cannot read helps nobody.
    with contextlib.suppress(ValueError, TypeError, UnicodeError, UnsupportedAlgorithm):
        key = load_pem_private_key(pem.encode(), None)
    if isinstance(key, rsa.RSAPrivateKey):
        found = "RS256"
    elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        found = "ES256"
    else:
        found = ""
    if found not in algorithms:
        kinds = {"RS256": "RSA", "ES256": "EC on P-256"}
        wanted = " or ".join(kinds[algorithm] for algorithm in algorithms)
        raise CredentialsError(f"the private_key cannot be used: an unencrypted key is needed, {wanted}, in PEM")
    return key, found


def _certificate(pem: str, key: Any) -> Any:
    """Return the certificate, once it is known to be the key's."""
    from cryptography.x509 import load_pem_x509_certificate

    try:
        found = load_pem_x509_certificate(pem.encode())
        same = found.public_key() == key.public_key()
    except ValueError:
        raise CredentialsError("the certificate cannot be read: expected X.509 in PEM") from None
    if not same:
        raise CredentialsError("the certificate does not belong to the private_key")
    return found


def thumbprints(certificate: Any) -> dict[str, str]:
    """Return ``x5t`` and ``x5t#S256`` (RFC 7515 sections 4.1.7 and 4.1.8); Microsoft finds a certificate by them."""
    from cryptography.hazmat.primitives import hashes

    # SHA-1 names the certificate here, and protects nothing.
    digests = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303
    return {
        name: base64.urlsafe_b64encode(certificate.fingerprint(digest)).rstrip(b"=").decode()
        for name, digest in digests.items()
    }
