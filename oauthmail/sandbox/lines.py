"""One connection of a protocol of lines, in its thread: TLS, faults, the record and the SASL exchange."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import selectors
import socket
import ssl
from typing import TYPE_CHECKING

from .mechanisms import Decision, decide
from .state import fingerprint

if TYPE_CHECKING:
    from .listener import LineServer

__all__ = ["Connection", "HangupError", "LineTooLongError", "masked", "shown"]

_HANDSHAKE_TIMEOUT = 10.0
# RFC 3501 section 5.4: no automatic logout within 30 minutes; POP3's 10 are less.
_TIMEOUT = 1800.0
_CHUNK = 1 << 16
_MAX_SKIPPED = 1 << 26
# Linux only.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class HangupError(Exception):
    """The connection ends here: the peer is gone, the server closes, or a fault wants it."""


class LineTooLongError(Exception):
    """A line is longer than it may be; the personality decides whether that is said before the connection closes."""


def shown(payload: bytes) -> str:
    """Return what stands for a SASL message in the record.

    Args:
        payload: the message in base64, as it came.

    Returns:
        The fingerprint of the token, or of the whole where no token can be seen; what a client says without giving
        anything away (nothing, ``*``, ``=`` and RFC 7628's ``AQ==``) as it is.
    """
    text = payload.decode("ascii", "replace")
    if text in ("", "*", "=", "AQ=="):
        return text
    try:
        found = re.search(rb"auth=Bearer ([^\x01]+)", base64.b64decode(payload), re.IGNORECASE)
    except binascii.Error:
        found = None
    return f"<fingerprint {fingerprint(found[1].decode('utf-8', 'replace') if found else text)}>"


def masked(text: str) -> str:
    """Return a line that is no known command, with fingerprints for what may be a lost SASL message or a token."""
    return re.sub(r"[\w+/.~-]{20,}=*", lambda found: shown(found[0].encode()), text)


class Connection:
    """The server's end of one connection, in a thread of its own.

    Attributes:
        server: where it belongs.
        number: which connection it is, as the record counts them.
        tls: whether TLS is on.
    """

    def __init__(self, server: LineServer, sock: socket.socket) -> None:
        self.server = server
        self.state = server.state
        self.personality = server.personality
        self.number = server.state.new_connection()
        self.tls = False
        self._sock = sock
        self._input = bytearray()
        self._output = bytearray()

    def serve(self) -> None:
        """Hold the conversation, from the greeting on."""
        raise NotImplementedError

    def run(self) -> None:
        """Run the connection to its end."""
        try:
            # A small answer must not wait for the acknowledgement of the one before.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock.settimeout(_TIMEOUT)
            if self.server.implicit_tls:
                self.start_tls()
            self.serve()
        except LineTooLongError:
            self._refuse_line()
        except (HangupError, OSError):
            # Nobody is left to be told.
            pass
        finally:
            self._close()

    def _refuse_line(self) -> None:
        reply = self.personality.too_long[self.server.service]
        with contextlib.suppress(HangupError, OSError):
            if reply is not None:
                self.answer(f"{reply}\r\n".encode())

    def stop(self) -> None:
        """Wake the thread, from another one; it finds the connection closed."""
        with contextlib.suppress(OSError):
            # Not SSLSocket's own method: that takes TLS away under the thread that is using it.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _close(self) -> None:
        if isinstance(self._sock, ssl.SSLSocket):
            # Says close_notify, which GnuTLS's clients miss, and does not wait for the peer's.
            with contextlib.suppress(OSError, ValueError):
                self._sock.settimeout(0)
                self._sock.unwrap()
        self._sock.close()

    # --- lines ----------------------------------------------------------------------------------------------------

    def start_tls(self) -> None:
        """Hold the TLS handshake, without what came in the clear before it (RFC 3501 section 11.1)."""
        self._input.clear()
        self._sock.settimeout(_HANDSHAKE_TIMEOUT)
        self._sock = self.server.context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        # stop() may have come upon the socket that wrap_socket() left empty.
        if self.server.closing.is_set():
            raise HangupError
        self._sock.do_handshake()
        self._sock.settimeout(_TIMEOUT)
        self.tls = True

    def _fill(self) -> None:
        octets = self._sock.recv(_CHUNK)
        if not octets:
            raise HangupError
        self._input += octets
        if _QUICKACK is not None and not octets.endswith(b"\n"):
            # A client that writes a line in two pieces, as imaplib does, holds the second back until the first is
            # acknowledged, which the system would put off for 40 ms.
            self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def read_line(self, limit: int) -> bytes:
        """Return the next line with its end.

        Args:
            limit: octets it may have, including the end.

        Raises:
            LineTooLongError: it has more.
        """
        scanned = 0
        while not (end := self._input.find(b"\n", scanned) + 1):
            if len(self._input) > limit:
                self._skip_line(limit)
            scanned = len(self._input)
            self._fill()
        if end > limit:
            self._skip_line(limit)
        line = bytes(self._input[:end])
        del self._input[:end]
        return line

    def _skip_line(self, limit: int) -> None:
        self.record(f"[a line of more than {limit} octets]")
        if self.personality.too_long[self.server.service] is not None:
            # Octets that nobody has read would turn the close into a reset, which destroys the reply.
            for _ in range(_MAX_SKIPPED // _CHUNK):
                if b"\n" in self._input:
                    break
                self._input.clear()
                self._fill()
        raise LineTooLongError

    def read_command_line(self) -> bytes:
        """Return the next command line with its end; the fault ``line_length`` and the personality limit it."""
        limit = self.personality.command_limits[self.server.service]
        fault = self._line_length()
        try:
            return self.read_line(limit if fault is None else min(limit, fault))
        except LineTooLongError:
            if fault is not None:
                self.state.take_fault("line_length", self.server.service)
            raise

    def _line_length(self) -> int | None:
        # The fault is only looked at here: it happens when a line is too long, not when one is read.
        with self.state.lock:
            for fault in self.state.faults:
                if fault.kind == "line_length" and fault.service in (None, self.server.service):
                    return int(fault.number)
        return None

    def read_octets(self, count: int) -> bytes:
        """Return the next *count* octets."""
        while len(self._input) < count:
            self._fill()
        octets = bytes(self._input[:count])
        del self._input[:count]
        return octets

    def wait(self, wake: socket.socket) -> bool:
        """Wait until a line has come, which gives True, or *wake* can be read."""
        self._sock.settimeout(0)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(wake, selectors.EVENT_READ)
                while b"\n" not in self._input and len(self._input) < _CHUNK:
                    # TLS may hold octets that select() does not see, and select() see some that hold no data.
                    try:
                        self._fill()
                    except (BlockingIOError, ssl.SSLWantReadError):
                        ready = selector.select(_TIMEOUT)
                        if not ready:
                            raise HangupError from None
                        if any(key.fileobj is wake for key, _ in ready):
                            return False
            return True
        finally:
            self._sock.settimeout(_TIMEOUT)

    def write(self, octets: bytes) -> None:
        """Add to the answer."""
        self._output += octets

    def send(self) -> None:
        """Send what was written."""
        octets = bytes(self._output)
        self._output.clear()
        if octets:
            self._sock.sendall(octets)

    def answer(self, octets: bytes = b"") -> None:
        """Send what was written and *octets*, unless a fault comes in between."""
        self.write(octets)
        service = self.server.service
        if self.state.take_fault("drop", service):
            raise HangupError
        slow = self.state.take_fault("slow", service)
        if slow and self.server.closing.wait(slow.number):
            raise HangupError
        self.send()

    def record(self, text: str) -> None:
        """Keep a line that was received, without secrets."""
        self.state.record(self.server.service, self.number, text)

    # --- SASL -----------------------------------------------------------------------------------------------------

    def converse(self, mechanism: str, initial: bytes | None) -> Decision:
        """Hold the exchange of one login, up to the final reply, which the caller sends.

        IMAP and POP3 write it alike (RFC 3501 section 6.2.2, RFC 5034 section 4)::

            S: +
            C: <base64>
            S: + <base64 of the challenge>       only before a refusal
            C: <acknowledgement>

        Args:
            mechanism: in upper case; one that is offered.
            initial: the initial response in base64, or None.

        Returns:
            What to say now; the reason may also be ``cancelled`` or ``base64``.
        """
        if initial is None:
            self.answer(b"+ \r\n")
            payload = self._response()
            if payload == b"*":
                return Decision(None, "cancelled")
        else:
            # "=" is the initial response that holds nothing (RFC 4959 section 3, RFC 5034 section 4).
            payload = b"" if initial == b"=" else initial
        try:
            message = base64.b64decode(payload, validate=True)
        except binascii.Error:
            return Decision(None, "base64")
        decision = decide(self.state, self.server.service, mechanism, message, self.server.discovery)
        challenge = self.personality.challenge(mechanism, decision)
        if challenge is not None:
            self.answer(b"+ " + base64.b64encode(challenge) + b"\r\n")
            # Servers take any answer but "*" alike: the login has failed already.
            if self._response() == b"*":
                return Decision(None, "cancelled")
        return decision

    def _response(self) -> bytes:
        line = self.read_line(self.personality.response_limits[self.server.service]).rstrip(b"\r\n")
        self.record(shown(line))
        return line
