"""Logins with a finished SASL message, as the scripts try theirs out: with a trace that shows no secret."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ... import IMAP4_SSL, SMTP, CredentialsError, OAuth1Credentials, sasl
from ..._client import OAuthClient

__all__ = ["TIMEOUT", "Message", "address", "imap", "smtp", "submitting"]

#: Seconds for each answer.
TIMEOUT = 60.0

_Sender = TypeVar("_Sender", bound=SMTP)

_XOAUTH2 = re.compile(r"user=([^\x01]+)\x01auth=Bearer ([^\x01]+)\x01\x01")


@dataclass(frozen=True)
class Message:
    """What logs in.

    Attributes:
        identity: the mailbox address, or the request URL of OAuth 1.0a.
        credentials: an access token, or what stands for the ones that have signed already.
        signed: the message of OAuth 1.0a, or None.
    """

    identity: str
    credentials: str | OAuth1Credentials = field(repr=False)
    signed: str | None = field(default=None, repr=False)

    @classmethod
    def oauth2(cls, text: str | bytes) -> Message:
        """Read a message of ``GenerateOAuth2String``, plain or in base64.

        Raises:
            CredentialsError: it is none.
        """
        plain = _text(text)
        found = _XOAUTH2.fullmatch(plain) or _XOAUTH2.fullmatch(_decoded(plain))
        identity, token = found.groups() if found else ("", "")
        # Neither of them may stay in the traceback.
        del text, plain, found
        if not token:
            raise CredentialsError("the auth_string is none: pass what GenerateOAuth2String() returned, as it is")
        return cls(identity, token)

    @classmethod
    def xoauth(cls, text: str | bytes) -> Message:
        """Read a message of ``GenerateXOauthString``.

        Raises:
            CredentialsError: it is none.
        """
        method, _, rest = _text(text).partition(" ")
        url, _, parameters = rest.partition(" ")
        usable = method.isalpha() and "://" in url and 'oauth_signature="' in parameters
        signed = f"{method} {url} {parameters}"
        del text, rest, parameters
        if not usable or not signed.isascii():
            del signed
            raise CredentialsError("the xoauth_string is none: pass what GenerateXOauthString() returned, as it is")
        return cls(url, OAuth1Credentials("signed", "already"), signed)


def _text(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


class _Signed(OAuthClient[Any]):
    """Sends a message that was signed before, in place of one that is signed now."""

    message: str | None = None

    def _oauth_exchange(self, mechanism: str, identity: str, credential: OAuth1Credentials | str) -> sasl.Exchange:
        if self.message is None:
            return super()._oauth_exchange(mechanism, identity, credential)
        return sasl.Exchange(mechanism, self.message.encode("ascii"), b"", sasl._signed_secrets(self.message))


class _SMTP(_Signed, SMTP):
    pass


class _IMAP(_Signed, IMAP4_SSL):
    pass


def address(hostname: str, port: int) -> tuple[str, int]:
    """Return host and port of ``"host"`` or ``"host:port"``."""
    host, colon, digits = hostname.rpartition(":")
    return (host, int(digits)) if colon and digits.isdecimal() else (hostname, port)


@contextlib.contextmanager
def submitting(client: _Sender) -> Iterator[_Sender]:
    """Yield an SMTP client over TLS; at the end, how the server takes leave does not count."""
    try:
        client.starttls()
        yield client
    finally:
        with contextlib.suppress(OSError):
            if client.sock is not None:
                client.quit()
        client.close()


def smtp(hostname: str, message: Message) -> None:
    """Log in to an SMTP server, with smtplib's trace on standard error."""
    client = _SMTP(*address(hostname, 587), timeout=TIMEOUT)
    client.set_debuglevel(True)
    with submitting(client):
        client.message = message.signed
        client.authenticate_oauth(message.identity, message.credentials, mechanism=_mechanism(message))


def imap(hostname: str, message: Message) -> None:
    """Log in to an IMAP server and select INBOX, with imaplib's trace on standard error."""
    client = _IMAP(*address(hostname, 993), timeout=TIMEOUT)
    client.debug = 4
    try:
        client.message = message.signed
        client.authenticate_oauth(message.identity, message.credentials, mechanism=_mechanism(message))
        client.select("INBOX")
    finally:
        with contextlib.suppress(OSError, client.abort):
            if client.state != "LOGOUT":
                client.logout()
        with contextlib.suppress(OSError):
            client.shutdown()


def _mechanism(message: Message) -> str:
    # The scripts asked for it by name, whatever the server offered.
    return "XOAUTH2" if message.signed is None else "XOAUTH"
