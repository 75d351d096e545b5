"""The sandbox's SMTP server: message submission with OAuth logins, with STARTTLS or TLS from the start."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from types import TracebackType

from .mailbox import MAX_MESSAGE, Mailboxes
from .personality import Personality
from .smtp_session import Submission
from .smtp_wire import Site
from .state import State

__all__ = ["SmtpServer"]


class SmtpServer:
    """Listens on a free port of 127.0.0.1; use it in a ``with`` block.

    Anybody with a token may send as anybody; every message ends in the INBOX of its recipients, whoever they are.
    Recipients at ``refused.test`` are refused.

    Args:
        state: the sandbox's memory.
        mailboxes: where messages go.
        personality: whom to resemble.
        context: the server's certificate.
        implicit_tls: TLS from the first octet; otherwise by STARTTLS.
        discovery: the address that OAUTHBEARER's refusal names.
        data_size_limit: octets of the longest message; not more than a mailbox takes.

    Attributes:
        port: set while it runs.
    """

    def __init__(
        self,
        state: State,
        mailboxes: Mailboxes,
        personality: Personality,
        context: ssl.SSLContext,
        *,
        implicit_tls: bool,
        discovery: str = "",
        data_size_limit: int = 1 << 25,
    ) -> None:
        self.port = 0
        data_size_limit = min(data_size_limit, MAX_MESSAGE)
        self._site = Site(state, mailboxes, personality, context, implicit_tls, discovery, data_size_limit)

    def __enter__(self) -> SmtpServer:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = listener.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._serve(listener),), name=f"smtp-{self.port}", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and wait until the thread is gone."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._site.idle.set()
        self._ready.set()
        with listener:
            await self._accept(listener)
        for connection in list(self._site.open):
            connection.abort()
        await self._site.idle.wait()

    async def _accept(self, listener: socket.socket) -> None:
        """Take callers until the end.

        asyncio's own servers trip over callers who come while they close: they leave a connection that nobody knows.
        """
        listener.setblocking(False)
        stopping = asyncio.create_task(self._stop.wait())
        while not stopping.done():
            accepting = asyncio.create_task(self._loop.sock_accept(listener))
            await asyncio.wait({accepting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not accepting.done():
                accepting.cancel()
            elif accepting.exception() is None:
                await self._loop.connect_accepted_socket(lambda: Submission(self._site), _prompt(accepting.result()[0]))
            else:
                # No descriptor is left, or the caller hung up before it was heard.
                await asyncio.wait({stopping}, timeout=0.05)


def _prompt(sock: socket.socket) -> socket.socket:
    # A small answer must not wait for the acknowledgement of the one before. asyncio sees to sockets of its own only.
    with contextlib.suppress(OSError):
        # Some systems refuse it when the caller has hung up.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
