"""What is on its way to a server, and how much of it may have got there."""

from __future__ import annotations

import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

__all__ = ["Outbox"]

# Octets that one call hands to the system. When a call fails over TLS it does not tell how far it came: one record.
_PIECE, _RECORD = 1 << 18, 1 << 14


class Outbox:
    """Octets that are queued for a connection; offsets count all that was ever queued for it.

    Attributes:
        commands: how many commands are queued.
        reached: the offset of the end of what may have reached the server.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.commands = 0
        self._end = self._sent = self.reached = 0

    def add(self, pieces: Sequence[bytes], commands: int) -> int:
        """Queue some commands, and return the offset of their end."""
        self._pieces += pieces
        self.commands += commands
        self._end += sum(map(len, pieces))
        return self._end

    def take(self) -> tuple[list[bytes], int]:
        """Return what is queued, which is not queued any more, and the number of its commands."""
        pieces, commands = self._pieces, self.commands
        self._pieces, self.commands = [], 0
        return pieces, commands

    def send(self, sock: socket.socket, octets: memoryview) -> None:
        """Send the next of what was taken.

        Raises:
            OSError: as the socket; `reached` tells how much may have gone.
        """
        tls = isinstance(sock, ssl.SSLSocket)
        size = _RECORD if tls else _PIECE
        while octets:
            # Before the call: an interruption may come between it and the next statement.
            self.reached = self._sent + min(size, len(octets))
            try:
                sent = sock.send(octets[:size])
            except OSError:
                if not tls:
                    self.reached = self._sent
                raise
            self._sent += sent
            octets = octets[sent:]
        self.reached = self._sent
