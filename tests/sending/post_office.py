"""A submission server that lets anybody in and then says what a test wrote down; it keeps what it was sent."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from oauthmail import Account, MemoryStore, OAuth2Credentials, providers
from oauthmail.records import Record

from ..scripted import TIMEOUT, Certificates, Line, Script, ScriptedServer

USER = "me@sandbox.test"

#: What a server says: a text for every such command, or one after the other; None hangs up.
Replies = str | list[str | None]

ALL_WELL = {
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 Go ahead",
    ".": "250 2.0.0 OK",
    "RSET": "250 OK",
}


@dataclass
class PostOffice:
    """What happens on the connections of one server.

    Attributes:
        replies: by command; those that are missing are `ALL_WELL`.
        features: what EHLO offers.
        messages: those that were complete, without the dots of their lines.
        commands: every command but those of logins.
        cut_off: the last line of a message that had no end.
        logins: how many there were.
        complete: set when a message has come to its end and before it is answered.
        answered: the answer waits until somebody sets it.
    """

    replies: dict[str, Replies] = field(default_factory=dict)
    features: tuple[str, ...] = ("SIZE 1000000", "8BITMIME")
    messages: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    cut_off: list[bytes] = field(default_factory=list)
    logins: int = 0
    complete: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answered.set()

    def script(self) -> Script:
        """Return what one connection does."""
        return self._serve

    def _serve(self, line: Line) -> None:
        line.send(b"220 office ESMTP\r\n")
        while text := line.receive().decode():
            word = text.split()[0].upper()
            if word == "EHLO":
                lines = ["office", "AUTH XOAUTH2", *self.features]
                line.send("".join(f"250{'-' if each != lines[-1] else ' '}{each}\r\n" for each in lines).encode())
                continue
            if word == "AUTH":
                self.logins += 1
                line.send(b"235 2.7.0 OK\r\n")
                continue
            self.commands.append(text)
            if word == "QUIT":
                line.send(b"221 Bye\r\n")
                return
            if not self._answer(line, word):
                return

    def _answer(self, line: Line, word: str) -> bool:
        reply = self._next(word)
        if reply is None:
            return False
        line.send(f"{reply}\r\n".encode())
        if word == "DATA" and reply.startswith("354"):
            message = self._message(line)
            if message is None:
                return False
            self.complete.set()
            self.answered.wait(TIMEOUT)
            reply = self._next(".")
            if reply is None or reply.startswith("2"):
                self.messages.append(message)
            if reply is None:
                return False
            line.send(f"{reply}\r\n".encode())
        return True

    def _message(self, line: Line) -> bytes | None:
        """Return what comes before the line with a dot; None if the client leaves before."""
        message = b""
        while True:
            before = len(line.received)
            text = line.receive()
            if len(line.received) == before:
                self.cut_off = [each for each in message.split(b"\r\n") if each][-1:]
                return None
            if text == b".":
                return message
            message += text.removeprefix(b".") + b"\r\n"

    def _next(self, word: str) -> str | None:
        found = self.replies.get(word, ALL_WELL[word])
        if isinstance(found, str):
            return found
        return found.pop(0) if found else ALL_WELL[word]


def serving(office: PostOffice, certificates: Certificates, connections: int = 1) -> ScriptedServer:
    """Return the server for ``with``; it takes this many connections, one after the other."""
    return ScriptedServer((office.script(),) * connections, certificates.server("localhost"))


def account(port: int, ca_file: str) -> Account:
    """Return a mailbox whose server is on *port*."""
    store = MemoryStore()
    store.save(record(port, ca_file))
    return Account(USER, store=store, timeout=TIMEOUT)


def record(port: int, ca_file: str) -> Record:
    """Return what is stored of it."""
    provider = providers.custom(
        id="office", smtp={"host": "localhost", "port": port, "security": "tls"}, ca_file=ca_file, scopes="mail"
    )
    credentials = OAuth2Credentials("good-token", expires_at=time.time() + 3600)
    return Record(USER, provider.id, "imported", None, credentials, definition=provider.definition())
