"""What the tests of `oauthmail.install` share: mailboxes that are set up, and servers that take any login."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import re
import smtplib
import ssl
import threading
from collections.abc import Callable
from typing import Any

from oauthmail import Application, MemoryStore, OAuth2Credentials
from oauthmail.records import Record

from .scripted import Line, Script, ScriptedServer

HOST = "localhost"
TIMEOUT = 10.0
USER = "me@example.com"
PASSWORD = "the-old-password"
TOKEN = "ya29.the-token-of-the-mailbox"

GREETINGS = {"smtp": b"220 ready\r\n", "imap": b"* OK ready\r\n", "pop": b"+OK ready <1896.697@x>\r\n"}
PROTOCOLS = ("smtp", "imap", "pop")
Client = Any


def keep(store: Any, address: str = USER, token: str | None = TOKEN, *, host: str = HOST, **definition: Any) -> None:
    """Set a mailbox up whose provider has all its servers at *host*; without a token, as after it was revoked."""
    store.save(
        Record(
            address,
            "example",
            "authorization_code",
            Application("client"),
            None if token is None else OAuth2Credentials(token, expires_at=4e9),
            definition={"id": "example", **dict.fromkeys(PROTOCOLS, host), **definition},
        )
    )


def made(*addresses: str, **definition: Any) -> MemoryStore:
    """Return a store with mailboxes, or with one if none is named."""
    store = MemoryStore()
    for address in addresses or (USER,):
        keep(store, address, **definition)
    return store


# --- servers ----------------------------------------------------------------------------------------------------------


class Server:
    """Holds one side of a conversation in any of the three protocols.

    Args:
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``.
        tls: for a connection that is TLS from the start, or for STARTTLS.
        implicit: whether TLS comes first.
        accept: whether logins are accepted.
        echo: whether answers repeat what came.
        auth: the mechanisms that are offered.
        rude: whether it hangs up when the client takes its leave.
    """

    def __init__(
        self,
        protocol: str,
        tls: ssl.SSLContext | None = None,
        *,
        implicit: bool = True,
        accept: bool = True,
        echo: bool = False,
        auth: str = "XOAUTH2",
        rude: bool = False,
    ) -> None:
        self.protocol = protocol
        self.tls, self.implicit, self.accept, self.echo = tls, implicit, accept, echo
        self.auth, self.rude = auth.split(), rude

    def __call__(self, line: Line) -> None:
        if self.tls is not None and self.implicit:
            line.starttls(self.tls)
        line.send(
            {"smtp": b"220 ready\r\n", "imap": b"* OK ready\r\n", "pop": b"+OK ready <1896.697@x>\r\n"}[self.protocol]
        )
        answer: Callable[[Line, bytes], bool] = getattr(self, f"_{self.protocol}")
        while came := line.receive():
            if (self.rude and came.upper().endswith((b"QUIT", b"LOGOUT"))) or not answer(line, came):
                return

    def _said(self, came: bytes) -> bytes:
        return b" you said " + came if self.echo else b""

    def _upgrade(self, line: Line) -> None:
        assert self.tls is not None
        line.starttls(self.tls)

    def _smtp(self, line: Line, came: bytes) -> bool:
        word = came.split()[0].upper() if came.split() else b""
        if word == b"EHLO":
            offers = [b"250-hello", b"250-AUTH " + " ".join(self.auth).encode()]
            if self.tls is not None and not isinstance(line.sock, ssl.SSLSocket):
                offers.append(b"250-STARTTLS")
            line.send(b"\r\n".join([*offers, b"250 HELP", b""]))
        elif word == b"STARTTLS":
            line.send(b"220 go on\r\n")
            self._upgrade(line)
        elif word == b"AUTH":
            # Whatever the mechanism asks for.
            while not self._whole(came):
                challenge = {b"CRAM-MD5": b"PDE4OTYuNjk3QHg+"}.get(came.split()[1].upper(), b"VXNlcm5hbWU6")
                line.send(b"334 " + challenge + b"\r\n")
                came += b" " + line.receive()
            line.send((b"235 2.7.0 ok" if self.accept else b"535 5.7.8 no") + self._said(came) + b"\r\n")
        elif word == b"QUIT":
            line.send(b"221 bye\r\n")
            return False
        else:
            line.send(b"250 ok\r\n")
        return True

    @staticmethod
    def _whole(came: bytes) -> bool:
        words = came.split()
        return len(words) >= (4 if words[1].upper() == b"LOGIN" else 3)

    def _imap(self, line: Line, came: bytes) -> bool:
        tag, word, *rest = came.split()
        ending = tag + (b" OK done" if self.accept else b" NO [AUTHENTICATIONFAILED] no")
        if word == b"CAPABILITY":
            offers = ["IMAP4rev1", "SASL-IR", *(f"AUTH={name}" for name in self.auth)]
            if self.tls is not None and not isinstance(line.sock, ssl.SSLSocket):
                offers.append("STARTTLS")
            line.send(f"* CAPABILITY {' '.join(offers)}\r\n".encode() + tag + b" OK done\r\n")
        elif word == b"STARTTLS":
            line.send(tag + b" OK go on\r\n")
            self._upgrade(line)
        elif word == b"AUTHENTICATE":
            if len(rest) == 1:
                line.send(b"+ PDE4OTYuNjk3QHg+\r\n")
                came += b" " + line.receive()
            said = self._said(came)
            literal = b"* ECHO {%d}\r\n%b\r\n" % (len(came), came)
            line.send((b"* OK" + said + b"\r\n" + literal) * self.echo + ending + said + b"\r\n")
        elif word == b"LOGIN":
            line.send(ending + self._said(came) + b"\r\n")
        elif word == b"LOGOUT":
            line.send(b"* BYE bye\r\n" + tag + b" OK done\r\n")
            return False
        else:
            line.send(tag + b" OK done\r\n")
        return True

    def _pop(self, line: Line, came: bytes) -> bool:
        word = came.split()[0].upper() if came.split() else b""
        if word == b"CAPA":
            stls = self.tls is not None and not isinstance(line.sock, ssl.SSLSocket)
            # Blank where it does not matter: poplib's own stls() cannot read such a line.
            offers = [b"+OK", b"USER", b"STLS" if stls else b"", b"SASL " + " ".join(self.auth).encode(), b".", b""]
            line.send(b"\r\n".join(offers))
        elif word == b"STLS":
            line.send(b"+OK go on\r\n")
            self._upgrade(line)
        elif word in (b"AUTH", b"PASS", b"APOP", b"RPOP"):
            line.send((b"+OK logged in" if self.accept else b"-ERR [AUTH] no") + self._said(came) + b"\r\n")
        elif word == b"QUIT":
            line.send(b"+OK bye\r\n")
            return False
        else:
            line.send(b"+OK 0 0\r\n")
        return True


class Parallel(ScriptedServer):
    """Plays each connection its script at once, where a client keeps one while it makes the next."""

    def _run(self) -> None:
        threads = []
        for script in self._scripts:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                break
            line = Line(sock)
            self.lines.append(line)
            threads.append(threading.Thread(target=self._play, args=(script, line), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(TIMEOUT)

    @staticmethod
    def _play(script: Script, line: Line) -> None:
        # The client hangs up, or refuses the certificate; the test looks at the client.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(lambda: line.sock.close())
            script(line)


def parallel(*scripts: Script) -> Parallel:
    """Return a server for ``with``, with a script for each connection."""
    return Parallel(scripts, None)


# --- clients ----------------------------------------------------------------------------------------------------------


def connected(protocol: str, port: int, way: str, context: ssl.SSLContext | None = None) -> Client:
    """Return a client of the standard library, as old scripts make them: mostly without a context.

    Args:
        protocol: of the server.
        port: of it.
        way: ``"tls"``, ``"starttls"`` or ``"plain"``.
        context: for TLS.
    """
    client: Client
    if protocol == "smtp":
        if way == "tls":
            return smtplib.SMTP_SSL(HOST, port, "client.test", timeout=TIMEOUT, context=context)
        client = smtplib.SMTP(HOST, port, "client.test", timeout=TIMEOUT)
    elif protocol == "imap":
        if way == "tls":
            return imaplib.IMAP4_SSL(HOST, port, ssl_context=context, timeout=TIMEOUT)
        client = imaplib.IMAP4(HOST, port, timeout=TIMEOUT)
    else:
        if way == "tls":
            return poplib.POP3_SSL(HOST, port, timeout=TIMEOUT, context=context)
        client = poplib.POP3(HOST, port, timeout=TIMEOUT)
    if way == "starttls":
        upgrade = {"smtp": "starttls", "imap": "starttls", "pop": "stls"}[protocol]
        getattr(client, upgrade)(**{"ssl_context" if protocol == "imap" else "context": context})
    return client


def log_in(protocol: str, client: Client, user: str = USER, password: str = PASSWORD) -> object:
    """Log in as old scripts do."""
    if protocol == "pop":
        client.user(user)
        return client.pass_(password)
    return client.login(user, password)


def leave(protocol: str, client: Client) -> None:
    """Log out."""
    client.logout() if protocol == "imap" else client.quit()


def close(protocol: str, client: Client) -> None:
    """Hang up, whatever the state."""
    with contextlib.suppress(OSError):
        client.shutdown() if protocol == "imap" else client.close()


def logins(received: list[bytes]) -> list[bytes]:
    """Return the lines that begin a login, or are a part of one, without the tags of IMAP."""
    lines = [re.sub(rb"^[A-P]{4}\d+ ", b"", line) for line in received]
    return [line for line in lines if re.match(rb"(?i)(AUTH|AUTHENTICATE|LOGIN|USER|PASS|APOP|RPOP)\b", line)]
