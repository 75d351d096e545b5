"""Messages of a POP3 mailbox (RFC 1939), none of which is deleted.

::

    C: UIDL
    C: RETR 12
    C: RETR 13
    C: QUIT
"""

from __future__ import annotations

import poplib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from .. import OAuthMailError
from .errors import FetchError
from .message import Message

if TYPE_CHECKING:
    from .. import POP3, Account

__all__ = ["PopSource"]


class PopSource:
    """A mailbox; see `Source`.

    Args:
        account: whose.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._stack = ExitStack()
        self._client: POP3 | None = None
        self._numbers: dict[str, int] = {}
        self.name = f"pop {account.address.lower()}"

    def connect(self) -> None:
        """Log in and learn which messages there are.

        Raises:
            FetchError: the server cannot tell messages from each other.
        """
        self.close()
        client = self._stack.enter_context(self._account.pop())
        try:
            lines = client.uidl()[1]
        except poplib.error_proto as error:
            if self.lost(error):
                raise
            raise FetchError("the server has no UIDL, without which messages cannot be told from each other") from error
        self._numbers = {}
        for line in lines:
            number, _, name = line.decode("ascii", "replace").partition(" ")
            self._numbers[name] = int(number)
        self._client = client

    def close(self) -> None:
        """Take leave of the server."""
        client, self._client = self._client, None
        # QUIT is for deletions, and there are none.
        with suppress(OSError, poplib.error_proto):
            if client is not None and client._oauth_retrieve is not None:
                # Up to a thousand messages are on their way, for which nobody waits any more.
                client.close()
            self._stack.close()

    def lost(self, error: Exception) -> bool:
        """Tell whether another connection may help."""
        if isinstance(error, OAuthMailError):
            return False
        # The server's own -ERR comes as octets, what happens to the connection as text.
        return isinstance(error, OSError) or (isinstance(error, poplib.error_proto) and isinstance(error.args[0], str))

    def ids(self, newest: int | None) -> list[str]:
        """Return all messages; see `Source.ids`."""
        ordered = sorted(self._numbers, key=self._numbers.__getitem__)
        return ordered if newest is None else ordered[max(len(ordered) - newest, 0) :]

    def fetch(self, ids: Sequence[str]) -> Iterator[Message]:
        """Return messages; see `Source.fetch`."""
        assert self._client is not None, "connect() first"  # noqa: S101  # a defect, not a condition
        names = {self._numbers[each]: each for each in ids if each in self._numbers}
        for message in self._client.retrieve(names):
            # What is refused, another client has deleted.
            if message.error is None:
                yield Message(names[message.number], message.octets)
