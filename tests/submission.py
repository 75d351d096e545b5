"""An SMTP server on a socket that takes messages as a test tells it to, and knows afterwards which ones it really has.

What it says is `tests.conversation`'s; when the line drops, and how replies are cut into packets, is decided here.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Collection, Sequence

from .conversation import BOTH, Conversation, Delivered, HangUp, Policy, Rules

__all__ = ["BOTH", "TIMEOUT", "Delivered", "HangUp", "Policy", "Submission"]

TIMEOUT = 10.0


class Submission(Rules):
    """Such a server, for ``with``; it takes connections one after the other.

    Args:
        features: what EHLO lists.
        policy: replies in the place of the usual ones.
        hoards: see `Rules`, as for the next two.
        tokens: that may log in.
        lifetime: of a login.
        stop_reading: hang up after so many octets were read.
        stop_writing: hang up after so many octets were written.
        piece: write replies in packets of so many octets; 0 for as they come.
        tls: wraps every connection: from the start, or after STARTTLS if that is among the features.

    Attributes:
        port: on 127.0.0.1.
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
        hoards: bool = False,
        tokens: Collection[str] | None = None,
        lifetime: int = 1 << 30,
        stop_reading: int | None = None,
        stop_writing: int | None = None,
        piece: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(features, policy, hoards, tokens, lifetime)
        self.stop_reading = stop_reading
        self.stop_writing = stop_writing
        self.piece = piece
        self.tls = tls
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
                if self.tls is not None and "STARTTLS" not in self.features:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                self._serve(sock)
            except (OSError, HangUp):
                pass
            finally:
                sock.close()

    def _serve(self, sock: socket.socket) -> None:
        conversation = Conversation(self)
        try:
            octets = b""
            while True:
                self._say(sock, conversation.take(octets))
                if conversation.ended:
                    return
                if conversation.upgrading and self.tls is not None:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                    conversation.upgraded()
                octets = self._hear(sock)
        finally:
            # The one over TLS is another than the caller knows.
            sock.close()

    def _hear(self, sock: socket.socket) -> bytes:
        allowed = 1 << 16 if self.stop_reading is None else min(1 << 16, self.stop_reading - self.read)
        octets = sock.recv(allowed) if allowed > 0 else b""
        if not octets:
            raise HangUp
        self.read += len(octets)
        return octets

    def _say(self, sock: socket.socket, octets: bytes) -> None:
        """Send the replies when there is nothing more to read: one turn of the conversation."""
        if not octets:
            return
        self.turns += 1
        left = len(octets) if self.stop_writing is None else self.stop_writing - self.written
        size = self.piece or len(octets)
        for start in range(0, min(left, len(octets)), size):
            sock.sendall(octets[start : min(start + size, left)])
            if self.piece:
                time.sleep(0)
        self.written += min(left, len(octets))
        if left < len(octets):
            raise HangUp
