r"""Messages of an IMAP folder (RFC 3501), which is opened for reading only.

::

    C: EXAMINE "INBOX"
    C: UID SEARCH 1:20000 UNSEEN
    C: UID FETCH 7:9,12 (UID RFC822.SIZE)
    C: UID FETCH 7:9 (UID FLAGS INTERNALDATE BODY.PEEK[])
"""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .. import OAuthMailError
from .._redact import printable
from .criteria import Criteria, folder_name, folder_text
from .errors import FetchError
from .message import Message

if TYPE_CHECKING:
    from .. import IMAP4, Account, FetchedMessage

__all__ = ["ImapSource"]

# Messages that one SEARCH looks through: its answer is one line, of which the standard library takes a million octets.
_SEARCHED = 20_000
# Messages and octets that one FETCH asks for; a larger message comes alone.
_FETCHED = 100
_OCTETS = 2 << 20
_NAMED = 20

_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_EMPTY = re.compile(rb'\bBODY\[\] (?:""|\{0\})', re.IGNORECASE)
_LISTED = re.compile(rb'\([^)]*\) (?:NIL|"(?:[^"\\]|\\.)*") (.+)')


class ImapSource:
    """A folder; see `Source`.

    Args:
        account: whose.
        folder: its name.
        criteria: which messages are wanted.
    """

    def __init__(self, account: Account, folder: str, criteria: Criteria) -> None:
        self._account = account
        # INBOX is the one name whose case does not matter (RFC 3501 section 5.1).
        self._folder = "INBOX" if folder.upper() == "INBOX" else folder
        self._criteria = criteria
        self._stack = ExitStack()
        self._client: IMAP4 | None = None
        self._validity = ""
        self._exists = 0
        self.name = f"imap {account.address.lower()} {self._folder}"

    # --- the connection -------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Log in and open the folder for reading.

        Raises:
            FetchError: there is no such folder, or its messages have got new numbers since the last connection.
        """
        self.close()
        client = self._stack.enter_context(self._account.imap())
        typ, data = client.select(folder_name(self._folder), readonly=True)
        if typ != "OK":
            raise FetchError(
                f"the folder {self._folder} cannot be opened: {_said(data)}; there are {', '.join(_folders(client))}"
            )
        self._exists = int(data[0] or 0)
        validity = _number(client.response("UIDVALIDITY")[1])
        if self._validity not in ("", validity):
            raise FetchError(f"the server has numbered the messages of {self._folder} anew meanwhile: fetch again")
        self._client, self._validity = client, validity

    def close(self) -> None:
        """Log out."""
        self._client = None
        self._stack.close()

    def lost(self, error: Exception) -> bool:
        """Tell whether another connection may help."""
        return isinstance(error, imaplib.IMAP4.abort | OSError) and not isinstance(error, OAuthMailError)

    # --- finding --------------------------------------------------------------------------------------------------

    def ids(self, newest: int | None) -> list[str]:
        """Return the messages that meet the criteria; see `Source.ids`."""
        found: set[int] = set()
        # From the end, as the newest are often enough.
        for last in range(self._exists, 0, -_SEARCHED):
            found |= self._search(f"{max(last - _SEARCHED + 1, 1)}:{last}")
            if newest is not None and len(found) >= newest:
                break
        ordered = sorted(found)
        wanted = ordered if newest is None else ordered[max(len(ordered) - newest, 0) :]
        return [f"{self._validity}.{uid}" for uid in wanted]

    def _search(self, numbers: str) -> set[int]:
        keys = (numbers, *self._criteria.keys)
        if not self._criteria.texts:
            return self._found(*keys)
        return set.intersection(
            *(self._found("CHARSET", "UTF-8", *keys, name, literal=text) for name, text in self._criteria.texts)
        )

    def _found(self, *keys: str, literal: bytes | None = None) -> set[int]:
        assert self._client is not None, "connect() first"  # noqa: S101  # a defect, not a condition
        if literal is not None:
            # The way to send one that the standard library itself has, for AUTHENTICATE and APPEND.
            self._client.literal = literal  # type: ignore[assignment]  # typeshed has text
        with _refused("search"):
            typ, data = self._client.uid("SEARCH", *keys)
        if typ != "OK":
            raise FetchError(f"the server refuses to search: {_said(data)}")
        return {int(uid) for line in data if line is not None for uid in line.split()}

    # --- fetching -------------------------------------------------------------------------------------------------

    def fetch(self, ids: Sequence[str]) -> Iterator[Message]:
        """Return messages; see `Source.fetch`."""
        uids = [int(each.rpartition(".")[2]) for each in ids]
        for start in range(0, len(uids), _FETCHED):
            for window in self._windows(uids[start : start + _FETCHED]):
                for message in self._fetched(window, "(UID FLAGS INTERNALDATE BODY.PEEK[])"):
                    attributes = _attributes(message)
                    if message.octets or _EMPTY.search(attributes):
                        flags = _FLAGS.search(attributes)
                        yield Message(
                            f"{self._validity}.{message.uid}",
                            message.octets,
                            _received(attributes),
                            frozenset(flags[1].decode("ascii", "replace").split() if flags else ()),
                        )

    def _fetched(self, uids: Sequence[int], items: str) -> list[FetchedMessage]:
        """Return what the server tells of messages, which are few enough for one command."""
        assert self._client is not None, "connect() first"  # noqa: S101  # a defect, not a condition
        with _refused("fetch"):
            return list(self._client.fetch_messages(uids, items, uid=True))

    def _windows(self, uids: Sequence[int]) -> Iterator[list[int]]:
        """Divide messages so that together they are not too large."""
        sizes: dict[int | None, int] = {}
        for message in self._fetched(uids, "(UID RFC822.SIZE)"):
            if size := _SIZE.search(_attributes(message)):
                sizes[message.uid] = int(size[1])
        window: list[int] = []
        octets = 0
        for each in uids:
            if window and octets + sizes.get(each, 0) > _OCTETS:
                yield window
                window, octets = [], 0
            window.append(each)
            octets += sizes.get(each, 0)
        yield window


def _attributes(message: FetchedMessage) -> bytes:
    """Return what stands before the message and behind it."""
    return b" ".join(each[0] if isinstance(each, tuple) else each for each in message.data)


def _received(attributes: bytes) -> datetime | None:
    local = imaplib.Internaldate2tuple(attributes)
    try:
        return None if local is None else datetime.fromtimestamp(time.mktime(local), timezone.utc)
    except (ValueError, OverflowError):
        return None


@contextmanager
def _refused(command: str) -> Iterator[None]:
    try:
        yield
    except imaplib.IMAP4.error as error:
        if isinstance(error, imaplib.IMAP4.abort | OAuthMailError):
            raise
        raise FetchError(f"the server refuses to {command}: {printable(str(error))}") from error


def _number(data: list[Any]) -> str:
    # A server has to say it; one that does not has numbers that are good for nothing but themselves.
    return data[-1].decode("ascii", "replace") if data and data[-1] else "0"


def _said(data: list[Any]) -> str:
    return printable(b" ".join(each for each in data if isinstance(each, bytes)).decode("utf-8", "replace"))


def _folders(client: IMAP4) -> list[str]:
    """Return the names of the folders there are, or the first of them."""
    names = []
    for line in client.list()[1]:
        found = _LISTED.match(line) if isinstance(line, bytes) else None
        if found:
            name = found[1].decode("ascii", "replace")
            if name.startswith('"') and name.endswith('"'):
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
            names.append(printable(folder_text(name)))
    return names if len(names) <= _NAMED else [*names[:_NAMED], "…"]
