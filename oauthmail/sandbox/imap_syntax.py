"""RFC 3501's grammar: takes a command apart, and writes strings, flags and dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone

__all__ = [
    "SYSTEM_FLAGS",
    "BadError",
    "Parser",
    "SequenceSet",
    "flag_list",
    "internaldate",
    "nstring",
    "string",
    "uid_set",
]

SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_KEYWORD = 100

# Section 9: an atom is any character but the specials; an astring may also have "]", a list-mailbox "%" and "*" too.
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d{1,10})\+?\}\r?\n")
_NUMBER = re.compile(rb"\d{1,10}")
_SET = re.compile(rb"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_DATE = re.compile(rb"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_DATE_TIME = re.compile(rb'"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')


class BadError(ValueError):
    """A command that is not understood: the answer is a tagged BAD with this text."""


class SequenceSet:
    """Sequence numbers or unique identifiers, as ranges: ``2,4:7,9:*``."""

    def __init__(self, text: str) -> None:
        self._ranges: list[tuple[int | None, int | None]] = []
        for part in text.split(","):
            first, _, last = part.partition(":")
            low, high = _limit(first), _limit(last or first)
            self._ranges.append((low, high))

    def numbers(self, largest: int) -> list[tuple[int, int]]:
        """Return the ranges in order, joined and without overlaps, ``*`` being *largest*.

        They are not counted out: ``1:4294967295`` is one range.
        """
        pairs = sorted(
            (min(low, high), max(low, high))
            for low, high in (
                (largest if low is None else low, largest if high is None else high) for low, high in self._ranges
            )
        )
        joined: list[tuple[int, int]] = []
        for low, high in pairs:
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
            else:
                joined.append((low, high))
        return joined


def _limit(text: str) -> int | None:
    if text == "*":
        return None
    if not 0 < int(text) < 1 << 32:
        raise BadError("Numbers start at 1 and end at 4294967295")
    return int(text)


class Parser:
    """Reads a command from left to right; every method takes what its name says or raises `BadError`.

    Args:
        octets: the command without its tag and last line end; literals stand in it as they came.
    """

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def _take(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self._octets, self._at)
        if found is None:
            raise BadError(f"Expected {what} at octet {self._at + 1} of the arguments")
        self._at = found.end()
        return found

    def next(self, octets: bytes) -> bool:
        """Tell whether *octets* come next, and take them if so."""
        if self.peek(octets):
            self._at += len(octets)
            return True
        return False

    def peek(self, octets: bytes) -> bool:
        """Tell whether *octets*, which are in upper case, come next in any case."""
        return self._octets[self._at : self._at + len(octets)].upper() == octets

    def expect(self, octets: bytes) -> None:
        """Take *octets*."""
        self._take(re.compile(re.escape(octets)), repr(octets.decode("ascii")))

    def space(self) -> None:
        """Take one space."""
        self.expect(b" ")

    def end(self) -> None:
        """Insist that nothing is left."""
        if self._at != len(self._octets):
            raise BadError(f"Unexpected text at octet {self._at + 1} of the arguments")

    def word(self, pattern: re.Pattern[bytes], what: str) -> str:
        """Take what *pattern* matches, in upper case."""
        return self._take(pattern, what)[0].decode("ascii").upper()

    def atom(self) -> str:
        """Take an atom."""
        return self._take(_ATOM, "an atom")[0].decode("ascii")

    def number(self) -> int:
        """Take a number of up to ten digits."""
        return int(self._take(_NUMBER, "a number")[0])

    def astring(self) -> bytes:
        """Take an atom, a quoted string or a literal."""
        return self._string(_ASTRING)

    def mailbox(self) -> str:
        """Take the name of a mailbox; names stay in modified UTF-7 (section 5.1.3), which is ASCII."""
        return _ascii(self._string(_ASTRING))

    def pattern(self) -> str:
        """Take LIST's pattern."""
        return _ascii(self._string(_LIST))

    def string(self) -> bytes:
        """Take a quoted string or a literal."""
        return self._string(None)

    def nstring(self) -> bytes | None:
        """Take a string or NIL."""
        if self.next(b"NIL"):
            return None
        return self._string(None)

    def _string(self, plain: re.Pattern[bytes] | None) -> bytes:
        if self.peek(b'"'):
            return re.sub(rb"\\(.)", rb"\1", self._take(_QUOTED, "a quoted string")[1])
        if self.peek(b"{") or plain is None:
            size = int(self._take(_LITERAL, "a string")[1])
            self._at += size
            return self._octets[self._at - size : self._at]
        return self._take(plain, "a string")[0]

    def sequence_set(self) -> SequenceSet:
        """Take a set such as ``2,4:7,9:*``."""
        return SequenceSet(self._take(_SET, "a set of numbers")[0].decode("ascii"))

    def at_sequence_set(self) -> bool:
        """Tell whether a set of numbers comes next."""
        return _SET.match(self._octets, self._at) is not None

    def flags(self, *, bare: bool = False) -> list[str]:
        """Take a list of flags in parentheses; with *bare* the parentheses may be missing (STORE)."""
        if bare and not self.peek(b"("):
            found = [self._flag()]
            while self.next(b" "):
                found.append(self._flag())
            return found
        self.expect(b"(")
        found = []
        while not self.next(b")"):
            if found:
                self.space()
            found.append(self._flag())
        return found

    def _flag(self) -> str:
        flag = self._take(_FLAG, "a flag")[0].decode("ascii")
        if not flag.startswith("\\"):
            if len(flag) > _MAX_KEYWORD:
                raise BadError("That keyword is too long")
            return flag
        for known in SYSTEM_FLAGS:
            if known.lower() == flag.lower():
                return known
        raise BadError(f"{flag} cannot be set")

    def date(self) -> date:
        """Take a date such as ``1-Feb-2026``, quoted or not."""
        quoted = self.next(b'"')
        found = self._take(_DATE, "a date")
        if quoted:
            self.expect(b'"')
        return _datetime(found[3], found[2], found[1]).date()

    def date_time(self) -> datetime:
        """Take a date with time and zone, as APPEND has it."""
        found = self._take(_DATE_TIME, "a date and time")
        minutes = int(found[8]) * 60 + int(found[9])
        if minutes >= 24 * 60:
            raise BadError("There is no such time zone")
        zone = timezone(timedelta(minutes=-minutes if found[7] == b"-" else minutes))
        return _datetime(found[3], found[2], found[1], found[4], found[5], found[6]).replace(tzinfo=zone)


