"""Who is at the other end of a connection: which server, and whether that was verified.

The standard library's default contexts verify nothing, so that nearly every old script has a connection that may end
anywhere. It is verified after the fact: a second connection to the same server is made, which verifies. The two ends
of a TLS connection have proved that they hold the key of the certificate they show, so if both connections were shown
the same certificate, the first one is as good as the second. If not (many providers have more than one machine), the
second takes the place of the first.
"""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import poplib
import smtplib
import ssl
import time
from typing import Any

from ..errors import InsecureConnectionError
from ..imap import IMAP4, IMAP4_SSL
from ..pop import POP3, POP3_SSL
from ..smtp import SMTP, SMTP_SSL

__all__ = ["address_of", "verify"]

_TIMEOUT = 30.0

# Seconds for which a certificate that was verified need not be verified again.
_GOOD_FOR = 3600.0
_MOST = 100

#: Until when (on the monotonic clock) a certificate is good, by server, authorities and digest.
_seen: dict[tuple[str, int, str | None, bytes], float] = {}


def address_of(client: Any, protocol: str) -> tuple[str, int]:
    """Return the host and port that a client of the standard library was told to connect to.

    The host is in lower case; empty where nothing tells it, as for smtplib after ``SMTP()`` and ``connect()``.
    """
    sock = getattr(client, "sock", None)
    named = sock.server_hostname if isinstance(sock, ssl.SSLSocket) else None
    # smtplib keeps "host:587" where the constructor was given that.
    host = str(named or getattr(client, "_host" if protocol == "smtp" else "host", None) or "")
    front, colon, digits = host.rpartition(":")
    if colon and digits.isdigit() and ":" not in front:
        host = front
    return host.lower().rstrip("."), _port(client)


def _port(client: Any) -> int:
    # smtplib keeps it nowhere, and the others keep it as they were given it, which may be the name of a service.
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        return int(client.port)
    with contextlib.suppress(AttributeError, TypeError, OSError, LookupError):
        return int(client.sock.getpeername()[1])
    return 0


def verify(client: Any, protocol: str, host: str, port: int, ca_file: str | None) -> None:
    """Make sure that a TLS connection ends at *host*; where it was verified from the start, nothing is done.

    Args:
        client: of the standard library, not logged in.
        protocol: ``"smtp"``, ``"imap"`` or ``"pop"``.
        host: whose certificate it has to be.
        port: where the second connection goes.
        ca_file: the authorities that count, in place of the system's; or None.

    Raises:
        InsecureConnectionError: it cannot be verified; nothing of a login was sent.
    """
    sock: ssl.SSLSocket = client.sock
    if sock.context.verify_mode == ssl.CERT_REQUIRED and sock.context.check_hostname:
        return
    certificate = sock.getpeercert(True)
    place = (host, port, ca_file, hashlib.sha256(certificate or b"").digest())
    if certificate and _seen.get(place, 0) > time.monotonic():
        return
    twin = _twin(client, protocol, host, port, ca_file)
    if certificate and twin.sock.getpeercert(True) == certificate:
        if len(_seen) >= _MOST:
            _seen.clear()
        _seen[place] = time.monotonic() + _GOOD_FOR
        _leave(twin)
    else:
        _take_place(client, twin, protocol)


def _twin(client: Any, protocol: str, host: str, port: int, ca_file: str | None) -> Any:
    """Return another client that is connected to the same server, and has verified it."""
    try:
        return _connected(client, protocol, host, port, ssl.create_default_context(cafile=ca_file))
    except ssl.SSLCertVerificationError as error:
        raise InsecureConnectionError(
            f"the certificate of {host or 'the server'} cannot be verified ({error.verify_message}), so no token was "
            "sent: if the server is yours, name the file with its authority's certificate in the environment variable "
            "SSL_CERT_FILE"
        ) from error
    except (OSError, ValueError, imaplib.IMAP4.error, poplib.error_proto) as error:
        raise InsecureConnectionError(
            f"the script does not verify the certificate of {host or 'the server'}, and the second connection that was "
            f"to do so failed ({error}), so no token was sent"
        ) from error


def _connected(client: Any, protocol: str, host: str, port: int, context: ssl.SSLContext) -> Any:
    timeout = client.sock.gettimeout() or _TIMEOUT
    if protocol == "smtp":
        # Without a name for EHLO the domain name server is asked for one, which can take long.
        named = {"local_hostname": client.local_hostname, "source_address": client.source_address}
        if isinstance(client, smtplib.SMTP_SSL) or port == smtplib.SMTP_SSL_PORT:
            return SMTP_SSL(host, port, timeout=timeout, context=context, **named)
        upgraded: Any = SMTP(host, port, timeout=timeout, **named)
    elif protocol == "imap":
        if not client._tls_established:
            return IMAP4_SSL(host, port, timeout=timeout, ssl_context=context)
        upgraded = IMAP4(host, port, timeout=timeout)
    else:
        if not client._tls_established:
            return POP3_SSL(host, port, timeout=timeout, context=context)
        upgraded = POP3(host, port, timeout=timeout)
    try:
        if protocol == "smtp":
            upgraded.starttls(context=context)
        elif protocol == "imap":
            upgraded.starttls(ssl_context=context)
        else:
            upgraded.stls(context=context)
    except BaseException:
        upgraded._oauth_drop()
        raise
    return upgraded


def _leave(twin: Any) -> None:
    with contextlib.suppress(OSError, imaplib.IMAP4.error, poplib.error_proto):
        twin.logout() if isinstance(twin, IMAP4) else twin.quit()
    twin._oauth_drop()


def _take_place(client: Any, twin: Any, protocol: str) -> None:
    """Have the client go on over its twin's connection."""
    twin.sock.settimeout(client.sock.gettimeout())
    with contextlib.suppress(OSError):
        client.shutdown() if protocol == "imap" else client.close()
    # The last two are imaplib's from Python 3.14 on, where a property stands for the file.
    for name in ("sock", "file", "welcome", "_file", "_readbuf"):
        if name in vars(twin):
            setattr(client, name, vars(twin)[name])
    if protocol == "imap":
        client.state, client.capabilities = twin.state, twin.capabilities
    elif protocol == "smtp":
        # What the other connection's server offered counts for nothing here.
        client.ehlo_resp = client.helo_resp = None
