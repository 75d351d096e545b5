"""`smtplib.SMTP` and `smtplib.SMTP_SSL` that log in with OAuth (RFC 4954)."""

from __future__ import annotations

import functools
import smtplib
import sys

from ._client import OAuthClient
from .errors import AuthenticationError, MechanismError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Collection
    from typing import Any

__all__ = ["SMTP", "SMTP_SSL", "SMTPMechanismError", "SMTPOAuthError"]

# RFC 5321 section 4.5.3.1.4, with the line end. RFC 4954 section 4 forbids a longer command line, and Postfix answers
# one with a 535 that looks like a bad token.
_COMMAND_LINE = 512


class SMTPOAuthError(AuthenticationError, smtplib.SMTPAuthenticationError):
    """An SMTP server refused; ``except smtplib.SMTPAuthenticationError`` sees it too.

    Attributes:
        smtp_code: the reply code, such as 535.
        smtp_error: the reply's text, as bytes.
    """


class SMTPMechanismError(MechanismError, smtplib.SMTPNotSupportedError):
    """An SMTP server offers no usable mechanism; ``except smtplib.SMTPNotSupportedError`` sees it too."""


class SMTP(OAuthClient[tuple[int, bytes]], smtplib.SMTP):
    """`smtplib.SMTP` with `authenticate_oauth`, and with TLS that verifies the server by default.

    ::

        C: AUTH XOAUTH2 dXNlcj1…            on one line where that fits 512 octets
        S: 235 2.7.0 Accepted

        C: AUTH XOAUTH2
        S: 334
        C: dXNlcj1…
        S: 235 2.7.0 Accepted
    """

    _oauth_protocol = "smtp"
    _oauth_tls_hint = "call starttls() before logging in, or use SMTP_SSL"
    _oauth_refused = SMTPOAuthError
    _oauth_no_mechanism = SMTPMechanismError
    _oauth_broken = smtplib.SMTPException
    _oauth_port = 0

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # Up to Python 3.14 the name to verify in starttls() is what the constructor was given: nothing after
        # SMTP() + connect(), "host:587" where the port was part of the name. Here both are taken apart.
        self._host = host
        self._oauth_port = port
        return super()._get_socket(host, port, timeout)  # type: ignore[misc,no-any-return]  # not in typeshed

    def _print_debug(self, *args: object) -> None:
        super()._print_debug(*map(self._oauth_redact, args))  # type: ignore[misc]  # not in typeshed

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Put the connection into TLS mode, verifying the server unless a ``context`` says otherwise.

        Takes and returns what `smtplib.SMTP.starttls` does.

        Raises:
            smtplib.SMTPNotSupportedError: the server does not offer STARTTLS.
            smtplib.SMTPServerDisconnected: somebody put plaintext in behind the server's answer.
            ssl.SSLError: the handshake or the verification failed; the connection is closed.
        """
        args, kwargs = self._oauth_upgrading(super().starttls, args, kwargs)
        self._oauth_ready()
        with self._oauth_bounded():
            return super().starttls(*args, **kwargs)

    def _oauth_check_upgrade(self) -> None:
        from ._tls import plaintext_waiting

        if plaintext_waiting(self._oauth_ready(), self.file):
            raise smtplib.SMTPServerDisconnected("plaintext follows the answer to STARTTLS: the connection is attacked")

    def _oauth_ready(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        if self.file is None:
            # As getreply() does, which begins with no file after connect() and starttls().
            self.file = self.sock.makefile("rb")
        return self.sock

    def _oauth_address(self) -> tuple[str, int]:
        return self._host, self._oauth_port or self.default_port

    def _oauth_offered(self, forced: bool) -> Collection[str]:
        if self.helo_resp is None:
            self.ehlo_or_helo_if_needed()
        elif self.ehlo_resp is None:
            # A client that said HELO does not know yet what the server offers.
            self.ehlo()
        return self.esmtp_features.get("auth", "").upper().split()

    def _oauth_at_once(self, command: bytes, initial: bytes) -> bool:
        return len(command) + len(initial) + len(b" \r\n") <= _COMMAND_LINE

    def _oauth_put(self, line: bytes, shown: bytes) -> None:
        # Not send(): that shows the line to the debug output and to audit hooks.
        shown += b"\r\n"
        if self.debuglevel > 0:
            self._print_debug("send:", repr(shown.decode("ascii")))
        sys.audit("smtplib.send", self, shown)
        try:
            self._oauth_ready().sendall(line + b"\r\n")
        except OSError as error:
            raise smtplib.SMTPServerDisconnected("Server not connected") from error

    def _oauth_next(self) -> tuple[bytes | None, bool, tuple[int, bytes]]:
        code, text = self.getreply()
        if not 200 <= code <= 599:
            raise smtplib.SMTPResponseException(code, text)
        # 503 is no success, as smtplib has it: a server out of step says it too (RFC 4954 section 4).
        return (text if code == 334 else None), code == 235, (code, text)

    def _oauth_reply_text(self, reply: tuple[int, bytes]) -> tuple[tuple[object, ...], str]:
        code, text = reply
        if code == 421:
            self.close()
        return reply, f"{code} {text.decode('utf-8', 'replace')}"

    def _oauth_drop(self) -> None:
        self.close()
        # The parent forgets in quit() only, and would send no EHLO after another connect().
        self.ehlo_resp = self.helo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False


class SMTP_SSL(SMTP, smtplib.SMTP_SSL):
    """`smtplib.SMTP_SSL` with `authenticate_oauth`, verifying the server unless a ``context`` says otherwise."""

    if not TYPE_CHECKING:

        @functools.wraps(smtplib.SMTP_SSL.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            args, kwargs = self._oauth_verified(super().__init__, args, kwargs)
            super().__init__(*args, **kwargs)
