"""The messages of every user, in memory: what SMTP delivers is what IMAP and POP3 read."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone

__all__ = ["MAX_MESSAGE", "Mailbox", "MailboxError", "Mailboxes", "Message"]

#: Octets that one message may have.
MAX_MESSAGE = 36 * 1024 * 1024

#: What every user has from the start.
_FOLDERS = ("INBOX", "Sent", "Trash")
_MAX_NAME = 200


class MailboxError(Exception):
    """Something that cannot be done with a mailbox.

    Attributes:
        code: a response code of RFC 3501 or RFC 5530, such as ``NONEXISTENT``.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(eq=False)
class Message:
    r"""One message in one mailbox.

    Attributes:
        uid: its number for good (RFC 3501 section 2.3.1.1).
        octets: the message; every line ends in CRLF.
        internaldate: when it came, with a time zone.
        flags: system flags and keywords; never ``\Recent``, which belongs to a session.
        fresh: no session has seen it yet; the first that does calls it ``\Recent``.
        gone: it was expunged; sessions that have not said so yet still number it.
    """

    uid: int
    octets: bytes = field(repr=False)
    internaldate: datetime
    flags: frozenset[str] = frozenset()
    fresh: bool = True
    gone: bool = False


@dataclass(eq=False)
class Mailbox:
    """One folder of one user.

    Attributes:
        uid_validity: changes when the name comes to mean another mailbox (RFC 3501 section 2.3.1.1).
        uid_next: the unique identifier of the next message.
        messages: in the order of their unique identifiers.
        version: grows with every change.
    """

    uid_validity: int
    uid_next: int = 1
    messages: list[Message] = field(default_factory=list)
    version: int = 0
    watchers: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class _Account:
    folders: dict[str, Mailbox]
    subscribed: set[str]


