"""Messages that exist already, as octets: what is in the header is looked at, and changed no more than has to be.

A message that was signed (DKIM, OpenPGP, S/MIME) would lose its signature to a parser that writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .addresses import Address, parse
from .errors import MessageError

__all__ = ["RawMessage", "crlf", "read"]

_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_SECRET = ("bcc", "resent-bcc")


def crlf(octets: bytes) -> bytes:
    """Return *octets* with every line end as CRLF (RFC 5321 section 2.3.8), the last line's too."""
    lines = _LINE_END.sub(b"\r\n", octets)
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"


@dataclass(frozen=True)
class RawMessage:
    """A message, taken apart into the fields of its header and the rest.

    Attributes:
        fields: name in lower case, and the whole field as it stands, folding and CRLF included.
        body: what follows the blank line.
    """

    fields: tuple[tuple[str, bytes], ...]
    body: bytes

    def octets(self) -> bytes:
        """Return the message, every line ended by CRLF."""
        return b"".join(field for _, field in self.fields) + b"\r\n" + self.body

    def has(self, name: str) -> bool:
        """Tell whether there is a field of that name, in lower case."""
        return any(found == name for found, _ in self.fields)

    def values(self, name: str) -> list[str]:
        """Return what the fields of that name say, unfolded; octets that are not UTF-8 are replaced."""
        return [
            re.sub(r"\r\n(?=[ \t])", "", field.partition(b":")[2].decode("utf-8", "replace")).strip()
            for found, field in self.fields
            if found == name
        ]

    def addresses(self, *names: str, unqualified: bool = False) -> list[Address]:
        """Return the addresses in the fields of these names.

        Raises:
            MessageError: a field has something else in it.
        """
        return [
            each
            for name in names
            for value in self.values(name)
            for each in parse(f"the header field {name.title()}", value, unqualified=unqualified)
        ]

    def recipients(self, *, unqualified: bool = False) -> list[Address]:
        """Return whom the header names: those it was sent to again (RFC 5322 section 3.6.6), if there are any.

        Raises:
            MessageError: they cannot be understood.
        """
        resent = self.addresses("resent-to", "resent-cc", "resent-bcc", unqualified=unqualified)
        return resent or self.addresses("to", "cc", "bcc", unqualified=unqualified)

    def without_bcc(self) -> RawMessage:
        """Return the message as all recipients may see it (RFC 5322 section 3.6.3)."""
        return replace(self, fields=tuple(each for each in self.fields if each[0] not in _SECRET))

    def with_missing(self, *fields: bytes) -> RawMessage:
        """Return the message with those of *fields* whose names it lacks before its own."""
        added = tuple((_name(field), field) for field in fields if not self.has(_name(field)))
        return replace(self, fields=added + self.fields)

    def changed(self, names: Sequence[str], change: Callable[[bytes], bytes]) -> RawMessage:
        """Return the message with *change* applied to the fields of these names."""
        return replace(
            self, fields=tuple((name, change(field) if name in names else field) for name, field in self.fields)
        )


def _name(field: bytes) -> str:
    return field.partition(b":")[0].decode("ascii").lower()


def read(octets: bytes) -> RawMessage:
    """Take a message apart.

    Line ends become CRLF. A first line as an mbox has it is left out. Without a blank line, the body begins where the
    lines are no fields any more.

    Raises:
        MessageError: it is empty.
    """
    if not octets.strip():
        raise MessageError("the message is empty")
    text = crlf(octets)
    if text.startswith(b"From "):
        text = text.partition(b"\r\n")[2]
    fields: list[tuple[str, bytes]] = []
    position = 0
    while position < len(text):
        end = text.index(b"\r\n", position) + 2
        line = text[position:end]
        if line == b"\r\n":
            return RawMessage(tuple(fields), text[end:])
        if line[:1] in b" \t" and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + line)
        elif found := _FIELD.match(line):
            fields.append((found[1].decode("ascii").lower(), line))
        else:
            break
        position = end
    return RawMessage(tuple(fields), text[position:])
