"""What `oauthmail` raises when an SMTP server does not let somebody in; each is an exception of `smtplib` too."""

from __future__ import annotations

import smtplib

from .errors import AuthenticationError, MechanismError

__all__ = ["SMTPMechanismError", "SMTPOAuthError"]


class SMTPOAuthError(AuthenticationError, smtplib.SMTPAuthenticationError):
    """An SMTP server refused; ``except smtplib.SMTPAuthenticationError`` sees it too.

    Attributes:
        smtp_code: the reply code, such as 535.
        smtp_error: the reply's text, as bytes.
    """


class SMTPMechanismError(MechanismError, smtplib.SMTPNotSupportedError):
    """An SMTP server offers no usable mechanism; ``except smtplib.SMTPNotSupportedError`` sees it too."""
