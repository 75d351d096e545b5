"""python-oauth2's IMAP client: ``import oauthmail.compat.oauth2.clients.imap as imaplib``."""

from __future__ import annotations

# Scripts that call this module "imaplib" reach the standard library's through it: imaplib.imaplib.Time2Internaldate.
import imaplib as imaplib
import re
from typing import Any

from .... import IMAP4_SSL as _IMAP4_SSL
from .. import credentials

__all__ = ["IMAP4_SSL"]

# RFC 4422 section 3.1; imaplib takes lower case too.
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")


class IMAP4_SSL(_IMAP4_SSL):
    """`oauthmail.IMAP4_SSL` with python-oauth2's ``authenticate``."""

    def authenticate(  # type: ignore[override]  # python-oauth2 gave the standard library's method other arguments
        self, url: str, consumer: Any, token: object = None
    ) -> tuple[str, list[Any]]:
        """Log in with OAuth 1.0a, with OAuth 2 by the same call, or as the standard library's ``authenticate`` does.

        Args:
            url: the request URL; for OAuth 2 the mailbox address.
            consumer: a `Consumer`; for OAuth 2 an access token, or whatever else `authenticate_oauth` takes.
            token: a `Token`; None for two-legged OAuth and for OAuth 2.

        The name of a mechanism with a callable is the standard library's ``authenticate(mechanism, authobject)``.
        Should that be the name of your mailbox, without a domain: `authenticate_oauth` takes no mechanism for one.

        Returns:
            ``("OK", [reply])``, where python-oauth2 returned None.

        Raises:
            ValueError: another kind of consumer or token; nothing was sent.
            imaplib.IMAP4.error: the server refused.
        """
        try:
            if token is None and _is_authobject(consumer) and _MECHANISM.fullmatch(url):
                return super().authenticate(url, consumer)  # type: ignore[return-value]  # typeshed has (str, str)
            return self.authenticate_oauth(url, credentials(consumer, token))
        finally:
            # An access token would stay readable in a traceback.
            del consumer, token


def _is_authobject(value: object) -> bool:
    return callable(value) and not hasattr(value, "token")
