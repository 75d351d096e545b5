"""A selected mailbox as one IMAP session sees it: numbers that stay until the session has been told."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from .imap_syntax import BadError, SequenceSet, flag_list
from .mailbox import Mailbox, Mailboxes, Message

__all__ = ["View"]


class View:
    r"""The messages of a mailbox by sequence number, and what the client knows about them.

    Attributes:
        folder: the mailbox.
        read_only: it was opened with EXAMINE.
        messages: in sequence; one that was expunged stays until that is said.
        recent: unique identifiers of the messages that are ``\Recent`` in this session.
    """

    def __init__(self, mailboxes: Mailboxes, folder: Mailbox, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.messages: list[Message] = []
        self.recent: set[int] = set()
        self._mailboxes = mailboxes
        self._known: dict[int, frozenset[str]] = {}
        self._last_uid = 0
        self._version = -1
        self.changes(expunges=True)

    def flags(self, message: Message) -> frozenset[str]:
        r"""Return a message's flags with ``\Recent``, and take it that the client is told them."""
        flags = message.flags
        self._known[message.uid] = flags
        return flags | {"\\Recent"} if message.uid in self.recent else flags

    def changes(self, *, expunges: bool) -> list[bytes]:
        """Take note of what happened to the mailbox.

        Args:
            expunges: messages may be renumbered now (RFC 3501 section 7.4.1: not after FETCH, STORE and SEARCH).

        Returns:
            Untagged responses, without ``* `` and line ends.
        """
        with self._mailboxes.lock:
            if self._version == self.folder.version:
                return []
            told = self._expunged() if expunges else []
            told += self._arrived()
            for number, message in enumerate(self.messages, 1):
                if not message.gone and self._known.get(message.uid) != message.flags:
                    # The identifier is there for clients that asked for it in a command that goes on.
                    told.append(b"%d FETCH (UID %d FLAGS %b)" % (number, message.uid, flag_list(self.flags(message))))
            if expunges:
                self._version = self.folder.version
            return told

    def _expunged(self) -> list[bytes]:
        told: list[bytes] = []
        left: list[Message] = []
        for message in self.messages:
            if message.gone:
                # Every number counts those before it as gone already.
                told.append(b"%d EXPUNGE" % (len(left) + 1))
                self._known.pop(message.uid, None)
                self.recent.discard(message.uid)
            else:
                left.append(message)
        self.messages = left
        return told

    def _arrived(self) -> list[bytes]:
        new = [message for message in self.folder.messages if message.uid > self._last_uid]
        if not new:
            return []
        for message in new:
            self._known[message.uid] = message.flags
            if message.fresh:
                self.recent.add(message.uid)
                message.fresh = self.read_only
        self.messages += new
        self._last_uid = new[-1].uid
        return [b"%d EXISTS" % len(self.messages), b"%d RECENT" % len(self.recent)]

    def chosen(self, numbers: SequenceSet, *, uid: bool) -> list[tuple[int, Message]]:
        """Return sequence numbers and messages.

        Args:
            numbers: which.
            uid: they are unique identifiers; those that no message has are no error (RFC 3501 section 6.4.8).

        Raises:
            BadError: a sequence number that no message has.
        """
        found: list[tuple[int, Message]] = []
        uids = [message.uid for message in self.messages]
        for low, high in numbers.numbers(self.largest()[uid]):
            if uid:
                first, last = bisect_left(uids, low), bisect_right(uids, high)
            elif not 0 < low <= high <= len(self.messages):
                raise BadError("There is no such message")
            else:
                first, last = low - 1, high
            found += [(index + 1, self.messages[index]) for index in range(first, last)]
        return found

    def largest(self) -> tuple[int, int]:
        """Return what ``*`` stands for: the largest sequence number and the largest unique identifier."""
        return len(self.messages), self.messages[-1].uid if self.messages else 0
