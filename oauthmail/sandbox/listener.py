"""A server for protocols of lines: listens on a free port and gives each connection a thread."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import ClassVar

from .lines import Connection
from .mailbox import Mailboxes
from .personality import Personality
from .state import State

__all__ = ["LineServer"]


class LineServer:
    """Listens on a free port of 127.0.0.1; use it in a ``with`` block.

    Args:
        state: the sandbox's memory.
        mailboxes: the messages.
        personality: whom to resemble.
        context: the server's certificate.
        implicit_tls: TLS from the first octet; otherwise by a command.
        discovery: the address that OAUTHBEARER's refusal names.

    Attributes:
        port: set while it runs.
        closing: set when it no longer does.
    """

    service: ClassVar[str]
    connection: ClassVar[type[Connection]]

    def __init__(
        self,
        state: State,
        mailboxes: Mailboxes,
        personality: Personality,
        context: ssl.SSLContext,
        *,
        implicit_tls: bool,
        discovery: str = "",
    ) -> None:
        self.state = state
        self.mailboxes = mailboxes
        self.personality = personality
        self.context = context
        self.implicit_tls = implicit_tls
        self.discovery = discovery
        self.port = 0
        self.closing = threading.Event()
        self._open: list[tuple[threading.Thread, Connection]] = []

    def __enter__(self) -> LineServer:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=f"{self.service}-{self.port}", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and wait until every thread is gone."""
        self.closing.set()
        # Closing a listener wakes accept() on some systems only; a caller does on all.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._acceptor.join()
        self._listener.close()
        for thread, connection in self._open:
            connection.stop()
            thread.join()
        self._open.clear()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                # No descriptor is left, or the caller hung up before it was heard.
                if self.closing.wait(0.05):
                    return
                continue
            if self.closing.is_set():
                sock.close()
                return
            self._open = [(thread, connection) for thread, connection in self._open if thread.is_alive()]
            connection = self.connection(self, sock)
            thread = threading.Thread(target=connection.run, name=f"{self.service}-{connection.number}", daemon=True)
            self._open.append((thread, connection))
            thread.start()
