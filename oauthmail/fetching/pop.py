"""Messages of a POP3 mailbox (RFC 1939), none of which is deleted.

::

    C: UIDL
    C: RETR 12
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

# Octets read at a time: a line may be of any length, and the standard library's own reading stops at 2048.
_BLOCK = 1 << 16


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
        self._client = None
        # QUIT is for deletions, and there are none.
        with suppress(OSError, poplib.error_proto):
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
        for each in ids:
            if each in self._numbers:
                try:
                    octets = _retrieve(self._client, self._numbers[each])
                except poplib.error_proto as error:
                    if self.lost(error):
                        raise
                    # Another client has deleted it.
                    continue
                yield Message(each, octets)


def _retrieve(client: POP3, number: int) -> bytes:
    """Return a message, octet for octet."""
    client._shortcmd(f"RETR {number}")  # type: ignore[attr-defined]  # not in typeshed
    lines: list[bytes] = []
    fresh = True
    while True:
        piece: bytes = client.file.readline(_BLOCK)
        if not piece:
            raise poplib.error_proto("-ERR EOF")
        if fresh and piece.rstrip(b"\r\n") == b"." and piece.endswith(b"\n"):
            return b"".join(lines)
        # RFC 1939 section 3: a line that begins with a dot has got another one in front.
        lines.append(piece[1:] if fresh and piece.startswith(b".") else piece)
        fresh = piece.endswith(b"\n")
