"""A server that lets everybody in and counts: ``python -m tests.bench.recorder PROTOCOL CERTIFICATE [CAPABILITIES]``.

It speaks TLS from the start. For each connection it counts how often the client waited for it, and how long the client
took, from the end of the handshake to the answer that accepts its login. Packets that a client sends without having
been answered in between are one request.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable

from .children import serve

#: What accepts a login, whatever the protocol: a login of any client ends with one of them.
ACCEPTED = (b"235 2.7.0 accepted\r\n", b" OK logged in\r\n", b"+OK logged in\r\n")
IMAP_CAPABILITIES = b"CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER"


def smtp(line: bytes, waiting: bool) -> bytes:
    """Return the answer to *line*; *waiting* says that it is the client's answer to a challenge."""
    words = line.upper().split()
    if waiting or (words[:1] == [b"AUTH"] and len(words) == 3):
        return ACCEPTED[0]
    if words[:1] == [b"EHLO"]:
        return b"250-recorder\r\n250-SIZE 1000000\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n"
    if words[:1] == [b"QUIT"]:
        return b"221 bye\r\n"
    return b"334 \r\n" if words[:1] == [b"AUTH"] else b"250 ok\r\n"


def pop(line: bytes, waiting: bool) -> bytes:
    words = line.upper().split()
    if waiting or (words[:1] == [b"AUTH"] and len(words) == 3):
        return ACCEPTED[2]
    if words[:1] == [b"CAPA"]:
        return b"+OK\r\nPIPELINING\r\nSASL XOAUTH2 OAUTHBEARER\r\n.\r\n"
    return b"+ \r\n" if words[:1] == [b"AUTH"] else b"+OK\r\n"


class Imap:
    """IMAP, which has to remember the tag of a command that it answers in two steps."""

    def __init__(self) -> None:
        self._tag = b""

    def __call__(self, line: bytes, waiting: bool) -> bytes:
        if waiting:
            return self._tag + ACCEPTED[1]
        self._tag, command, *words = line.upper().split()
        if command == b"CAPABILITY":
            return b"* " + IMAP_CAPABILITIES + b"\r\n" + self._tag + b" OK done\r\n"
        if command == b"AUTHENTICATE":
            return self._tag + ACCEPTED[1] if len(words) == 2 else b"+ \r\n"
        if command == b"LOGOUT":
            return b"* BYE\r\n" + self._tag + b" OK done\r\n"
        return self._tag + b" OK done\r\n"


class Recorder:
    """Counts what clients do.

    Attributes:
        port: where it listens on 127.0.0.1.
        logins: for each, how often the client waited and how many seconds passed.
    """

    def __init__(
        self, greeting: bytes, speaker: Callable[[], Callable[[bytes, bool], bytes]], certificate: str
    ) -> None:
        self._greeting, self._speaker = greeting, speaker
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.logins: list[tuple[int, float]] = []

    def run(self) -> None:
        """Serve for ever, one client after the other."""
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(10)
            with connection, contextlib.suppress(OSError):
                tls = self._context.wrap_socket(connection, server_side=True)
                self._converse(tls, time.perf_counter())

    def _converse(self, tls: ssl.SSLSocket, begun: float) -> None:
        answer, buffer, waited = self._speaker(), b"", 0
        tls.sendall(self._greeting)
        reply = self._greeting
        answered = True
        while received := tls.recv(1 << 16):
            waited += answered
            answered = False
            buffer += received
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                reply = answer(line, reply.startswith((b"334", b"+ ")))
                answered = True
                if reply.endswith(ACCEPTED):
                    # Before the client can ask.
                    self.logins.append((waited, time.perf_counter() - begun))
                tls.sendall(reply)

    def counted(self) -> dict[str, list[float]]:
        """Return the logins since the last time: how often each client waited, and for how many seconds."""
        logins, self.logins = self.logins, []
        return {"waited": [waited for waited, _ in logins], "seconds": [seconds for _, seconds in logins]}


def main() -> None:
    """Run a server until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", choices=["smtp", "imap", "pop"])
    parser.add_argument("certificate", help="a PEM file with certificate and key")
    parser.add_argument("--silent", action="store_true", help="name no capabilities in IMAP's greeting")
    arguments = parser.parse_args()
    told = b"" if arguments.silent else b"[" + IMAP_CAPABILITIES + b"] "
    greetings = {"smtp": b"220 recorder ESMTP\r\n", "imap": b"* OK " + told + b"ready\r\n", "pop": b"+OK ready\r\n"}
    speakers: dict[str, Callable[[], Callable[[bytes, bool], bytes]]] = {
        "smtp": lambda: smtp,
        "imap": Imap,
        "pop": lambda: pop,
    }
    recorder = Recorder(greetings[arguments.protocol], speakers[arguments.protocol], arguments.certificate)
    threading.Thread(target=recorder.run, daemon=True).start()
    serve(recorder.port, lambda _: recorder.counted())


if __name__ == "__main__":
    main()
