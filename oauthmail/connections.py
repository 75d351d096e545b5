"""Clients that are connected, over TLS, logged in, and closed at the end, as context managers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from .credentials import OAuth1Credentials, TokenSource
    from .imap import IMAP4
    from .pop import POP3
    from .providers import Server
    from .smtp import SMTP

__all__ = ["imap", "pop", "smtp"]


@contextlib.contextmanager
def smtp(
    server: Server,
    identity: str,
    credentials: OAuth1Credentials | TokenSource,
    *,
    timeout: float,
    context: ssl.SSLContext,
) -> Iterator[SMTP]:
    """Yield an SMTP client.

    Args:
        server: where to connect.
        identity: the mailbox address, or the request URL of OAuth 1.0a.
        credentials: what opens the mailbox.
        timeout: seconds for each answer.
        context: for TLS.
    """
    from .smtp import SMTP, SMTP_SSL

    client: SMTP
    if server.security == "tls":
        client = SMTP_SSL(server.host, server.port, timeout=timeout, context=context)
    else:
        client = SMTP(server.host, server.port, timeout=timeout)
    try:
        if server.security == "starttls":
            client.starttls(context=context)
        client.authenticate_oauth(identity, credentials)
        yield client
    finally:
        # What the block did counts, not how the server takes leave: a message that was accepted stays accepted.
        with contextlib.suppress(OSError):
            if client.sock is not None:
                client.quit()
        client.close()


@contextlib.contextmanager
def imap(
    server: Server,
    identity: str,
    credentials: OAuth1Credentials | TokenSource,
    *,
    timeout: float,
    context: ssl.SSLContext,
) -> Iterator[IMAP4]:
    """Yield an IMAP client; the arguments are those of `smtp`."""
    from .imap import IMAP4, IMAP4_SSL

    client: IMAP4
    if server.security == "tls":
        client = IMAP4_SSL(server.host, server.port, ssl_context=context, timeout=timeout)
    else:
        client = IMAP4(server.host, server.port, timeout=timeout)
    try:
        if server.security == "starttls":
            client.starttls(ssl_context=context)
        client.authenticate_oauth(identity, credentials)
        yield client
    finally:
        with contextlib.suppress(OSError, client.abort):
            if client.state != "LOGOUT":
                client.logout()
        with contextlib.suppress(OSError):
            client.shutdown()


@contextlib.contextmanager
def pop(
    server: Server,
    identity: str,
    credentials: OAuth1Credentials | TokenSource,
    *,
    timeout: float,
    context: ssl.SSLContext,
) -> Iterator[POP3]:
    """Yield a POP3 client; the arguments are those of `smtp`.

    QUIT, which makes deletions final (RFC 1939 section 6), is sent unless the block ends in an exception.
    """
    from .pop import POP3, POP3_SSL

    client: POP3
    if server.security == "tls":
        client = POP3_SSL(server.host, server.port, timeout=timeout, context=context)
    else:
        client = POP3(server.host, server.port, timeout=timeout)
    try:
        if server.security == "starttls":
            client.stls(context=context)
        client.authenticate_oauth(identity, credentials)
        yield client
        client.quit()
    finally:
        with contextlib.suppress(OSError):
            client.close()
