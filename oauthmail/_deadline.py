"""Bounds a whole exchange with a server in time and size, not only each wait for its next octet.

A socket's timeout starts anew with every octet that arrives, so a server that drips one octet a second holds a
client for ever. Within `bounded` the reads of a client end in `TimeoutError` at a fixed moment.
"""

from __future__ import annotations

import contextlib
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    import socket
    from collections.abc import Iterator
    from typing import Any

__all__ = ["TIMEOUTS", "bounded", "unbounded"]

#: How many times the socket's timeout an exchange may last as a whole.
TIMEOUTS = 2

# Octets that a server may send within one exchange; none needs a hundredth of it.
_MOST = 4 << 20


class _Deadline:
    """Reads from a socket with whichever is nearer: the socket's own timeout or the end of the exchange."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._end = None if self._timeout is None else time.monotonic() + TIMEOUTS * self._timeout
        self._left = _MOST

    def count(self, octets: bytes) -> bytes:
        """Pass on what was read, as long as it is not too much in all."""
        self._left -= len(octets)
        if self._left < 0:
            raise OSError(f"the server sent more than {_MOST} octets, which no login needs")
        return octets

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        if self._end is None or self._timeout is None:
            yield
            return
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(min(self._timeout, left))
        try:
            yield
        finally:
            self._sock.settimeout(self._timeout)


class _Reader:
    """A buffered reader whose lines are complete before the deadline; smtplib and poplib read through one."""

    def __init__(self, reader: io.BufferedReader, deadline: _Deadline) -> None:
        self._reader = reader
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def _take(self, size: int, line: bool) -> bytes:
        # peek() makes at most one read of the socket, and none while something is buffered.
        with self._deadline.read():
            window = self._reader.peek(1)
        end = (window.find(b"\n") + 1 if line else 0) or len(window)
        return self._deadline.count(self._reader.read(min(end, size))) if window else b""

    def readline(self, size: int) -> bytes:
        taken = bytearray()
        while len(taken) < size and not taken.endswith(b"\n"):
            piece = self._take(size - len(taken), True)
            if not piece:
                # The line was cut off: half an answer is none, though smtplib and poplib take it for one.
                return b""
            taken += piece
        return bytes(taken)

    def read(self, size: int) -> bytes:
        taken = bytearray()
        while len(taken) < size and (piece := self._take(size - len(taken), False)):
            taken += piece
        return bytes(taken)


class _Socket:
    """A socket whose ``recv`` keeps the deadline; imaplib reads it without a file from Python 3.14 on."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        with self._deadline.read():
            return self._deadline.count(self._sock.recv(size))


def unbounded(sock: socket.socket) -> socket.socket:
    """Return the socket itself, where `bounded` stands in front of it."""
    return sock._sock if isinstance(sock, _Socket) else sock


@contextlib.contextmanager
def bounded(client: Any, attribute: str) -> Iterator[None]:
    """Keep the reads of *client* within `TIMEOUTS` times its socket's timeout and 4 MiB, taken together.

    Args:
        client: an object with a ``sock``; without a timeout there is no end, and nothing to bound when not connected.
        attribute: what the client reads from, ``"file"`` or ``"sock"``; it is replaced meanwhile.
    """
    original = getattr(client, attribute)
    if client.sock is None or original is None:
        yield
        return
    deadline = _Deadline(client.sock)
    guard = _Socket(original, deadline) if attribute == "sock" else _Reader(original, deadline)
    setattr(client, attribute, guard)
    try:
        yield
    finally:
        # STARTTLS and close() put something else in its place.
        if getattr(client, attribute) is guard:
            setattr(client, attribute, original)
