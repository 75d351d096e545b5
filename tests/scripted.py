"""A server that says what a test wrote down, for bytes that real servers do not send.

It records every line it received; tests assert on those. A script is a function that holds one side of one
conversation; what it raises ends the test.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

import trustme

TIMEOUT = 10.0


class Line:
    """The server's end of one connection.

    Attributes:
        received: every line the client sent, without its line end.
        packets: what each ``recv`` returned, to count the packets of a client that waits for answers.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.received: list[bytes] = []
        self.packets: list[bytes] = []
        self._buffer = b""

    def send(self, octets: bytes) -> None:
        """Send *octets* as they are."""
        self.sock.sendall(octets)

    def receive(self) -> bytes:
        """Return the client's next line; an empty one at the end of the connection."""
        while b"\n" not in self._buffer:
            packet = self.sock.recv(1 << 16)
            if not packet:
                return b""
            self.packets.append(packet)
            self._buffer += packet
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.received.append(line.rstrip(b"\r"))
        return self.received[-1]

    def expect(self, line: bytes) -> None:
        """Receive one line and insist on it."""
        found = self.receive()
        assert found == line, f"expected {line!r}, received {found!r}"

    def answer(self, reply: bytes) -> bytes:
        """Receive one line, send *reply*, and return the line."""
        line = self.receive()
        self.send(reply)
        return line

    def starttls(self, context: ssl.SSLContext) -> None:
        """Hold the TLS handshake."""
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def drain(self) -> None:
        """Read to the end, so that the client's last words are recorded."""
        with contextlib.suppress(OSError):
            while self.receive() or self._buffer:
                pass


Script = Callable[[Line], None]


class ScriptedServer:
    """Accepts connections one after the other and plays a script to each.

    Attributes:
        port: on 127.0.0.1.
        lines: one `Line` for each connection, in order.
    """

    def __init__(self, scripts: tuple[Script, ...], tls: ssl.SSLContext | None) -> None:
        self.lines: list[Line] = []
        self._scripts = scripts
        self._tls = tls
        self._errors: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def received(self) -> list[bytes]:
        """Every line received, over all connections."""
        return [line for connection in self.lines for line in connection.received]

    def _run(self) -> None:
        for script in self._scripts:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            line = Line(sock)
            self.lines.append(line)
            try:
                if self._tls is not None:
                    line.starttls(self._tls)
                script(line)
            except OSError:
                # The client hung up, or refused the certificate; the test looks at the client.
                pass
            except AssertionError as error:
                self._errors.append(error)
            finally:
                line.sock.close()

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Wakes an accept() that no client came to.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the script is still waiting for the client"
        if self._errors:
            raise self._errors[0]


def scripted(*scripts: Script, tls: ssl.SSLContext | None = None) -> ScriptedServer:
    """Return a server for ``with``; *tls* wraps every connection from the start."""
    return ScriptedServer(scripts, tls)


class Certificates:
    """A throw-away authority and what it signs."""

    def __init__(self) -> None:
        self.authority = trustme.CA()

    def server(self, *names: str) -> ssl.SSLContext:
        """Return a server's context with a certificate for *names*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority and nobody else."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context
