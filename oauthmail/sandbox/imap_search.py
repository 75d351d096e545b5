"""SEARCH: RFC 3501 section 6.4.4's keys, each turned into a question about one message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache

from .imap_mime import Part, parse, unfolded
from .imap_syntax import BadError, Parser, SequenceSet
from .mailbox import MailboxError, Message

__all__ = ["Candidate", "Key", "search_keys"]

_NAME = re.compile(rb"[A-Za-z]+")
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Candidate:
    r"""A message that may be found.

    Attributes:
        number: its sequence number.
        message: the message.
        recent: this session is the first to see it.
        largest: the largest sequence number and the largest unique identifier, for ``*``.
    """

    number: int
    message: Message
    recent: bool
    largest: tuple[int, int]

    @cached_property
    def root(self) -> Part:
        """The message as a tree."""
        return parse(self.message.octets)

    def header(self, name: bytes) -> list[str]:
        """Return the decoded values of the fields of that name."""
        return [_decoded(unfolded(line)) for found, line in self.root.fields if found.lower() == name.lower()]

    @cached_property
    def body(self) -> str:
        """The decoded texts of the body."""
        return "\n".join(_texts(self.root)).casefold()

    @cached_property
    def text(self) -> str:
        """The decoded header, and the body."""
        lines = [_decoded(name + b": " + unfolded(line)) for name, line in self.root.fields]
        return "\n".join(lines).casefold() + "\n" + self.body

    @cached_property
    def sent(self) -> date | None:
        """The day in the Date field, whatever its time and zone."""
        try:
            return parsedate_to_datetime(_decoded(self.root.field(b"Date") or b"")).date()
        except (ValueError, TypeError, OverflowError):
            return None


Key = Callable[[Candidate], bool]

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}
_HEADERS = ("BCC", "CC", "FROM", "SUBJECT", "TO")
_SIMPLE: dict[str, Key] = {
    "ALL": lambda found: True,
    "NEW": lambda found: found.recent and "\\Seen" not in found.message.flags,
    "OLD": lambda found: not found.recent,
    "RECENT": lambda found: found.recent,
}
_DATES: dict[str, Callable[[date, date], bool]] = {
    "BEFORE": lambda found, wanted: found < wanted,
    "ON": lambda found, wanted: found == wanted,
    "SINCE": lambda found, wanted: found >= wanted,
}


def search_keys(parser: Parser) -> Key:
    """Take SEARCH's arguments, from the charset on.

    Raises:
        BadError: a key that is none.
        MailboxError: a charset other than US-ASCII and UTF-8.
    """
    if parser.next(b"CHARSET "):
        charset = parser.astring().upper()
        if charset not in (b"UTF-8", b"US-ASCII"):
            raise MailboxError("BADCHARSET (US-ASCII UTF-8)", "Only US-ASCII and UTF-8 are known")
        parser.space()
    key = _keys(parser, 0)
    parser.end()
    return key


def _keys(parser: Parser, depth: int) -> Key:
    keys = [_key(parser, depth)]
    while parser.next(b" "):
        keys.append(_key(parser, depth))
    return lambda found: all(key(found) for key in keys)


def _key(parser: Parser, depth: int) -> Key:
    if depth > _MAX_DEPTH:
        raise BadError("That is nested too deeply")
    if parser.next(b"("):
        key = _keys(parser, depth + 1)
        parser.expect(b")")
        return key
    if parser.at_sequence_set():
        return _in_set(parser.sequence_set(), uid=False)
    name = parser.word(_NAME, "a search key")
    if name in _SIMPLE:
        return _SIMPLE[name]
    flag = _flag_key(name)
    if flag is not None:
        return flag
    parser.space()
    if name == "NOT":
        inner = _key(parser, depth + 1)
        return lambda found: not inner(found)
    if name == "OR":
        left = _key(parser, depth + 1)
        parser.space()
        right = _key(parser, depth + 1)
        return lambda found: left(found) or right(found)
    return _key_with_value(name, parser)


def _flag_key(name: str) -> Key | None:
    if name in _FLAGS:
        return lambda found: _FLAGS[name] in found.message.flags
    if name.startswith("UN") and name[2:] in _FLAGS:
        return lambda found: _FLAGS[name[2:]] not in found.message.flags
    return None


def _key_with_value(name: str, parser: Parser) -> Key:
    if name == "UID":
        return _in_set(parser.sequence_set(), uid=True)
    if name in ("KEYWORD", "UNKEYWORD"):
        flag = parser.atom().lower()
        has = name == "KEYWORD"
        return lambda found: any(flag == each.lower() for each in found.message.flags) is has
    if name in ("LARGER", "SMALLER"):
        size = parser.number()
        if name == "LARGER":
            return lambda found: len(found.message.octets) > size
        return lambda found: len(found.message.octets) < size
    if name.removeprefix("SENT") in _DATES:
        return _date_key(name, parser.date())
    if name == "HEADER":
        field = parser.astring()
        parser.space()
        return _header_key(field, _text(parser))
    if name in _HEADERS:
        return _header_key(name.encode(), _text(parser))
    if name == "BODY":
        text = _text(parser)
        return lambda found: text in found.body
    if name == "TEXT":
        text = _text(parser)
        return lambda found: text in found.text
    raise BadError(f"{name} is no search key")


def _in_set(numbers: SequenceSet, *, uid: bool) -> Key:
    # Every message of one search asks with the same largest number.
    ranges = lru_cache(maxsize=1)(numbers.numbers)

    def key(found: Candidate) -> bool:
        value = found.message.uid if uid else found.number
        return any(low <= value <= high for low, high in ranges(found.largest[uid]))

    return key


def _date_key(name: str, wanted: date) -> Key:
    compare = _DATES[name.removeprefix("SENT")]
    if not name.startswith("SENT"):
        return lambda found: compare(found.message.internaldate.date(), wanted)
    return lambda found: found.sent is not None and compare(found.sent, wanted)


def _header_key(field: bytes, text: str) -> Key:
    # An empty text finds every message that has the field.
    return lambda found: any(text in value.casefold() for value in found.header(field))


def _text(parser: Parser) -> str:
    try:
        return parser.astring().decode("utf-8").casefold()
    except UnicodeDecodeError:
        raise BadError("That is not UTF-8") from None


def _decoded(octets: bytes) -> str:
    """Return a field's value with RFC 2047's encoded words decoded."""
    text = octets.decode("utf-8", "replace")
    try:
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii", "replace")
            for part, charset in decode_header(text)
        )
    except (HeaderParseError, LookupError, ValueError):
        return text


def _texts(part: Part) -> Iterator[str]:
    for each in part.parts:
        yield from _texts(each)
    if part.message is not None:
        yield from (_decoded(name + b": " + unfolded(line)) for name, line in part.message.fields)
        yield from _texts(part.message)
    if not part.parts and part.content_type[0] == "text":
        # Only the fields that say how to decode: the email package cannot be asked about one part's octets.
        chosen = part.some_fields([b"Content-Type", b"Content-Transfer-Encoding"])
        payload = message_from_bytes(chosen + part.body).get_payload(decode=True)
        octets = payload if isinstance(payload, bytes) else part.body
        charset = part.parameters(b"Content-Type").get(b"charset", b"utf-8").decode("ascii", "replace")
        try:
            yield octets.decode(charset, "replace")
        except (LookupError, ValueError):
            yield octets.decode("utf-8", "replace")
