"""What is to be sent, one message after the other, from wherever it is: arguments, files, a table.

A source can be gone through more than once, and never holds more than one message in memory.
"""

from __future__ import annotations

import hashlib
import mailbox
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from . import table
from .addresses import Address, ascii_domain, parse, unique, written
from .compose import Draft, date_field, message_id_field
from .errors import MessageError
from .raw import RawMessage, read

__all__ = ["Letter", "Source", "drafted", "from_maildir", "from_mbox", "from_octets", "from_table"]

Build = Callable[[str, datetime], bytes]
#: Goes through the messages; each call begins anew.
Source = Callable[[], Iterator["Letter"]]

# What quoted lines look like in an mbox (mboxrd: the number of ">" is kept).
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True)
class Letter:
    """A message and whom it goes to.

    Attributes:
        index: its place among the messages, from 1.
        name: where it comes from, for people.
        sender: the envelope's sender.
        recipients: the envelope's recipients, each once.
        content: a digest of what the message says.
        message_id: its own, or None for one that is to be made.
        build: makes the message of a Message-ID and a date.
        copy: counts messages that do not differ, from 1.
    """

    index: int
    name: str
    sender: str
    recipients: tuple[str, ...]
    content: str = field(repr=False)
    message_id: str | None
    build: Build = field(repr=False)
    copy: int = 1

    @property
    def key(self) -> str:
        """What tells this message from all others, in every run: the same text to the same people is the same."""
        parts = (self.sender, sorted(self.recipients), self.content, self.copy)
        return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def identify(self, nonce: str) -> str:
        """Return its Message-ID: its own, or one that is the same as long as *nonce* is."""
        if self.message_id is not None:
            return self.message_id
        made = hashlib.sha256(f"{nonce} {self.key}".encode()).hexdigest()[:32]
        return f"<{made}@{ascii_domain(self.sender)}>"


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which message an error tells."""
    try:
        yield
    except MessageError as error:
        raise MessageError(f"{name}: {error}") from error


def _numbered(letters: Iterator[Letter]) -> Iterator[Letter]:
    """Tell letters that are the same apart."""
    seen: Counter[str] = Counter()
    for letter in letters:
        key = letter.key
        seen[key] += 1
        yield letter if seen[key] == 1 else replace(letter, copy=seen[key])


def drafted(draft: Draft, sender: str) -> Source:
    """Return the one message that *draft* is.

    Raises:
        MessageError: it goes to nobody.
    """
    with _named("the message"):
        letter = _drafted(1, "the message", draft, sender)
    return lambda: iter((letter,))


def _drafted(index: int, name: str, draft: Draft, sender: str) -> Letter:
    recipients = unique(draft.recipients)
    if not recipients:
        raise MessageError("it goes to nobody: name somebody with --to")
    return Letter(index, name, sender, recipients, draft.digest(), None, draft.octets)


def from_octets(octets: bytes, sender: Address, envelope: str, to: Sequence[Address] = ()) -> Source:
    """Return the one message that *octets* are.

    Args:
        octets: RFC 5322, with any line ends.
        sender: what its header says, if it has no From.
        envelope: the envelope's sender.
        to: the recipients; otherwise those that the header names.
    """
    letter = _existing(1, "the message", octets, sender, envelope, to)
    return lambda: iter((letter,))


def _existing(index: int, name: str, octets: bytes, sender: Address, envelope: str, to: Sequence[Address]) -> Letter:
    with _named(name):
        message = read(octets)
        recipients = unique(to or message.recipients())
        if not recipients:
            raise MessageError("its header names no recipient: name somebody with --to")
    own = message.values("message-id")
    identity = own[0] if own and re.fullmatch(r"<[!-~]+>", own[0]) else None
    sent = message.without_bcc()

    def build(message_id: str, date: datetime) -> bytes:
        return completed(sent, sender, message_id, date).octets()

    return Letter(index, name, envelope, recipients, hashlib.sha256(octets).hexdigest(), identity, build)


def completed(message: RawMessage, sender: Address, message_id: str, date: datetime) -> RawMessage:
    """Return *message* with the fields that every message has (RFC 5322 section 3.6)."""
    return message.with_missing(written("From", [sender]), date_field(date), message_id_field(message_id))


def from_mbox(path: str | Path, sender: Address, envelope: str, to: Sequence[Address] = ()) -> Source:
    """Return the messages of an mbox; the other arguments are those of `from_octets`."""

    def letters() -> Iterator[Letter]:
        if not Path(path).is_file():
            raise MessageError(f"{path} is not a file, so it is no mbox")
        with closing(mailbox.mbox(path, create=False)) as box:
            if not len(box):
                raise MessageError(f"{path} has no message in it; an mbox has a line that begins with From before each")
            for index, key in enumerate(box.iterkeys(), 1):
                octets = _QUOTED.sub(rb"\1", box.get_bytes(key))
                yield _existing(index, f"message {index} of {path}", octets, sender, envelope, to)

    return lambda: _numbered(letters())


def from_maildir(path: str | Path, sender: Address, envelope: str, to: Sequence[Address] = ()) -> Source:
    """Return the messages of a maildir by their names, which begin with a time."""

    def letters() -> Iterator[Letter]:
        if not all((Path(path) / name).is_dir() for name in ("cur", "new")):
            raise MessageError(f"{path} is not a maildir, which has the folders cur and new")
        with closing(mailbox.Maildir(path, create=False)) as box:
            for index, key in enumerate(sorted(box.iterkeys()), 1):
                yield _existing(index, f"{key} of {path}", box.get_bytes(key), sender, envelope, to)

    return lambda: _numbered(letters())


def from_table(path: str | Path, draft: Draft, sender: str) -> Source:
    """Return one message for each row of a CSV file.

    The columns ``to``, ``cc`` and ``bcc`` are addresses, beside those that *draft* has; every column can stand in its
    texts as ``{column}``.
    """

    def letters() -> Iterator[Letter]:
        for index, (line, row) in enumerate(table.rows(path), 1):
            name = f"line {line} of {path}"
            with _named(name):
                letter = _drafted(index, name, _filled(draft, row), sender)
            yield letter

    return lambda: _numbered(letters())


def _filled(draft: Draft, row: Mapping[str, str]) -> Draft:
    return replace(
        draft,
        to=draft.to + tuple(parse("the column to", row["to"])),
        cc=draft.cc + tuple(parse("the column cc", row.get("cc", ""))),
        bcc=draft.bcc + tuple(parse("the column bcc", row.get("bcc", ""))),
        subject=table.fill("the subject", draft.subject, row),
        text=draft.text and table.fill("the text", draft.text, row),
        html=draft.html and table.fill("the HTML", draft.html, row, markup=True),
    )
