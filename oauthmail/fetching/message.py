"""A message as it came from a server, and how a server is asked for messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email import message_from_bytes
from email.utils import parsedate_to_datetime
from typing import Protocol

__all__ = ["Message", "Source"]


@dataclass(frozen=True)
class Message:
    r"""One message.

    Attributes:
        id: what the server calls it, for good: UIDVALIDITY and UID of IMAP, UIDL of POP3.
        octets: the message; lines end in CRLF.
        received: when the server received it, where it says so.
        flags: IMAP's, such as ``\Seen``.
    """

    id: str
    octets: bytes = field(repr=False)
    received: datetime | None = None
    flags: frozenset[str] = frozenset()

    def date(self) -> datetime:
        """Return when it was received, or else written, or else now."""
        if self.received is not None:
            return self.received
        header = message_from_bytes(self.octets.partition(b"\r\n\r\n")[0])
        try:
            found = parsedate_to_datetime(str(header["Date"]))
        except (ValueError, TypeError, OverflowError):
            return datetime.now(timezone.utc)
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


class Source(Protocol):
    """A folder on a server.

    Attributes:
        name: what tells it from other folders, accounts and protocols.
    """

    name: str

    def ids(self, newest: int | None) -> list[str]:
        """Return the messages that are wanted, oldest first; of these, the last *newest*."""

    def fetch(self, ids: Sequence[str]) -> Iterator[Message]:
        """Return messages, few of which are in memory at a time; those that have gone are left out.

        No message is marked as read, or changed in any other way.
        """

    def connect(self) -> None:
        """Make the connection, in place of one that is lost."""

    def close(self) -> None:
        """End the connection."""

    def lost(self, error: Exception) -> bool:
        """Tell whether *error* is the loss of the connection, so that another one may help."""
