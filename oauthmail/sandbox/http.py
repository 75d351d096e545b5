"""HTTP on loopback: the ports that the web server listens on, and requests from octets to `Call` and back."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .call import LARGEST_BODY, Call
from .pages import Answer

__all__ = ["Listener"]

_HOST = "127.0.0.1"

# Seconds that a client may be silent, between requests as within one.
_PATIENCE = 20

_SESSION = re.compile(r"[A-Za-z0-9_-]{16,64}")


class Listener(ThreadingHTTPServer):
    """One port, and the threads of its connections.

    Args:
        answer: called with each request, in the thread of its connection.
        tls: the server's certificate; None for plain HTTP.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Call], Answer], tls: ssl.SSLContext | None) -> None:
        self.answer = answer
        self._tls = tls
        self._guard = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        super().__init__((_HOST, 0), _Handler)
        self._loop = threading.Thread(
            target=self.serve_forever, args=(0.05,), name="oauthmail-sandbox-web", daemon=True
        )

    @property
    def issuer(self) -> str:
        """The base URL."""
        return f"{'https' if self._tls else 'http'}://{_HOST}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without `HTTPServer`'s look-up of the host's name, which can wait for a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    def start(self) -> None:
        """Accept connections from now on."""
        self._loop.start()

    def close(self) -> None:
        """Stop accepting, cut what is open and wait for the threads: the base class lets daemons run on."""
        self.shutdown()
        self._loop.join()
        self.server_close()
        with self._guard:
            connections = dict(self._open)
        for connection in connections.values():
            # It may have ended by itself. The plain socket's method: SSLSocket's takes state from the thread's hands.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in connections:
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that `close` knows of."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="oauthmail-sandbox-web",
            daemon=True,
        )
        with self._guard:
            self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                del self._open[threading.current_thread()]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands here and not before `accept`, so that a slow client keeps nobody waiting."""
        request.settimeout(_PATIENCE)
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        with self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as secured:
            with self._guard:
                self._open[threading.current_thread()] = secured
            secured.do_handshake()
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke; report what is our own mistake."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Brings HTTP to `Listener.answer` and back."""

    server: Listener
    protocol_version = "HTTP/1.1"
    server_version = "oauthmail-sandbox"
    sys_version = ""
    timeout = _PATIENCE
    # Nagle's algorithm would hold a second small write for 40 ms; with a buffer there is one write anyway.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer without a body."""
        self._serve("")

    def do_POST(self) -> None:
        """Read a body of bounded size, then answer."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,9}", length):
            self._refuse(411)
        elif int(length) > LARGEST_BODY:
            self._refuse(413)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):
                self._serve(body.decode("utf-8", "replace"))
            else:
                self.close_connection = True

    def _serve(self, body: str) -> None:
        port = self.server.server_port
        host = self.headers.get("Host", f"{_HOST}:{port}")
        # A page elsewhere may have its own name point here (DNS rebinding): answer to loopback's names only.
        if host.lower() not in {f"{name}:{port}" for name in (_HOST, "localhost", "[::1]")}:
            self._refuse(421)
            return
        path, _, query = self.path.partition("?")
        if max(query.count("&"), body.count("&")) > 100:
            self._refuse(400)
            return
        issuer = self.server.issuer
        call = Call(
            method=self.command,
            issuer=issuer,
            base=f"{issuer.partition('://')[0]}://{host}",
            path=path,
            query=query,
            body=body,
            headers=dict(self.headers.items()),
            cookie=self._cookie(),
        )
        self._send(self.server.answer(call))

    def _cookie(self) -> tuple[str, str]:
        """Return the session cookie's name and value. Cookies know no ports, so the name has it."""
        name = f"oauthmail_sandbox_{self.server.server_port}"
        for pair in self.headers.get("Cookie", "").split(";"):
            given, _, value = pair.strip().partition("=")
            if given == name and _SESSION.fullmatch(value):
                return name, value
        return name, ""

    def _refuse(self, status: int) -> None:
        """Answer without having read everything, hence as the connection's last."""
        self.close_connection = True
        self._send(Answer(status, {"Connection": "close"}, ""))

    def _send(self, answer: Answer) -> None:
        content = answer.body.encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a request line can carry a code."""
