"""FETCH: what is asked for, and the answer for one message (RFC 3501 sections 6.4.5 and 7.4.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .imap_mime import Part, parse
from .imap_structure import bodystructure, envelope
from .imap_syntax import BadError, Parser, flag_list, internaldate, string
from .mailbox import Message

__all__ = ["Item", "items", "render"]

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_NUMBERS = re.compile(rb"\d{1,10}(?:\.\d{1,10})*")
_TEXT = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_MAX_NUMBERS = 100

_MACROS = {
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}


@dataclass(frozen=True)
class _Section:
    numbers: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()

    def label(self) -> bytes:
        """Return the section as the answer repeats it."""
        words = [".".join(str(number) for number in self.numbers), self.text]
        label = ".".join(word for word in words if word).encode("ascii")
        if self.fields:
            label += b" (%b)" % b" ".join(
                name if re.fullmatch(rb"[\w.-]+", name) else string(name) for name in self.fields
            )
        return label

    def octets(self, message: Part) -> bytes | None:
        """Return what the section is of a message; None for a part that it does not have."""
        part = message.find(list(self.numbers))
        if part is None:
            return None
        if self.text == "MIME":
            return part.header
        if self.numbers and not self.text:
            return part.body
        if self.numbers:
            # HEADER and TEXT of a part are those of the message in it.
            part = part.message
            if part is None:
                return None
        if self.text == "HEADER":
            return part.header
        if self.text == "TEXT":
            return part.body
        if self.fields:
            return part.some_fields(list(self.fields), others=self.text.endswith("NOT"))
        return part.header + part.body


@dataclass(frozen=True)
class Item:
    """One thing to fetch.

    Attributes:
        name: as in `_SIMPLE`, or ``BODY[]`` for every section.
        section: which part.
        partial: first octet and number of octets.
        sees: it makes the message seen.
    """

    name: str
    section: _Section | None = None
    partial: tuple[int, int] | None = None
    sees: bool = False


@dataclass(frozen=True)
class _Loaded:
    """A message that is taken apart at most once, and only where that is needed."""

    message: Message
    flags: frozenset[str]

    @cached_property
    def root(self) -> Part:
        return parse(self.message.octets)


_SIMPLE: dict[str, Callable[[_Loaded], bytes]] = {
    "FLAGS": lambda found: flag_list(found.flags),
    "UID": lambda found: b"%d" % found.message.uid,
    "INTERNALDATE": lambda found: internaldate(found.message.internaldate),
    "RFC822.SIZE": lambda found: b"%d" % len(found.message.octets),
    "ENVELOPE": lambda found: envelope(found.root),
    "BODY": lambda found: bodystructure(found.root, extended=False),
    "BODYSTRUCTURE": lambda found: bodystructure(found.root, extended=True),
    "RFC822": lambda found: _literal(found.message.octets),
    "RFC822.HEADER": lambda found: _literal(found.root.header),
    "RFC822.TEXT": lambda found: _literal(found.root.body),
}


def items(parser: Parser) -> list[Item]:
    """Take FETCH's list of items, one item or a macro."""
    if not parser.next(b"("):
        name = parser.word(_NAME, "an item to fetch")
        return [Item(each) for each in _MACROS[name]] if name in _MACROS else [_item(name, parser)]
    found = [_item(parser.word(_NAME, "an item to fetch"), parser)]
    while not parser.next(b")"):
        parser.space()
        found.append(_item(parser.word(_NAME, "an item to fetch"), parser))
    return found


def _item(name: str, parser: Parser) -> Item:
    if name in ("BODY", "BODY.PEEK") and parser.next(b"["):
        section = _section(parser)
        return Item("BODY[]", section, _partial(parser), sees=name == "BODY")
    if name not in _SIMPLE:
        raise BadError(f"{name} cannot be fetched")
    return Item(name, sees=name in ("RFC822", "RFC822.TEXT"))


def _section(parser: Parser) -> _Section:
    if parser.next(b"]"):
        return _Section()
    numbers: tuple[int, ...] = ()
    text = ""
    if parser.at_sequence_set():
        numbers = tuple(int(number) for number in parser.word(_NUMBERS, "a part").split("."))
        if len(numbers) > _MAX_NUMBERS:
            raise BadError("No message has parts that deep")
    if not numbers or parser.next(b"."):
        text = parser.word(_TEXT, "HEADER, HEADER.FIELDS, TEXT or MIME")
    fields: list[bytes] = []
    if text.startswith("HEADER.FIELDS"):
        parser.expect(b" (")
        fields.append(parser.astring())
        while not parser.next(b")"):
            parser.space()
            fields.append(parser.astring())
    if text == "MIME" and not numbers:
        raise BadError("MIME is asked for of a part")
    parser.expect(b"]")
    return _Section(numbers, text, tuple(fields))


def _partial(parser: Parser) -> tuple[int, int] | None:
    if not parser.next(b"<"):
        return None
    first = parser.number()
    parser.expect(b".")
    count = parser.number()
    parser.expect(b">")
    if not count:
        raise BadError("A partial fetch wants at least one octet")
    return first, count


def render(message: Message, flags: frozenset[str], wanted: list[Item]) -> bytes:
    r"""Return what stands between the parentheses of a FETCH response.

    Args:
        message: whose.
        flags: as they are to be told, with ``\Recent``.
        wanted: what.
    """
    loaded = _Loaded(message, flags)
    return b" ".join(_rendered(loaded, item) for item in wanted)


def _rendered(loaded: _Loaded, item: Item) -> bytes:
    if item.section is None:
        return item.name.encode("ascii") + b" " + _SIMPLE[item.name](loaded)
    octets = item.section.octets(loaded.root)
    label = b"BODY[%b]" % item.section.label()
    if item.partial is not None:
        first, count = item.partial
        label += b"<%d>" % first
        octets = None if octets is None else octets[first : first + count]
    return label + b" " + (b"NIL" if octets is None else _literal(octets))


def _literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)
