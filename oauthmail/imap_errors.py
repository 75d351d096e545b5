"""What `oauthmail` raises when an IMAP server does not let somebody in; each is an exception of `imaplib` too."""

from __future__ import annotations

import imaplib

from .errors import AuthenticationError, MechanismError

__all__ = ["IMAPMechanismError", "IMAPOAuthError"]


class IMAPOAuthError(AuthenticationError, imaplib.IMAP4.error):
    """An IMAP server refused; ``except imaplib.IMAP4.error`` sees it too."""


class IMAPMechanismError(MechanismError, imaplib.IMAP4.error):
    """An IMAP server offers no usable mechanism; ``except imaplib.IMAP4.error`` sees it too."""
