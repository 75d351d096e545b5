"""A client's socket with the server behind it in the same thread: every cut, pause and interruption where a test wants.

Nothing ever waits: a read to which no octet will come is a timeout at once.
"""

from __future__ import annotations

import itertools
import smtplib
import socket
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .conversation import Conversation, Rules

Client = TypeVar("Client", bound=smtplib.SMTP)


class Wire(socket.socket):
    """A socket that is connected to a `Conversation`.

    Args:
        rules: of the server.
        arriving: how many octets each read finds, over and over; 0 for none yet.
        taking: how many octets each write gets rid of, over and over.
        stop_reading: the server hangs up after it has read so many octets.
        stop_writing: the server hangs up after it has written so many octets; what it has read it acts upon.
        resets: writing to a server that has hung up fails; otherwise it goes nowhere, as at first on a real line.
        deaf: the server goes silent after it has written so many octets: it reads, and acts, and says nothing.

    Attributes:
        disturb: called in front of each system call and behind it; what it raises, the call raises.
        read: octets that the server has read.
        written: octets that it has written.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        arriving: Iterable[int] = (1 << 16,),
        taking: Iterable[int] = (1 << 30,),
        stop_reading: int | None = None,
        stop_writing: int | None = None,
        resets: bool = True,
        deaf: int | None = None,
    ) -> None:
        super().__init__()
        self.settimeout(1.0)
        self.conversation = Conversation(rules)
        self.read = self.written = 0
        self._arriving = itertools.cycle(arriving)
        self._taking = itertools.cycle(taking)
        self._stop_reading = stop_reading
        self._stop_writing = stop_writing
        self._deaf = deaf
        self._resets = resets
        self.disturb: Callable[[], None] = lambda: None
        self._waiting = b""
        self._hear(b"")

    # --- the server's side ----------------------------------------------------------------------------------------

    def _hear(self, octets: bytes) -> None:
        conversation = self.conversation
        if self._stop_reading is not None:
            octets = octets[: self._stop_reading - self.read]
        self.read += len(octets)
        said = conversation.take(octets)
        if self._stop_writing is not None and self.written + len(said) >= self._stop_writing:
            said = said[: self._stop_writing - self.written]
            conversation.ended = True
        if self._deaf is not None:
            said = said[: self._deaf - self.written]
        if self.read == self._stop_reading:
            conversation.ended = True
        self.written += len(said)
        self._waiting += said

    def deafen(self, reply: bytes) -> bytes:
        """Have *reply*, which the server is about to say, be its last words; it goes on reading and acting."""
        self._deaf = self.written + sum(map(len, self.conversation.said)) + len(reply)
        return reply

    # --- the client's side ----------------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        """Send some of it."""
        self.disturb()
        if self.conversation.ended:
            if self._resets:
                raise BrokenPipeError("Broken pipe")
            return len(data)
        taken = bytes(data[: max(next(self._taking), 1)])
        self._hear(taken)
        self.disturb()
        return len(taken)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it."""
        left = memoryview(data)
        while left:
            left = left[self.send(left) :]

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return what has arrived."""
        self.disturb()
        size = min(bufsize, next(self._arriving))
        if not self._waiting and self.conversation.ended:
            return b""
        if self.gettimeout() == 0 and not (self._waiting and size):
            raise BlockingIOError("Resource temporarily unavailable")
        if not self._waiting:
            raise TimeoutError("timed out")
        octets, self._waiting = self._waiting[: max(size, 1)], self._waiting[max(size, 1) :]
        self.disturb()
        return octets

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Put what has arrived into a buffer, for `socket.makefile`."""
        octets = self.recv(nbytes or len(buffer), flags)
        buffer[: len(octets)] = octets
        return len(octets)


def _close(self: smtplib.SMTP, *exc_info: object) -> None:
    self.close()


def connected(kind: type[Client], *wires: Wire) -> Client:
    """Return a client of this class over a wire, and over the next one whenever it connects again.

    Its ``with`` block ends without a QUIT, so that nothing but the test's own commands is sent.
    """
    left = iter(wires)

    def connect(self: object, host: str, port: int, timeout: float) -> Wire:
        return next(left)

    client: Client = type(kind.__name__, (kind,), {"_get_socket": connect, "__exit__": _close})(
        "server.example", 587, "client.example"
    )
    return client
