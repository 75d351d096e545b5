"""Mail clients that log in with OAuth: drop-in ``smtplib``, ``imaplib`` and ``poplib`` classes.

>>> from oauthmail import SMTP

and then ``authenticate_oauth(user, credentials)`` where ``login(user, password)`` was. Names are loaded when first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

# A name that type checkers know; typing, which has it too, takes longer to load than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._imap_reading import FetchedMessage
    from ._pop_reading import RetrievedMessage
    from .account import Account
    from .applications import Application, ServiceAccount, load_application
    from .bulk import SendCancelled, SendInterrupted, SendResult
    from .credentials import OAuth1Credentials, OAuth2Credentials, TokenSource
    from .errors import (
        AuthenticationError,
        CredentialsError,
        FlowError,
        InsecureConnectionError,
        MechanismError,
        OAuthMailError,
        StoreError,
    )
    from .imap import IMAP4, IMAP4_SSL
    from .imap_errors import IMAPMechanismError, IMAPOAuthError
    from .installed import install, uninstall
    from .pop import POP3, POP3_SSL
    from .pop_errors import POPMechanismError, POPOAuthError
    from .providers import Provider
    from .smtp import SMTP, SMTP_SSL
    from .smtp_errors import SMTPMechanismError, SMTPOAuthError
    from .stores import FileStore, KeyringStore, MemoryStore, Store

__all__ = [
    "IMAP4",
    "IMAP4_SSL",
    "POP3",
    "POP3_SSL",
    "SMTP",
    "SMTP_SSL",
    "Account",
    "Application",
    "AuthenticationError",
    "CredentialsError",
    "FetchedMessage",
    "FileStore",
    "FlowError",
    "IMAPMechanismError",
    "IMAPOAuthError",
    "InsecureConnectionError",
    "KeyringStore",
    "MechanismError",
    "MemoryStore",
    "OAuth1Credentials",
    "OAuth2Credentials",
    "OAuthMailError",
    "POPMechanismError",
    "POPOAuthError",
    "Provider",
    "RetrievedMessage",
    "SMTPMechanismError",
    "SMTPOAuthError",
    "SendCancelled",
    "SendInterrupted",
    "SendResult",
    "ServiceAccount",
    "Store",
    "StoreError",
    "TokenSource",
    "install",
    "load_application",
    "uninstall",
]

_MODULES = {
    "_imap_reading": ("FetchedMessage",),
    "_pop_reading": ("RetrievedMessage",),
    "account": ("Account",),
    "applications": ("Application", "ServiceAccount", "load_application"),
    "bulk": ("SendCancelled", "SendInterrupted", "SendResult"),
    "credentials": ("OAuth1Credentials", "OAuth2Credentials", "TokenSource"),
    "errors": (
        "AuthenticationError",
        "CredentialsError",
        "FlowError",
        "InsecureConnectionError",
        "MechanismError",
        "OAuthMailError",
        "StoreError",
    ),
    "installed": ("install", "uninstall"),
    "imap": ("IMAP4", "IMAP4_SSL"),
    "imap_errors": ("IMAPMechanismError", "IMAPOAuthError"),
    "pop": ("POP3", "POP3_SSL"),
    "pop_errors": ("POPMechanismError", "POPOAuthError"),
    "providers": ("Provider",),
    "smtp": ("SMTP", "SMTP_SSL"),
    "smtp_errors": ("SMTPMechanismError", "SMTPOAuthError"),
    "stores": ("FileStore", "KeyringStore", "MemoryStore", "Store"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("oauthmail")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # As importlib.import_module(), without loading importlib.
    value: object = getattr(__import__(_HOMES[name], globals(), fromlist=(name,), level=1), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
