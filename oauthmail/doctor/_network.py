"""The way to a server: its name, the connection, TLS; and why it is barred."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from .._redact import printable
from ..providers import Server
from ._certificate import Certificate, parse
from ._problems import TroubleError, trouble

__all__ = ["Address", "connected", "days", "described", "looked_up", "tls_trouble", "unverified"]

#: What `socket.getaddrinfo` returns of an address: family and socket address.
Address = tuple[int, Any]

_UNKNOWN_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

# OpenSSL's verification results (x509_vfy.h).
_EARLY, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_UNKNOWN_ISSUER = (2, 19, 20, 21)
_OTHER_NAME = (62, 64)
# What ssl.VERIFY_X509_STRICT adds, which Python 3.13 has on by default.
_STRICT = range(80, 94)

# Reasons of OpenSSL's that tell of a server without TLS, and of one without a version or cipher in common.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER")
_NO_VERSION = ("PROTOCOL", "HANDSHAKE_FAILURE", "CIPHER", "VERSION", "TOO_SMALL", "TOO_WEAK", "LEGACY")


def days(seconds: float) -> str:
    """Return a duration in words, in the largest unit that it has at least two of."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"


def looked_up(server: Server) -> list[Address]:
    """Return the server's addresses, in the order in which they are to be tried.

    Raises:
        TroubleError: there are none, or nobody knows.
    """
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        # Two dots in a row, or a label of more than 63 characters.
        raise trouble("no_such_host", host=server.host) from None
    except socket.gaierror as error:
        if error.errno in _UNKNOWN_NAME:
            raise trouble("no_such_host", host=server.host) from error
        raise trouble("no_name_server", host=server.host, what=error.strerror) from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def connected(
    server: Server, addresses: Sequence[Address], *, timeout: float, values: Mapping[str, object]
) -> tuple[socket.socket, str]:
    """Return a connection to the first address that answers, and what there is to say of it.

    Args:
        server: for its port.
        addresses: as `looked_up` returned them.
        timeout: seconds for each of them.
        values: what the texts of problems are filled with.

    Raises:
        TroubleError: none answers.
    """
    silent: list[str] = []
    errors: list[OSError] = []
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            errors.append(error)
            silent += [address[0]] if isinstance(error, TimeoutError) else []
        else:
            waited = f" ({', '.join(silent)} did not answer, which takes its time at every login)" if silent else ""
            return sock, f"{address[0]} port {server.port}{waited}"
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        raise trouble("port_closed", **values) from errors[0]
    if silent:
        raise trouble("port_silent", **values) from errors[0]
    raise trouble("no_route", what=errors[0].strerror, **values) from errors[0]


# --- TLS ------------------------------------------------------------------------------------------------------------


def described(sock: ssl.SSLSocket) -> str:
    """Return version and certificate of a connection in words."""
    certificate = parse(sock.getpeercert(binary_form=True) or b"")
    left = days(certificate.ends - time.time())
    return f"{sock.version()}, certificate for {_names(certificate)} by {certificate.issuer}, good for {left}"


def unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate: to look at it, and to say nothing of value."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls_trouble(
    error: OSError,
    server: Server,
    context: ssl.SSLContext,
    look: Callable[[], AbstractContextManager[ssl.SSLSocket]],
    values: Mapping[str, object],
) -> TroubleError:
    """Return what a failed handshake means.

    Args:
        error: what came of it.
        server: whom it was with.
        context: what it was done with.
        look: connects once more with `unverified`, to see the certificate that was refused.
        values: what the texts of problems are filled with.
    """
    # Where in Python's source OpenSSL was called helps nobody.
    said = printable(re.sub(r" \(_ssl\.c:\d+\)", "", error.strerror or str(error)), 200)
    if isinstance(error, ssl.SSLCertVerificationError):
        if _trusts_nobody(context):
            return trouble("no_authorities")
        with contextlib.suppress(OSError, ValueError), look() as sock:
            return _certificate_trouble(error, server, parse(sock.getpeercert(binary_form=True) or b""))
        return trouble("untrusted", issuer="unknown", what=printable(error.verify_message, 200))
    reason = (getattr(error, "reason", None) or "").upper()
    if any(word in reason for word in _NOT_TLS):
        return trouble("not_tls", **values)
    if any(word in reason for word in _NO_VERSION):
        return trouble("tls_version", what=said)
    return trouble("tls_broken", what=said, **values)


def _trusts_nobody(context: ssl.SSLContext) -> bool:
    paths = ssl.get_default_verify_paths()
    return not (context.cert_store_stats()["x509_ca"] or paths.cafile or paths.capath)


def _certificate_trouble(error: ssl.SSLCertVerificationError, server: Server, certificate: Certificate) -> TroubleError:
    now, code = time.time(), error.verify_code
    if code in _OTHER_NAME:
        return trouble("other_name", names=_names(certificate), host=server.host)
    if code == _EXPIRED:
        if certificate.ends > now:
            return trouble("chain_expired", issuer=certificate.issuer)
        return trouble("certificate_expired", ago=days(now - certificate.ends), date=_date(certificate.ends))
    if code == _EARLY:
        return trouble("certificate_early", date=_date(certificate.begins))
    if code == _SELF_SIGNED:
        return trouble("self_signed", issuer=certificate.issuer)
    if code in _UNKNOWN_ISSUER:
        return trouble("unknown_authority", issuer=certificate.issuer)
    problem = "certificate_form" if code in _STRICT else "untrusted"
    return trouble(problem, issuer=certificate.issuer, what=printable(error.verify_message, 200))


def _names(certificate: Certificate) -> str:
    shown, more = certificate.names[:3], len(certificate.names) - 3
    return (", ".join(shown) or "no name at all") + (f" and {more} more" if more > 0 else "")


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
