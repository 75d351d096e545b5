"""A visit to one server, step by step, up to the first command after the login.

The clients are the package's own, so that what is tried is what a program will do; only the connection is made here,
where each part of it can be timed and blamed by itself.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import smtplib
import socket
import ssl
from collections.abc import Collection, Iterator
from typing import cast

from .. import sasl
from .._redact import printable
from ..credentials import OAuth1Credentials
from ..errors import AuthenticationError, OAuthMailError
from ..providers import _PORTS, Server
from ._clients import BROKEN, CLIENTS, Client, RefusedError
from ._mailbox import Mailbox
from ._network import Address, connected, described, looked_up, tls_trouble, unverified
from ._problems import TroubleError, trouble
from ._refusals import login_trouble

__all__ = ["NAMES", "Visit", "plan"]

#: What the protocols are called.
NAMES = {"smtp": "SMTP", "imap": "IMAP", "pop": "POP3"}

_COMMANDS = {"smtp": "MAIL FROM", "imap": "EXAMINE INBOX", "pop": "STAT"}

# Codes of RFC 5321, RFC 5530 and RFC 3206 for what may be over soon.
_LATER = re.compile(r"^4\d\d\b|\[(?:UNAVAILABLE|INUSE|LIMIT|SYS/TEMP|IN-USE)\]", re.IGNORECASE)


def plan(security: str) -> tuple[str, ...]:
    """Return the steps of a visit, each depending on all before it: names of methods of `Visit`."""
    start = ("tls", "greeting") if security == "tls" else ("greeting", "starttls", "tls")
    return ("dns", "tcp", *start, "capabilities", "login", "command")


class Visit:
    """One connection to one server; a context manager that takes leave of it.

    Args:
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``.
        server: whom to visit.
        mailbox: on whose behalf.
        context: for TLS.
    """

    def __init__(self, protocol: str, server: Server, mailbox: Mailbox, context: ssl.SSLContext) -> None:
        self.protocol = protocol
        self.server = server
        self.mailbox = mailbox
        self._context = context
        self._timeout = mailbox.account.timeout
        self._sock: socket.socket | None = None
        self._client: Client | None = None
        self._addresses: list[Address] = []
        self._offered: Collection[str] = ()
        tls, starttls = _PORTS[protocol, "tls"], _PORTS[protocol, "starttls"]
        self._values: dict[str, object] = {
            "protocol": NAMES[protocol],
            "host": server.host,
            "port": server.port,
            "usual": f"{tls} (TLS from the start) or {starttls} (STARTTLS)",
            "address": mailbox.address,
            "seconds": self._timeout,
        }

    def take(self, name: str) -> str:
        """Take one step of the plan and return what was found.

        Raises:
            TroubleError: it failed.
        """
        step = {
            "dns": self._dns,
            "tcp": self._tcp,
            "tls": self._tls,
            "greeting": self._greeting,
            "starttls": self._starttls,
            "capabilities": self._capabilities,
            "login": self._login,
            "command": self._command,
        }[name]
        try:
            return step()
        except RefusedError as error:
            if name == "command":
                raise self._command_refused(error.reply) from error
            raise self._trouble(error.problem, error.reply) from error
        except BROKEN as error:
            # A server that has fallen silent would be so again when taking leave.
            self._forget()
            raise self._interrupted(error, name) from error
        except OAuthMailError as error:
            raise self._trouble("provider", what=str(error)) from error

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *exc_info: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(*BROKEN):
                client.leave()
        self._forget()

    def _forget(self) -> None:
        """Close the connection without a word."""
        if self._client is not None:
            with contextlib.suppress(*BROKEN):
                self._client.drop()
        self._client = None
        # The client's socket is this one, or what TLS has made of it.
        if self._sock is not None:
            self._sock.close()

    # --- the steps ------------------------------------------------------------------------------------------------

    def _dns(self) -> str:
        self._addresses = looked_up(self.server)
        found = ", ".join(dict.fromkeys(address[0] for _, address in self._addresses))
        return f"{self.server.host}: {found}"

    def _tcp(self) -> str:
        self._sock, detail = connected(self.server, self._addresses, timeout=self._timeout, values=self._values)
        return detail

    def _tls(self) -> str:
        try:
            return described(self._secured())
        except (ssl.SSLError, ConnectionError) as error:
            raise tls_trouble(error, self.server, self._context, self._look, values=self._values) from error

    def _secured(self) -> ssl.SSLSocket:
        if self._client is not None:
            return self._client.secure(self._context)
        # From the start; the socket is taken over, and closed should the handshake fail.
        secured = self._context.wrap_socket(cast(socket.socket, self._sock), server_hostname=self.server.host)
        self._sock = secured
        return secured

    @contextlib.contextmanager
    def _look(self) -> Iterator[ssl.SSLSocket]:
        """Connect once more, trusting anybody, to see the certificate that was refused, and say nothing else."""
        again = Visit(self.protocol, self.server, self.mailbox, unverified())
        steps = plan(self.server.security)
        try:
            for name in steps[: steps.index("tls")]:
                again.take(name)
            with again._secured() as secured:
                yield secured
        finally:
            again._forget()

    def _greeting(self) -> str:
        self._client = CLIENTS[self.protocol](cast(socket.socket, self._sock), self.server, self._timeout)
        return self._client.greeting

    def _starttls(self) -> str:
        client = cast(Client, self._client)
        if not client.offers_tls():
            raise self._trouble("no_starttls")
        return f"offered; logins without it: {_listed(client.offered()) or 'none'}"

    def _capabilities(self) -> str:
        self._offered = cast(Client, self._client).offered()
        if self._mechanism() is None:
            raise self._trouble("no_oauth", offered=_listed(self._offered) or "none at all")
        return _listed(self._offered)

    def _mechanism(self) -> str | None:
        held = self.mailbox.credentials
        signed = held if isinstance(held, OAuth1Credentials) else None
        return sasl.choose(sasl.candidates(signed, self.mailbox.identity(self.protocol)), self._offered)

    def _login(self) -> str:
        identity, renewals = self.mailbox.identity(self.protocol), self.mailbox.renewals
        try:
            cast(Client, self._client).authenticate_oauth(identity, self.mailbox.source)
        except (OAuthMailError, *BROKEN) as error:
            found = login_trouble(self.mailbox, error, self.protocol, self._values)
            if found is None:
                raise
            raise found from error
        renewed = self.mailbox.renewals > renewals
        how = ", with a new token, as the server refused the stored one" if renewed else ""
        return f"{self._mechanism()} as {self.mailbox.address}{how}"

    def _command(self) -> str:
        try:
            return cast(Client, self._client).first_command(self.mailbox.address)
        except AuthenticationError as error:
            # Exchange Online accepts logins that are good for nothing.
            reply = error.server_reply
            raise self._trouble("not_connected", reply, hint=error.hint) from error

    # --- what goes wrong ------------------------------------------------------------------------------------------

    def _trouble(self, problem: str, reply: str = "", **values: object) -> TroubleError:
        return trouble(problem, **{**self._values, "reply": reply, **values})

    def _interrupted(self, error: Exception, step: str) -> TroubleError:
        """Return what it means that the standard library gave a conversation up."""
        if _timed_out(error):
            return self._trouble("silent", step=step)
        # What imaplib and poplib quote as bytes is the server's answer.
        said = error.args[0] if error.args else ""
        if isinstance(error, smtplib.SMTPResponseException):
            said = f"{error.smtp_code} ".encode() + _octets(error.smtp_error)
        words = printable(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(error))
        if step == "greeting":
            return self._greeted(error, said, words)
        answered = isinstance(said, bytes) or (
            isinstance(error, imaplib.IMAP4.error) and not isinstance(error, imaplib.IMAP4.abort)
        )
        if not answered:
            return self._trouble("closed", step=step)
        if step == "command":
            return self._command_refused(words)
        return self._trouble("starttls_refused" if step == "tls" else "unexpected", words, step=step, what=words)

    def _command_refused(self, reply: str) -> TroubleError:
        problem = "command_later" if _LATER.search(reply) else "command_refused"
        return self._trouble(problem, reply, command=_COMMANDS[self.protocol])

    def _greeted(self, error: Exception, said: object, words: str) -> TroubleError:
        """Return what it means that there was no greeting, or not the right one."""
        if isinstance(said, bytes):
            refused = said.startswith((b"-ERR", b"* BYE", b"* NO"))
            return self._trouble("greeting_refused" if refused else "other_protocol", words)
        other = isinstance(error, imaplib.IMAP4.error) and ("unexpected response" in words or "compliant" in words)
        return self._trouble("other_protocol" if other else "closed", step="greeting")


def _octets(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _timed_out(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, TimeoutError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _listed(mechanisms: Collection[str]) -> str:
    return printable(" ".join(mechanisms), 200)
