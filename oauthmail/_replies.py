"""Reads SMTP replies in blocks: however many have arrived, they cost one read of the socket.

It stands where smtplib keeps its file, so that every other method of a client goes on reading through it.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from typing import Any

__all__ = ["Replies", "replies_of"]

_BLOCK = 1 << 16
# Octets of one line of a reply, as in smtplib.
_LONGEST_LINE = 8192
_CODES = {b"%d" % code: code for code in range(200, 600)}
# Octets of one reply, all its lines taken together; smtplib bounds a line only.
_LONGEST_REPLY = 1 << 20


class Replies:
    """The server's side of a connection, as smtplib's file (``readline``, ``close``) and as replies."""

    def __init__(self, sock: socket.socket, file: io.BufferedReader | None) -> None:
        """Take over from *file*, with what it has read already."""
        self._sock = sock
        # What is sent while replies are outstanding must not wait for them; a socket that is not TCP's does not.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # As long as it is open, so is the connection below it.
        self._file = file
        self._buffer = b"" if file is None else _buffered(sock, file)
        self._at = 0

    def close(self) -> None:
        """Give up the connection, as far as reading goes."""
        if self._file is not None:
            self._file.close()

    # --- as a file ------------------------------------------------------------------------------------------------

    def readline(self, size: int) -> bytes:
        """Return the next line, *size* octets of it at most; what is there of it when the connection ends."""
        while True:
            end = self._buffer.find(b"\n", self._at, self._at + size) + 1
            if end or len(self._buffer) - self._at >= size or not self._fill():
                return self._next(end or self._at + size)

    def read(self, size: int) -> bytes:
        """Return *size* octets, fewer only when the connection ends."""
        while len(self._buffer) - self._at < size and self._fill():
            pass
        return self._next(self._at + size)

    def peek(self, size: int = 0) -> bytes:
        """Return what can be had with at most one read of the socket, and leave it where it is."""
        if self._at == len(self._buffer):
            self._fill()
        return self._buffer[self._at :]

    def _next(self, end: int) -> bytes:
        start, self._at = self._at, min(end, len(self._buffer))
        return self._buffer[start : self._at]

    def _fill(self) -> bool:
        octets = self._sock.recv(_BLOCK)
        self._buffer = self._buffer[self._at :] + octets
        self._at = 0
        return bool(octets)

    # --- as replies -----------------------------------------------------------------------------------------------

    def reply(self) -> tuple[int, bytes]:
        """Return the next reply as `smtplib.SMTP.getreply` does; ``-1`` for a line that has no code.

        Raises:
            smtplib.SMTPServerDisconnected: the connection ended or broke before the end of the reply.
            smtplib.SMTPResponseException: the reply is longer than any is.
        """
        while (found := self.arrived()) is None:
            try:
                more = self._fill()
            except OSError as error:
                raise smtplib.SMTPServerDisconnected(f"Connection unexpectedly closed: {error}") from error
            if not more:
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        return found

    def arrived(self) -> tuple[int, bytes] | None:
        """Return the next reply if all of it has been read already."""
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\n", at) + 1
        code = _CODES.get(buffer[at : at + 3])
        if code is not None and buffer[at + 3 : at + 4] != b"-" and at < end <= at + _LONGEST_LINE:
            # One line, as nearly all are.
            self._at = end
            return code, buffer[at + 4 : end].strip(b" \t\r\n")
        return self._arrived_in_lines()

    def _arrived_in_lines(self) -> tuple[int, bytes] | None:
        texts = []
        at = self._at
        while end := self._buffer.find(b"\n", at) + 1:
            line = self._buffer[at:end]
            if len(line) > _LONGEST_LINE:
                break
            at = end
            texts.append(line[4:].strip(b" \t\r\n"))
            more = line[3:4] == b"-"
            try:
                code = int(line[:3])
            except ValueError:
                code, more = -1, False
            if not more:
                self._at = at
                return code, b"\n".join(texts)
        if len(self._buffer) - at > _LONGEST_LINE or at - self._at > _LONGEST_REPLY:
            raise smtplib.SMTPResponseException(500, "Line too long.")
        return None

    def look(self) -> None:
        """Read what has arrived, without waiting for more.

        Raises:
            smtplib.SMTPServerDisconnected: the connection ended or broke.
        """
        try:
            if not self._look():
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        except OSError as error:
            if isinstance(error, smtplib.SMTPException):
                raise
            raise smtplib.SMTPServerDisconnected(f"Connection unexpectedly closed: {error}") from error

    def _look(self) -> bool:
        timeout = self._sock.gettimeout()
        self._sock.settimeout(0)
        try:
            return self._fill()
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        finally:
            self._sock.settimeout(timeout)


def _buffered(sock: socket.socket, file: io.BufferedReader) -> bytes:
    """Return what *file* has read of the socket and not given to anybody."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        # It reads from the socket only where it has nothing.
        return file.read(len(file.peek(1)))
    except (BlockingIOError, ssl.SSLWantReadError):
        return b""
    finally:
        sock.settimeout(timeout)


def replies_of(client: Any) -> Replies:
    """Return what reads the replies to *client*, which has it in the place of smtplib's file from now on."""
    replies = client.file
    if type(replies) is not Replies:
        sock = client._oauth_ready()
        replies = client.file = Replies(sock, client.file)
    return replies
