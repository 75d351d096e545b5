"""The package's three clients on a connection that is there already, and what a visit wants of each."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import re
import smtplib
import socket
import ssl
from collections.abc import Collection
from typing import Protocol, cast

from .._redact import printable
from ..imap import IMAP4
from ..pop import POP3
from ..providers import Server
from ..smtp import SMTP

__all__ = ["BROKEN", "CLIENTS", "Client", "RefusedError"]

#: What the standard library raises of a conversation that goes wrong.
BROKEN = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto)


class RefusedError(Exception):
    """A server gave another answer than the one that is needed.

    Attributes:
        problem: what that means: a key of the table of problems.
        reply: the answer.
    """

    def __init__(self, problem: str, reply: str) -> None:
        super().__init__(problem, reply)
        self.problem = problem
        self.reply = reply


class Client(Protocol):
    """What `Visit` knows of a client; making one hears the server's greeting.

    Attributes:
        greeting: the server's first words.
    """

    greeting: str

    def offers_tls(self) -> bool:
        """Tell whether the server offers to start TLS."""

    def secure(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Start TLS and return the socket."""

    def offered(self) -> Collection[str]:
        """Return the SASL mechanisms that are offered now, in upper case."""

    def authenticate_oauth(self, url_or_user: str, credentials: object) -> object:
        """Log in."""

    def first_command(self, address: str) -> str:
        """Do something with the mailbox that changes nothing, and say what came of it."""

    def leave(self) -> None:
        """Take leave and close the connection."""

    def drop(self) -> None:
        """Close the connection without a word."""


class _SMTP(SMTP):
    def __init__(self, sock: socket.socket, server: Server, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._given = sock
        code, reply = self.connect(server.host, server.port)
        self.greeting = _text(code, reply)
        if code != 220:
            # -1 stands for words that do not begin with a number.
            raise RefusedError("other_protocol" if code == -1 else "greeting_refused", self.greeting)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self._host, self._oauth_port = host, port
        return self._given

    def offers_tls(self) -> bool:
        self.ehlo_or_helo_if_needed()
        return self.has_extn("starttls")

    def secure(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        self.starttls(context=context)
        return cast(ssl.SSLSocket, self.sock)

    def offered(self) -> Collection[str]:
        return self._oauth_offered(forced=False)

    def first_command(self, address: str) -> str:
        options = [] if address.isascii() else ["SMTPUTF8"]
        code, reply = self.mail(address, options)
        if code != 250:
            raise RefusedError("command_refused", _text(code, reply))
        self.rset()
        return "MAIL FROM accepted, and taken back: nothing was sent"

    def leave(self) -> None:
        try:
            if self.sock is not None:
                self.quit()
        finally:
            self.close()

    def drop(self) -> None:
        self._oauth_drop()


class _IMAP4(IMAP4):
    def __init__(self, sock: socket.socket, server: Server, timeout: float) -> None:
        self._given = sock
        super().__init__(server.host, server.port, timeout)
        # What it says of its capabilities is the next step's.
        welcome = re.sub(rb"\[CAPABILITY [^]]*\] ?", b"", self.welcome or b"")
        self.greeting = printable(welcome.decode("utf-8", "replace"), 200)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._given

    def offers_tls(self) -> bool:
        return "STARTTLS" in self.capabilities

    def secure(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        self.starttls(ssl_context=context)
        return cast(ssl.SSLSocket, self.sock)

    def offered(self) -> Collection[str]:
        return self._oauth_offered(forced=False)

    def first_command(self, address: str) -> str:
        typ, data = self.select("INBOX", readonly=True)
        said = printable((data[-1] or b"").decode("utf-8", "replace"), 200)
        if typ != "OK":
            raise RefusedError("command_refused", f"{typ} {said}")
        return f"INBOX opened for reading only: {_messages(said)}"

    def leave(self) -> None:
        try:
            if self.state != "LOGOUT":
                self.logout()
        finally:
            with contextlib.suppress(OSError):
                self.shutdown()

    def drop(self) -> None:
        self._oauth_drop()


class _POP3(POP3):
    def __init__(self, sock: socket.socket, server: Server, timeout: float) -> None:
        self._given = sock
        super().__init__(server.host, server.port, timeout)
        self.greeting = printable(self.getwelcome().decode("utf-8", "replace"), 200)

    def _create_socket(self, timeout: float) -> socket.socket:
        return self._given

    def offers_tls(self) -> bool:
        try:
            return "STLS" in self.capa()
        except poplib.error_proto as error:
            # A server that does not know the command has nothing to offer.
            if "CAPA" not in str(error):
                raise
            return False

    def secure(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        self.stls(context=context)
        return cast(ssl.SSLSocket, self.sock)

    def offered(self) -> Collection[str]:
        return self._oauth_offered(forced=False)

    def first_command(self, address: str) -> str:
        count, octets = self.stat()
        return f"STAT: {_messages(str(count))}, {octets} octets"

    def leave(self) -> None:
        try:
            if self.sock is not None:
                self.quit()
        finally:
            self.close()

    def drop(self) -> None:
        self._oauth_drop()


def _text(code: int, reply: bytes) -> str:
    return printable(f"{code} {reply.decode('utf-8', 'replace')}" if code != -1 else reply.decode("utf-8", "replace"))


def _messages(count: str) -> str:
    return f"{count} message" if count == "1" else f"{count} messages"


#: By protocol: ``CLIENTS["smtp"](sock, server, timeout)``.
CLIENTS: dict[str, type[_SMTP] | type[_IMAP4] | type[_POP3]] = {"smtp": _SMTP, "imap": _IMAP4, "pop": _POP3}
