"""python-oauth2's SMTP client: ``import oauthmail.compat.oauth2.clients.smtp as smtplib``."""

from __future__ import annotations

# Scripts that call this module "smtplib" reach the standard library's through it: smtplib.smtplib.SMTPException.
import smtplib as smtplib

from .... import SMTP as _SMTP
from .. import credentials

__all__ = ["SMTP"]


class SMTP(_SMTP):
    """`oauthmail.SMTP` with python-oauth2's ``authenticate``."""

    def authenticate(self, url: str, consumer: object, token: object = None) -> tuple[int, bytes]:
        """Log in with OAuth 1.0a, or with OAuth 2 by the same call.

        Args:
            url: the request URL; for OAuth 2 the mailbox address.
            consumer: a `Consumer`; for OAuth 2 an access token, or whatever else `authenticate_oauth` takes.
            token: a `Token`; None for two-legged OAuth and for OAuth 2.

        Returns:
            ``(235, reply)``, where python-oauth2 returned None.

        Raises:
            ValueError: another kind of consumer or token; nothing was sent.
            smtplib.SMTPAuthenticationError: the server refused, which python-oauth2 passed over in silence.
            InsecureConnectionError: no ``starttls()`` before; nothing was sent.
        """
        try:
            return self.authenticate_oauth(url, credentials(consumer, token))
        finally:
            # An access token would stay readable in a traceback.
            del consumer, token
