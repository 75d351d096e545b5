"""What a server's certificate says of itself (RFC 5280 section 4.1), whether anybody trusts it or not.

The standard library tells only of certificates that it has verified, and a doctor has to talk of the others. Only
names and dates are read; nothing here decides whether a certificate is good.
"""

from __future__ import annotations

import calendar
import contextlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .._redact import printable

__all__ = ["Certificate", "parse"]

_CONTEXT_0 = 0xA0
_EXTENSIONS = 0xA3
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_COMMON_NAME, _ORGANISATION = b"\x55\x04\x03", b"\x55\x04\x0a"
_ALTERNATIVE_NAMES = b"\x55\x1d\x11"

# Strings of a name (X.520), and how their octets are to be read; TeletexString is Latin-1 in practice.
_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


@dataclass(frozen=True)
class Certificate:
    """A certificate's own words.

    Attributes:
        names: hosts that it is for, as DNS names and IP addresses.
        issuer: who has signed it, for people: organisation and common name.
        begins: when it becomes valid, in seconds since the epoch.
        ends: when it ceases to be.
    """

    names: tuple[str, ...]
    issuer: str
    begins: float
    ends: float


def parse(octets: bytes) -> Certificate:
    """Read a certificate in DER, as `ssl.SSLSocket.getpeercert` returns it.

    Raises:
        ValueError: it is none.
    """
    try:
        return _parse(octets)
    except (IndexError, UnicodeError) as error:
        raise ValueError("not a certificate") from error


def _parse(octets: bytes) -> Certificate:
    parts = list(_elements(_first(_first(octets))))
    if parts[0][0] == _CONTEXT_0:
        # The version, which the oldest form leaves out.
        del parts[0]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, and what may follow.
    issuer, validity, subject = parts[2][1], parts[3][1], parts[4][1]
    begins, ends = (_time(tag, value) for tag, value in list(_elements(validity))[:2])
    common = _name(subject).get(_COMMON_NAME)
    names = [name for tag, value in parts[6:] if tag == _EXTENSIONS for name in _alternative_names(value)]
    signed_by = _name(issuer)
    told = dict.fromkeys(filter(None, (signed_by.get(_ORGANISATION), signed_by.get(_COMMON_NAME))))
    return Certificate(
        tuple(names) or ((common,) if common else ()),
        ", ".join(told) or "nobody by name",
        begins,
        ends,
    )


def _elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of what stands side by side (X.690 section 8.1)."""
    position = 0
    while position < len(octets):
        tag, length = octets[position], octets[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(octets[position : position + count], "big")
            position += count
        if position + length > len(octets):
            raise ValueError("not a certificate")
        yield tag, octets[position : position + length]
        position += length


def _first(octets: bytes) -> bytes:
    """Return the content of the first element."""
    for _, content in _elements(octets):
        return content
    raise ValueError("not a certificate")


def _name(octets: bytes) -> dict[bytes, str]:
    """Return the first value of each attribute of a distinguished name, by object identifier."""
    found: dict[bytes, str] = {}
    for _, relative in _elements(octets):
        for _, attribute in _elements(relative):
            (_, kind), (tag, value) = list(_elements(attribute))[:2]
            found.setdefault(kind, printable(value.decode(_STRINGS.get(tag, "latin-1"), "replace"), 100))
    return found


def _alternative_names(octets: bytes) -> Iterator[str]:
    """Yield the host names of the extension subjectAltName (RFC 5280 section 4.2.1.6)."""
    for _, extension in _elements(_first(octets)):
        (_, kind), *_, (_, value) = _elements(extension)
        if kind == _ALTERNATIVE_NAMES:
            for tag, name in _elements(_first(value)):
                if tag == _DNS_NAME:
                    yield printable(name.decode("ascii", "replace"), 253)
                elif tag == _IP_ADDRESS:
                    with contextlib.suppress(ValueError):
                        yield str(ipaddress.ip_address(name))


def _time(tag: int, value: bytes) -> float:
    """Return a time in seconds since the epoch; a certificate's are in UTC, with seconds (section 4.1.2.5)."""
    digits = value.decode("ascii")
    if tag == _UTC_TIME:
        # Section 4.1.2.5.1: the century is that of 1950 to 2049.
        digits = ("20" if digits[:2] < "50" else "19") + digits
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", digits, re.ASCII)
    if tag not in (_UTC_TIME, _GENERALIZED_TIME) or found is None:
        raise ValueError("not a certificate")
    return calendar.timegm(tuple(map(int, found.groups())))
