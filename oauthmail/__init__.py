"""Mail clients that log in with OAuth: drop-in ``smtplib``, ``imaplib`` and ``poplib`` classes.

>>> from oauthmail import SMTP

and then ``authenticate_oauth(user, credentials)`` where ``login(user, password)`` was. Names are loaded when first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .credentials import OAuth1Credentials, OAuth2Credentials, TokenSource
    from .errors import (
        AuthenticationError,
        CredentialsError,
        InsecureConnectionError,
        MechanismError,
        OAuthMailError,
    )
    from .imap import IMAP4, IMAP4_SSL, IMAPMechanismError, IMAPOAuthError
    from .pop import POP3, POP3_SSL, POPMechanismError, POPOAuthError
    from .smtp import SMTP, SMTP_SSL, SMTPMechanismError, SMTPOAuthError

__all__ = [
    "IMAP4",
    "IMAP4_SSL",
    "POP3",
    "POP3_SSL",
    "SMTP",
    "SMTP_SSL",
    "AuthenticationError",
    "CredentialsError",
    "IMAPMechanismError",
    "IMAPOAuthError",
    "InsecureConnectionError",
    "MechanismError",
    "OAuth1Credentials",
    "OAuth2Credentials",
    "OAuthMailError",
    "POPMechanismError",
    "POPOAuthError",
    "SMTPMechanismError",
    "SMTPOAuthError",
    "TokenSource",
]

_MODULES = {
    "credentials": ("OAuth1Credentials", "OAuth2Credentials", "TokenSource"),
    "errors": (
        "AuthenticationError",
        "CredentialsError",
        "InsecureConnectionError",
        "MechanismError",
        "OAuthMailError",
    ),
    "imap": ("IMAP4", "IMAP4_SSL", "IMAPMechanismError", "IMAPOAuthError"),
    "pop": ("POP3", "POP3_SSL", "POPMechanismError", "POPOAuthError"),
    "smtp": ("SMTP", "SMTP_SSL", "SMTPMechanismError", "SMTPOAuthError"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("oauthmail")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