class Mailboxes:
    """Every user's folders; users come into being when they are first named.

    Attributes:
        lock: hold it to look at more than one thing.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._accounts: dict[str, _Account] = {}
        # A sandbox started anew must not give an old number to a new mailbox.
        self._validities = itertools.count(int(time.time()))

    # --- messages -------------------------------------------------------------------------------------------------

    def deliver(
        self,
        user: str,
        message: bytes,
        mailbox: str = "INBOX",
        flags: Collection[str] = (),
        internaldate: datetime | None = None,
    ) -> int:
        """Put a message into a mailbox and wake whoever waits for one.

        Args:
            user: the mailbox address.
            message: the octets; lines that end in a bare LF are given CRLF.
            mailbox: an existing folder.
            flags: system flags and keywords.
            internaldate: when it came; now, if left out.

        Returns:
            Its unique identifier.

        Raises:
            MailboxError: no such folder, or the message is larger than `MAX_MESSAGE`.
        """
        if len(message) > MAX_MESSAGE:
            raise MailboxError("TOOBIG", "The message is too large")
        octets = re.sub(rb"(?<!\r)\n", b"\r\n", message)
        with self.lock:
            folder = self.folder(user, mailbox)
            uid = self._add(folder, octets, frozenset(flags), internaldate or datetime.now(timezone.utc))
            self._changed(folder)
            return uid

    def messages(self, user: str, mailbox: str = "INBOX") -> list[Message]:
        """Return the messages of a folder, oldest first."""
        with self.lock:
            return list(self.folder(user, mailbox).messages)

    def wait(self, user: str, mailbox: str = "INBOX", *, count: int = 1, timeout: float | None = None) -> bool:
        """Wait until a folder holds at least *count* messages.

        Returns:
            False when *timeout* seconds have passed before.
        """
        with self.lock:
            folder = self.folder(user, mailbox)
            return self.lock.wait_for(lambda: len(folder.messages) >= count, timeout)

    def store(self, folder: Mailbox, messages: Collection[Message], mode: str, flags: Collection[str]) -> None:
        """Change the flags of messages.

        Args:
            folder: where the messages are.
            messages: those to change.
            mode: ``+`` to add *flags*, ``-`` to take them away, empty to put them in place of the old ones.
            flags: system flags and keywords.
        """
        given = frozenset(flags)
        with self.lock:
            for message in messages:
                if mode == "+":
                    message.flags |= given
                elif mode == "-":
                    message.flags -= given
                else:
                    message.flags = given
            self._changed(folder)

    def copy(self, messages: Collection[Message], user: str, mailbox: str) -> tuple[int, list[int]]:
        """Copy messages into another folder, with their flags and dates (RFC 3501 section 6.4.7).

        Returns:
            The target's UIDVALIDITY and the new unique identifiers.
        """
        with self.lock:
            folder = self.folder(user, mailbox)
            uids = [self._add(folder, found.octets, found.flags, found.internaldate) for found in messages]
            self._changed(folder)
            return folder.uid_validity, uids

    def expunge(self, folder: Mailbox, messages: Collection[Message]) -> None:
        """Remove messages for good."""
        with self.lock:
            for message in messages:
                message.gone = True
            folder.messages = [message for message in folder.messages if not message.gone]
            self._changed(folder)

    @contextmanager
    def watching(self, folder: Mailbox, watcher: Callable[[], None]) -> Iterator[None]:
        """Call *watcher* at every change; it runs in the thread that made the change, under the lock."""
        with self.lock:
            folder.watchers.append(watcher)
        try:
            yield
        finally:
            with self.lock:
                folder.watchers.remove(watcher)

    def _add(self, folder: Mailbox, octets: bytes, flags: frozenset[str], internaldate: datetime) -> int:
        uid = folder.uid_next
        folder.uid_next += 1
        # A date keeps the zone it came with: years 1 and 9999 do not survive a change of zone.
        when = internaldate if internaldate.tzinfo else internaldate.astimezone()
        folder.messages.append(Message(uid, octets, when.replace(microsecond=0), flags))
        return uid

    def _changed(self, folder: Mailbox) -> None:
        folder.version += 1
        self.lock.notify_all()
        for watcher in folder.watchers:
            watcher()

    # --- folders --------------------------------------------------------------------------------------------------

    def names(self, user: str) -> list[str]:
        """Return the names of a user's folders, sorted."""
        with self.lock:
            return sorted(self._account(user).folders)

    def folder(self, user: str, name: str) -> Mailbox:
        """Return a folder.

        Raises:
            MailboxError: there is none of that name.
        """
        with self.lock:
            try:
                return self._account(user).folders[_canonical(name)]
            except KeyError:
                raise MailboxError("NONEXISTENT", "No such mailbox") from None

    def create(self, user: str, name: str) -> None:
        """Make a folder and those above it (RFC 3501 section 6.3.3)."""
        # A trailing delimiter only declares that there will be names below.
        name = _checked(name.rstrip("/"))
        with self.lock:
            folders = self._account(user).folders
            if name in folders:
                raise MailboxError("ALREADYEXISTS", "There is such a mailbox already")
            parts = name.split("/")
            for length in range(1, len(parts) + 1):
                folders.setdefault(_canonical("/".join(parts[:length])), Mailbox(next(self._validities)))

    def delete(self, user: str, name: str) -> None:
        """Remove a folder and its messages; not INBOX, and none with folders below it."""
        name = _canonical(name)
        with self.lock:
            folder = self.folder(user, name)
            if name == "INBOX":
                raise MailboxError("CANNOT", "INBOX cannot be deleted")
            if self.has_children(user, name):
                raise MailboxError("HASCHILDREN", "There are mailboxes below this one")
            del self._account(user).folders[name]
            self.expunge(folder, folder.messages)

    def rename(self, user: str, old: str, new: str) -> None:
        """Give a folder and those below it another name (RFC 3501 section 6.3.5)."""
        old = _canonical(old)
        new = _checked(new)
        with self.lock:
            folders = self._account(user).folders
            folder = self.folder(user, old)
            if new == old or new.startswith(old + "/"):
                raise MailboxError("CANNOT", "A mailbox cannot move below itself")
            self.create(user, new)
            if old == "INBOX":
                # Renaming INBOX moves its messages and leaves an empty INBOX.
                self.copy(folder.messages, user, new)
                self.expunge(folder, folder.messages)
                return
            for name in [name for name in folders if name == old or name.startswith(old + "/")]:
                folders[new + name[len(old) :]] = folders.pop(name)

    def has_children(self, user: str, name: str) -> bool:
        """Tell whether there are folders below one."""
        return any(found.startswith(name + "/") for found in self.names(user))

    def subscribe(self, user: str, name: str) -> None:
        """Add a name to those that LSUB lists; it need not exist."""
        name = _checked(name)
        with self.lock:
            self._account(user).subscribed.add(name)

    def unsubscribe(self, user: str, name: str) -> None:
        """Take a name from those that LSUB lists."""
        with self.lock:
            self._account(user).subscribed.discard(_canonical(name))

    def subscribed(self, user: str) -> list[str]:
        """Return the names that LSUB lists, sorted."""
        with self.lock:
            return sorted(self._account(user).subscribed)

    def _account(self, user: str) -> _Account:
        # Mail is delivered to an address in whatever case the sender wrote it.
        key = user.lower()
        if key not in self._accounts:
            folders = {name: Mailbox(next(self._validities)) for name in _FOLDERS}
            self._accounts[key] = _Account(folders, set(_FOLDERS))
        return self._accounts[key]


def _canonical(name: str) -> str:
    """Return the one spelling of a name: INBOX is INBOX in any case (RFC 3501 section 5.1)."""
    first, slash, rest = name.partition("/")
    return "INBOX" + slash + rest if first.upper() == "INBOX" else name


def _checked(name: str) -> str:
    if not name or len(name) > _MAX_NAME or not all(name.split("/")) or not re.fullmatch(r"[^\x00-\x1f\x7f%*]+", name):
        raise MailboxError("CANNOT", "That is no name for a mailbox")
    return _canonical(name)