def _ascii(octets: bytes) -> str:
    try:
        return octets.decode("ascii")
    except UnicodeDecodeError:
        raise BadError("Names of mailboxes are in modified UTF-7") from None


def _datetime(
    year: bytes, month: bytes, day: bytes, hour: bytes = b"0", minute: bytes = b"0", second: bytes = b"0"
) -> datetime:
    name = month.decode("ascii").capitalize()
    try:
        return datetime(int(year), _MONTHS.index(name) + 1, int(day), int(hour), int(minute), int(second))
    except ValueError:
        raise BadError("There is no such date") from None


# --- writing ------------------------------------------------------------------------------------------------------


def string(octets: bytes) -> bytes:
    """Return a quoted string, or a literal where a quoted string cannot hold the octets."""
    if re.fullmatch(rb"[\t\x20-\x7e]{0,1000}", octets):
        return b'"' + re.sub(rb'(["\\])', rb"\\\1", octets) + b'"'
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """Return a string, or NIL for None."""
    return b"NIL" if octets is None else string(octets)


def flag_list(flags: Iterable[str]) -> bytes:
    r"""Return flags in parentheses, ``\Seen`` before keywords."""
    return b"(" + " ".join(sorted(flags)).encode("ascii") + b")"


def internaldate(when: datetime) -> bytes:
    """Return a date as INTERNALDATE has it; the names of months must not follow the locale."""
    return f'"{when.day:2d}-{_MONTHS[when.month - 1]}-{when.year:04d} {when:%H:%M:%S %z}"'.encode("ascii")


def uid_set(uids: Sequence[int]) -> str:
    """Return unique identifiers in their order, as RFC 4315's response codes have them."""
    ranges: list[list[int]] = []
    for uid in uids:
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)
