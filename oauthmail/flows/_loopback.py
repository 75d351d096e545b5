"""The end of a redirect on this machine: listens on loopback until the right answer has come (RFC 8252 section 7.3)."""

from __future__ import annotations

import concurrent.futures
import contextlib
import selectors
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from ..errors import FlowError
from ._addresses import host_of, listen, with_port
from ._redirect import Place, Refusal, page, parse

__all__ = ["Judge", "Loopback"]

Judge = Callable[[Mapping[str, str]], str | None]
"""Given a redirect's parameters: what to tell the person, or None when the answer is not ours."""

# Browsers open connections ahead of need and send nothing over them, so many must be possible; of too many the oldest
# goes, as whoever has something to say says it at once.
_MOST_CONNECTIONS = 64

# Octets that are read from a client that goes on sending after it was refused: a connection that is closed with
# something unread is reset, and then the answer is lost.
_MOST_IGNORED = 1 << 20

# A wait for a lock cannot be interrupted by Ctrl-C on Windows, so none is longer than this.
_SLICE = 0.5


@dataclass(eq=False)
class _Connection:
    """One browser's.

    Attributes:
        ends: when patience with it does; of `time.monotonic`.
        received: what it has sent so far.
        answered: whether it has its answer, so that whatever else comes is ignored.
        ignored: how much that was.
    """

    sock: socket.socket
    ends: float
    received: bytearray = field(default_factory=bytearray, repr=False)
    answered: bool = False
    ignored: int = 0


class Loopback:
    """A redirect URI that is listened at; a context manager.

    Args:
        redirect_uri: ``http://`` with ``127.0.0.1``, ``localhost`` or ``[::1]``; without a port a free one is taken.
        patience: seconds that a connection may take for its request.

    Attributes:
        redirect_uri: the same with the port.

    Raises:
        FlowError: ``port_unavailable``: the port is in use, or may not be used.
    """

    def __init__(self, redirect_uri: str, *, patience: float = 30.0) -> None:
        self._patience = patience
        parts = urllib.parse.urlsplit(redirect_uri)
        host = host_of(parts.netloc)
        self._servers = listen(host, parts.port or 0)
        port = self._servers[0].getsockname()[1]
        self.redirect_uri = with_port(redirect_uri, port)
        # Browsers leave port 80 out.
        self._place = Place(host if port == 80 else f"{host}:{port}", parts.path or "/")

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()

    def receive(self, judge: Judge, invite: Callable[[], object], timeout: float) -> dict[str, str]:
        """Return the parameters of the first redirect that is ours; the person has seen a page by then.

        A thread answers meanwhile, so that *invite* may wait for the page; it has ended when this returns or raises.

        Args:
            judge: says which answer is ours, in that thread.
            invite: called once answers can be received: it sends the person off.
            timeout: seconds in all.

        Raises:
            FlowError: ``timeout``: nobody came.
        """
        ends = time.monotonic() + timeout
        found: concurrent.futures.Future[dict[str, str]] = concurrent.futures.Future()
        waker, stop = socket.socketpair()
        with waker, stop:
            loop = _Loop(self._servers, self._place, judge, stop, found, self._patience)
            thread = threading.Thread(target=loop.run, name="oauthmail-loopback", daemon=True)
            thread.start()
            try:
                invite()
                if _wait(found, ends):
                    return found.result()
                raise _nobody(timeout, loop.strangers)
            finally:
                waker.send(b"\0")
                thread.join()


def _wait(found: concurrent.futures.Future[dict[str, str]], ends: float) -> bool:
    while True:
        left = max(0.0, ends - time.monotonic())
        if concurrent.futures.wait([found], min(left, _SLICE)).done:
            return True
        if not left:
            return False


def _nobody(timeout: float, strangers: int) -> FlowError:
    return FlowError(
        "timeout",
        f"nobody finished the sign-in within {timeout:g} seconds"
        + ("; an answer came, but to another sign-in" if strangers else ""),
        hint="Try again; where the browser runs on another machine, paste the address that it ends at",
        temporary=True,
    )


class _Loop:
    """Answers every connection, one octet or many at a time, so that none keeps another waiting.

    Attributes:
        strangers: how many answers came that were not ours.
    """

    def __init__(
        self,
        servers: list[socket.socket],
        place: Place,
        judge: Judge,
        stop: socket.socket,
        found: concurrent.futures.Future[dict[str, str]],
        patience: float,
    ) -> None:
        self.strangers = 0
        self._servers = servers
        self._place = place
        self._judge = judge
        self._stop = stop
        self._found = found
        self._patience = patience
        self._connections: list[_Connection] = []

    def run(self) -> None:
        """Answer until the redirect has come, or until there is something to read from the socket *stop*."""
        try:
            with selectors.DefaultSelector() as self._selector:
                for sock in (*self._servers, self._stop):
                    self._selector.register(sock, selectors.EVENT_READ)
                self._until_found()
        except BaseException as error:
            # The one who waits is to hear of it, unless there is good news.
            if not self._found.done():
                self._found.set_exception(error)
        finally:
            for connection in self._connections:
                connection.sock.close()

    def _until_found(self) -> None:
        while not self._found.done():
            for key, _ in self._selector.select(self._next_end()):
                if key.fileobj is self._stop:
                    return
                if key.data is None:
                    self._accept(cast(socket.socket, key.fileobj))
                elif not self._found.done():
                    self._read(key.data)

    def _next_end(self) -> float | None:
        """Drop the connections whose time is over; return the seconds until the next one's is."""
        now = time.monotonic()
        for connection in [found for found in self._connections if found.ends <= now]:
            self._drop(connection)
        return min((found.ends - now for found in self._connections), default=None)

    def _accept(self, server: socket.socket) -> None:
        try:
            sock, _ = server.accept()
        except OSError:
            # It hung up before it was heard; or no descriptor is left, and then trying at full speed gives none back.
            time.sleep(0.05)
            return
        sock.setblocking(False)
        while len(self._connections) >= _MOST_CONNECTIONS:
            self._drop(self._connections[0])
        connection = _Connection(sock, time.monotonic() + self._patience)
        self._connections.append(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _drop(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()

    def _read(self, connection: _Connection) -> None:
        if connection not in self._connections:
            # Dropped while this event was waiting its turn.
            return
        try:
            octets = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets or connection.ignored > _MOST_IGNORED:
            self._drop(connection)
        elif connection.answered:
            connection.ignored += len(octets)
        else:
            connection.received += octets
            self._answer(connection)

    def _answer(self, connection: _Connection) -> None:
        result = parse(bytes(connection.received), self._place)
        if result is None:
            return
        if isinstance(result, Refusal):
            self._send(connection, page(result.status, "There is nothing here.", result.headers))
        elif (text := self._judge(result)) is None:
            self.strangers += 1
            self._send(connection, page(400, "This does not belong to the sign-in that is under way."))
        else:
            # First, so that whoever has the page can rely on it; the one who waits waits for this thread's end, too.
            self._found.set_result(result)
            self._send(connection, page(200, text))

    def _send(self, connection: _Connection, answer: bytes) -> None:
        if connection.received.startswith(b"HEAD "):
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        # Nothing was sent over this connection yet, so a page fits into the system's buffer.
        with contextlib.suppress(OSError):
            connection.sock.send(answer)
            connection.sock.shutdown(socket.SHUT_WR)
        connection.answered, connection.received = True, bytearray()
