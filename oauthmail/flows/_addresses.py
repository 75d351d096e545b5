"""The addresses of this machine that a redirect may lead to (RFC 8252 section 7.3), and sockets that listen there."""

from __future__ import annotations

import errno
import socket
import urllib.parse

from ..errors import FlowError

__all__ = ["host_of", "is_loopback", "listen", "with_port"]

# Connections that wait to be accepted; a browser does not open as many.
_BACKLOG = 128


def is_loopback(redirect_uri: str) -> bool:
    """Tell whether a redirect URI is one that this machine can listen at."""
    try:
        parts = urllib.parse.urlsplit(redirect_uri)
        parts.port  # noqa: B018  # raises what the next line is for
    except ValueError:
        return False
    return (
        parts.scheme == "http" and host_of(parts.netloc) in ("127.0.0.1", "localhost", "[::1]") and not parts.fragment
    )


def with_port(redirect_uri: str, port: int) -> str:
    """Return a loopback redirect URI with *port*, unless it has one already: that one is registered."""
    parts = urllib.parse.urlsplit(redirect_uri)
    return redirect_uri if parts.port else parts._replace(netloc=f"{host_of(parts.netloc)}:{port}").geturl()


def host_of(netloc: str) -> str:
    """Return the host as it is written in an address; one with a user name is no host that we know."""
    host, colon, port = netloc.rpartition(":")
    return (host if colon and not port.endswith("]") else netloc).lower()


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on *port*, or a free one for 0; for ``localhost`` on both loopback addresses, as browsers try either.

    Were the other one left to somebody else, the code would go there.
    """
    try:
        if host == "[::1]":
            return [_server("::1", port)]
        for _ in range(20):
            first = _server("127.0.0.1", port)
            if host != "localhost":
                return [first]
            try:
                return [first, _server("::1", first.getsockname()[1])]
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    # There is no IPv6 on this machine.
                    return [first]
                first.close()
        raise OSError(errno.EADDRINUSE, "no port is free for both 127.0.0.1 and ::1")
    except OSError as error:
        raise FlowError(
            "port_unavailable",
            f"cannot listen on port {port or 'any'} of {host}: {error.strerror or type(error).__name__}",
            hint="End the program that uses the port, or paste the address that the browser ends at",
            temporary=True,
        ) from error


def _server(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    server.setblocking(False)
    return server
