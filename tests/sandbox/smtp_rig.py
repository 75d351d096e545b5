"""An SMTP server of the sandbox, and a client that sends just the octets it is told to."""

from __future__ import annotations

import base64
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from oauthmail.sandbox.mailbox import Mailboxes
from oauthmail.sandbox.personality import GENERIC, Personality
from oauthmail.sandbox.smtp import SmtpServer
from oauthmail.sandbox.state import State

from ..scripted import TIMEOUT, Certificates

USER = "alice@mail.test"
OTHER = "bob@mail.test"
DISCOVERY = "http://127.0.0.1:1/.well-known/openid-configuration"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def xoauth2(token: str, user: str = USER) -> str:
    return b64(f"user={user}\x01auth=Bearer {token}\x01\x01")


def oauthbearer(token: str, user: str = USER) -> str:
    return b64(f"n,a={user},\x01auth=Bearer {token}\x01\x01")


class Raw:
    """A client below the protocol."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        # What a test sends in pieces arrives in pieces.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = b""
        if context is not None:
            self.wrap(context)

    def wrap(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def reply(self) -> str:
        """Return the next answer, lines joined by a newline; an empty one at the end of the connection."""
        lines: list[str] = []
        while not lines or lines[-1][3:4] == "-":
            while b"\r\n" not in self._input:
                octets = self.sock.recv(1 << 16)
                if not octets:
                    return ""
                self._input += octets
            line, _, self._input = self._input.partition(b"\r\n")
            lines.append(line.decode())
        return "\n".join(lines)

    def command(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def log_in(self, token: str) -> None:
        assert self.command("EHLO client")[:3] == "250"
        assert self.command(f"AUTH XOAUTH2 {xoauth2(token)}")[:3] == "235"

    def begin(self, *recipients: str) -> None:
        """Name a sender and the recipients."""
        for line in ("MAIL FROM:<sender@mail.test>", *(f"RCPT TO:<{each}>" for each in recipients or (OTHER,))):
            assert self.command(line)[:3] == "250"

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()


@dataclass
class Rig:
    """A running server and what it shares with the rest."""

    state: State
    mailboxes: Mailboxes
    server: SmtpServer
    trust: ssl.SSLContext
    implicit_tls: bool

    def raw(self, *, tls: bool = True) -> Raw:
        """Return a client that has read the greeting and is within TLS, unless told otherwise."""
        raw = Raw(self.server.port, self.trust if self.implicit_tls else None)
        assert raw.reply()[:4] == "220 "
        if tls and not self.implicit_tls:
            assert raw.command("EHLO client")[:3] == "250"
            assert raw.command("STARTTLS")[:3] == "220"
            raw.wrap(self.trust)
        return raw

    def user(self) -> Raw:
        """Return a client that has logged in."""
        raw = self.raw()
        raw.log_in(self.state.issue(USER))
        return raw

    def smtplib(self) -> smtplib.SMTP:
        """Return the standard library's client, within TLS."""
        if self.implicit_tls:
            return smtplib.SMTP_SSL("localhost", self.server.port, timeout=TIMEOUT, context=self.trust)
        client = smtplib.SMTP("localhost", self.server.port, timeout=TIMEOUT)
        client.starttls(context=self.trust)
        return client

    def inbox(self, user: str = OTHER) -> list[bytes]:
        return [message.octets for message in self.mailboxes.messages(user)]

    def received(self) -> list[str]:
        return list(self.state.received("smtp"))


@contextlib.contextmanager
def running(
    certificates: Certificates,
    personality: Personality = GENERIC,
    *,
    implicit_tls: bool = False,
    data_size_limit: int = 1 << 25,
) -> Iterator[Rig]:
    """Run a server."""
    state, mailboxes = State(), Mailboxes()
    context = certificates.server("localhost", "127.0.0.1")
    with SmtpServer(
        state,
        mailboxes,
        personality,
        context,
        implicit_tls=implicit_tls,
        discovery=DISCOVERY,
        data_size_limit=data_size_limit,
    ) as server:
        yield Rig(state, mailboxes, server, certificates.client(), implicit_tls)
