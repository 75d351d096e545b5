"""An SMTP server that takes messages as a test tells it to, and knows afterwards which ones it really has.

It reads commands one by one, however they travelled, and keeps to RFC 5321 in what it lets follow what; the test
decides the replies, when the line drops, and how replies are cut into packets.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TIMEOUT = 10.0

#: Returns a reply in the place of the usual one, or None; gets the command's line.
Policy = Callable[[bytes], bytes | None]

BOTH = ("PIPELINING", "CHUNKING", "SIZE 1000000", "8BITMIME", "SMTPUTF8")


class HangUp(Exception):  # noqa: N818  # not an error: the test wants it
    """Raised by a policy: the server closes the connection without a reply."""


@dataclass
class Delivered:
    """A message that the server has said yes to."""

    sender: bytes
    recipients: list[bytes]
    octets: bytes


@dataclass
class _Envelope:
    sender: bytes | None = None
    recipients: list[bytes] = field(default_factory=list)
    chunks: bytes = b""
    broken: bool = False


class Submission:
    """Such a server, for ``with``; it takes connections one after the other.

    Args:
        features: what EHLO lists.
        policy: replies in the place of the usual ones.
        stop_reading: hang up after so many octets were read.
        stop_writing: hang up after so many octets were written.
        piece: write replies in packets of so many octets; 0 for as they come.
        tls: wraps every connection from the start.

    Attributes:
        port: on 127.0.0.1.
        delivered: the messages that it has accepted, whether the client has heard so or not.
        lines: every command line, without its end.
        turns: how often the client waited, that is how often there was nothing more to read before a reply was sent.
        read: octets read.
        written: octets written.
        connections: how many there were.
    """

    def __init__(
        self,
        features: Sequence[str] = BOTH,
        *,
        policy: Policy = lambda line: None,
        stop_reading: int | None = None,
        stop_writing: int | None = None,
        piece: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.features = features
        self.policy = policy
        self.stop_reading = stop_reading
        self.stop_writing = stop_writing
        self.piece = piece
        self.tls = tls
        self.delivered: list[Delivered] = []
        self.lines: list[bytes] = []
        self.turns = self.read = self.written = self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Submission:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the server still waits for the client"

    def wait(self) -> None:
        """Wait until the connection under way has ended; no further one is accepted."""
        self.__exit__()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if self.tls is not None:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                _Session(self, sock).run()
            except (OSError, HangUp):
                pass
            finally:
                sock.close()


class _Session:
    def __init__(self, server: Submission, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.buffer = b""
        self.pending = b""
        self.envelope = _Envelope()

    # --- octets ---------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        server = self.server
        self.flush()
        allowed = 1 << 16 if server.stop_reading is None else min(1 << 16, server.stop_reading - server.read)
        if allowed <= 0:
            raise HangUp
        octets = self.sock.recv(allowed)
        if not octets:
            raise HangUp
        server.read += len(octets)
        self.buffer += octets

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def octets(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.fill()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def say(self, reply: bytes) -> None:
        self.pending += reply

    def flush(self) -> None:
        """Send the replies when there is nothing more to read: one turn of the conversation."""
        server = self.server
        octets, self.pending = self.pending, b""
        if octets:
            server.turns += 1
        if server.stop_writing is not None and server.written + len(octets) > server.stop_writing:
            octets = octets[: server.stop_writing - server.written]
            self.send(octets)
            raise HangUp
        self.send(octets)

    def send(self, octets: bytes) -> None:
        size = self.server.piece or len(octets) or 1
        for start in range(0, len(octets), size):
            self.sock.sendall(octets[start : start + size])
            if self.server.piece:
                time.sleep(0)
        self.server.written += len(octets)

    # --- commands -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.say(b"220 test\r\n")
        while True:
            line = self.line()
            self.server.lines.append(line)
            verb = line[:4].upper()
            # An octet count is part of the command: whatever the reply, so many octets are no commands.
            chunk = self.octets(int(line.split()[1])) if verb == b"BDAT" else b""
            try:
                reply = self.server.policy(line)
            except HangUp:
                self.flush()
                raise
            if reply is not None:
                if verb == b"BDAT":
                    self.envelope.broken = True
                self.say(reply)
                if verb == b"DATA" and reply.startswith(b"354"):
                    self.data()
                continue
            if verb == b"QUIT":
                self.say(b"221 bye\r\n")
                self.flush()
                return
            self.say(self.usual(verb, line, chunk))
            if verb == b"DATA" and self.pending.endswith(b"354 go on\r\n"):
                self.data()

    def usual(self, verb: bytes, line: bytes, chunk: bytes) -> bytes:
        envelope = self.envelope
        if verb == b"EHLO":
            self.envelope = _Envelope()
            listed = ["test", *self.server.features]
            return b"".join(
                b"250%b%b\r\n" % (b" " if place == len(listed) else b"-", each.encode())
                for place, each in enumerate(listed, 1)
            )
        if verb == b"RSET":
            self.envelope = _Envelope()
        elif verb == b"MAIL":
            if envelope.sender is not None:
                return b"503 5.5.1 nested MAIL\r\n"
            envelope.sender = line[10:].partition(b" ")[0]
        elif verb == b"RCPT":
            if envelope.sender is None:
                return b"503 5.5.1 MAIL first\r\n"
            envelope.recipients.append(line[8:].partition(b" ")[0])
        elif verb == b"DATA":
            return b"354 go on\r\n" if envelope.recipients else b"503 5.5.1 RCPT first\r\n"
        elif verb == b"BDAT":
            if not envelope.recipients or envelope.broken:
                return b"503 5.5.1 RCPT first\r\n"
            envelope.chunks += chunk
            if line.upper().endswith(b" LAST"):
                self.deliver(envelope.chunks)
        return b"250 2.0.0 ok\r\n"

    def data(self) -> None:
        text = b""
        while (line := self.raw()) != b".\r\n":
            text += line[1:] if line.startswith(b".") else line
        reply = self.server.policy(b".")
        if reply is None:
            self.deliver(text)
            reply = b"250 2.0.0 ok\r\n"
        else:
            self.envelope = _Envelope()
        self.say(reply)

    def raw(self) -> bytes:
        while b"\n" not in self.buffer:
            self.fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def deliver(self, octets: bytes) -> None:
        envelope, self.envelope = self.envelope, _Envelope()
        self.server.delivered.append(Delivered(envelope.sender or b"", envelope.recipients, octets))
