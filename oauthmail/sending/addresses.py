"""Mail addresses: read out of what people and headers say, and written into headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import MessageError as EmailError
from email.errors import NonASCIILocalPartDefect, ObsoleteHeaderDefect
from email.header import Header
from email.policy import SMTP
from email.utils import quote

from .errors import MessageError

__all__ = ["Address", "ascii_domain", "check_line", "parse", "parse_one", "unique", "written"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What may stand in an address between the brackets of MAIL FROM:<…>, quoted local parts with blanks aside.
_UNSAFE = re.compile(r"[\s<>]")
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~ -]*", re.ASCII)
# RFC 2047 section 2: an encoded word has at most 75 characters; what looks like one would be decoded.
_ENCODED = "=?"
_WIDTH = 76


@dataclass(frozen=True)
class Address:
    """A mailbox and the name that stands before it.

    Attributes:
        name: for people, or empty.
        address: ``local-part@domain``; an unqualified one, where these are allowed, has no ``@``.
    """

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What follows the last ``@``, or nothing."""
        return self.address.rpartition("@")[2] if "@" in self.address else ""


def check_line(what: str, text: str) -> str:
    """Return *text* if it can stand in a header.

    Raises:
        MessageError: it has line ends or other control characters, with which it would end the header and begin
            another one.
    """
    if _CONTROL.search(text):
        raise MessageError(f"{what} has a line end or another control character in it, which no header may have")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise MessageError(f"{what} is not valid text: it has half a character in it") from None
    return text


def parse(what: str, text: str, *, unqualified: bool = False) -> list[Address]:
    """Return the addresses in *text*, which is written as in a header: ``Ada <ada@example.org>, bob@example.org``.

    Args:
        what: where the text comes from, for the message of an error.
        text: on one line; empty for no address.
        unqualified: let addresses without a domain pass.

    Raises:
        MessageError: it cannot be understood, or an address has no domain.
    """
    check_line(what, text)
    if not text.strip():
        return []
    try:
        header = SMTP.header_factory("to", text)
        found, defects = header.addresses, header.defects
    # The standard library's parser ends in any of these on texts that are no addresses.
    except (EmailError, IndexError, ValueError, AttributeError, TypeError):
        raise MessageError(f"{what} is no list of addresses: {text!r}") from None
    if not found and not defects:
        # An empty group, such as "undisclosed-recipients:;".
        return []
    # Characters outside ASCII are a defect too, but a server with SMTPUTF8 takes them.
    serious = [
        defect
        for defect in defects
        # A missing domain is looked for below.
        if not (isinstance(defect, ObsoleteHeaderDefect | NonASCIILocalPartDefect) or "no domain" in str(defect))
    ]
    if serious:
        raise MessageError(f"{what} is no list of addresses: {text!r} ({serious[0]})")
    return [Address(item.display_name, _checked(what, item.addr_spec, text, unqualified=unqualified)) for item in found]


def parse_one(what: str, text: str) -> Address:
    """Return the one address in *text*.

    Raises:
        MessageError: it is none, or more than one.
    """
    found = parse(what, text)
    if len(found) != 1:
        raise MessageError(f"{what} must be one address, not {text!r}")
    return found[0]


def _checked(what: str, address: str, text: str, *, unqualified: bool) -> str:
    local, at, domain = address.rpartition("@")
    if not at and unqualified and domain and not _UNSAFE.search(domain):
        return domain
    quoted = local.startswith('"') and local.endswith('"') and len(local) > 1
    if not local or not domain or _UNSAFE.search(domain) or (not quoted and _UNSAFE.search(local)):
        raise MessageError(f"{what} is no address of the form name@domain: {text!r}")
    return address


def unique(addresses: Iterable[Address]) -> tuple[str, ...]:
    """Return each mailbox once, in order; the domain's case does not tell two of them apart."""
    result: dict[tuple[str, str], str] = {}
    for each in addresses:
        local, _, domain = each.address.rpartition("@")
        result.setdefault((local, domain.lower()), each.address)
    return tuple(result.values())


def ascii_domain(address: str) -> str:
    """Return the domain of *address* as the DNS has it; ``invalid`` (RFC 2606) where that cannot be said."""
    try:
        return address.rpartition("@")[2].encode("idna").decode("ascii").lower() or "invalid"
    except UnicodeError:
        return "invalid"


def written(name: str, value: str | Iterable[Address]) -> bytes:
    """Return a header field: its name, *value* encoded and folded, CRLF.

    The standard library's newer way (`email.policy`) loses the quotes around names when it folds a line, in Python up
    to 3.12, so that a comma in a name makes two addresses.
    """
    text = _text(value, len(name) + 2) if isinstance(value, str) else ",\r\n ".join(map(_mailbox, value))
    return f"{name}: {text}\r\n".encode()


def _mailbox(each: Address) -> str:
    if not each.name:
        return each.address
    if each.name.isascii() and _ENCODED not in each.name and len(each.name) < _WIDTH:
        name = each.name if _ATOMS.fullmatch(each.name) and each.name.strip() == each.name else f'"{quote(each.name)}"'
    else:
        name = _encoded(each.name, 0)
    return f"{name} <{each.address}>"


def _text(value: str, used: int) -> str:
    longest = max(map(len, value.split()), default=0)
    if value.isascii() and _ENCODED not in value and longest < _WIDTH - used and len(value) + used < _WIDTH:
        return value
    return _encoded(value, used)


def _encoded(value: str, used: int) -> str:
    # A name of this length stands for what is on the first line already.
    header = Header(value, "utf-8", maxlinelen=_WIDTH, header_name="x" * max(used - 2, 0) or None)
    return header.encode(linesep="\r\n")
