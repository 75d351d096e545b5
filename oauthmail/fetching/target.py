"""Where messages are kept, each of them once: a maildir or an mbox, with a list of what is in it beside it.

The list is a file of JSON objects, one a line; for an mbox it also has what is about to be appended, so that a run that
is killed half-way through is followed by one that knows what has arrived::

    {"record": "oauthmail fetch", "version": 1}
    {"source": "imap me@example.com INBOX", "at": 1234, "adding": [["1700000000.7", 512, "9f86d081884c7d65", 44]]}
    {"added": true}
    {"source": "pop me@example.com", "ids": ["0001"]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .._lines import Lines, open_lines
from .errors import TargetError
from .message import Message

__all__ = ["Block", "Pending", "Record", "Target", "open_record"]

_KIND = {"record": "oauthmail fetch", "version": 1}


class Target(Protocol):
    """Somewhere to keep messages."""

    def has(self, message_id: str) -> bool:
        """Tell whether a message has been kept already."""

    def add(self, messages: Sequence[Message]) -> None:
        """Keep messages; when this returns they are on the disk."""


@dataclass(frozen=True)
class Block:
    """A message as it stands in an mbox.

    Attributes:
        id: the server's name for it.
        length: in octets.
        digest: of these.
        start: how many of them are its first line, and what comes before.
    """

    id: str
    length: int
    digest: str
    start: int


@dataclass(frozen=True)
class Pending:
    """What a run that did not come to its end was about to append.

    Attributes:
        source: where it came from.
        at: the file's length before.
        blocks: what was to be appended.
    """

    source: str
    at: int
    blocks: tuple[Block, ...]


@dataclass
class Record:
    """The list of what has been kept.

    Attributes:
        lines: its file.
        ids: by source.
        pending: what is not certain, or None.
    """

    lines: Lines
    ids: dict[str, set[str]] = field(default_factory=dict)
    pending: Pending | None = None

    def load(self) -> None:
        """Read the file."""
        self.lines.load(_KIND, {}, self._learn)

    def _learn(self, values: Mapping[str, Any]) -> None:
        if "adding" in values:
            blocks = tuple(Block(*map(_plain, block)) for block in values["adding"])
            self.pending = Pending(values["source"], int(values["at"]), blocks)
        elif "added" in values:
            if self.pending is not None:
                self._known(self.pending.source, [block.id for block in self.pending.blocks])
            self.pending = None
        else:
            self._known(values["source"], values["ids"])
            self.pending = None

    def _known(self, source: str, ids: Sequence[str]) -> None:
        self.ids.setdefault(source, set()).update(ids)

    def has(self, source: str, message_id: str) -> bool:
        """Tell whether a message has been kept."""
        return message_id in self.ids.get(source, ())

    def note(self, source: str, ids: Sequence[str]) -> None:
        """Note what has been kept, in place of what was pending."""
        self._write({"source": source, "ids": list(ids)})

    def adding(self, pending: Pending) -> None:
        """Note what is about to be appended."""
        blocks = [[block.id, block.length, block.digest, block.start] for block in pending.blocks]
        self._write({"source": pending.source, "at": pending.at, "adding": blocks})

    def added(self) -> None:
        """Note that it has been; where this is lost with the power, the mbox itself tells."""
        self._write({"added": True}, sync=False)

    def _write(self, values: Mapping[str, Any], *, sync: bool = True) -> None:
        self.lines.append(values, sync=sync)
        self._learn(values)


def _plain(value: object) -> Any:
    if not isinstance(value, int | str):
        raise TypeError
    return value


@contextmanager
def open_record(path: Path) -> Iterator[Record]:
    """Have the list to oneself for a ``with`` block.

    Raises:
        TargetError: another run has it, or it cannot be used.
    """
    with open_lines(path, TargetError, "another oauthmail fetch is at work on the same messages") as lines:
        record = Record(lines)
        record.load()
        yield record
