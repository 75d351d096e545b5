r"""Many messages of an IMAP folder, asked for ahead of time (RFC 3501 sections 5.5 and 6.4.5).

::

    C: A1 FETCH 1:32 (BODY.PEEK[])
    C: A2 FETCH 33:64 (BODY.PEEK[])
    S: * 1 FETCH (BODY[] {1234}
    S: …
    S: A1 OK done
    C: A3 FETCH 65:192 (BODY.PEEK[])
"""

from __future__ import annotations

import imaplib
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ._fetch_data import Item, facts
from ._numbers import HIGHEST, Numbers, Run, parse, written
from ._pace import Pace
from .errors import AuthenticationError

__all__ = ["Fetch", "FetchedMessage"]

# Messages under way, and commands; the server may not read a command before it has written all answers before it.
_MESSAGES = 4096
_COMMANDS = 8
# Octets of one response. The largest mail that any service takes has a fifth of it.
_RESPONSE = 1 << 30
# Memory for a literal grows with what has arrived, not with what the server announced.
_BLOCK = 1 << 20
# Octets of other responses while an answer is waited for; an expunged folder of a million messages has a third.
_OTHERS = 64 << 20
# Messages that one SEARCH looks through: its answer is one line, of which the standard library takes a million octets.
_SEARCHED = 50_000

_ANSWER = re.compile(rb"\* (\d{1,10}) FETCH (.*)", re.DOTALL).match
_LITERAL = re.compile(rb"\{(\d+)\}$").search
_NUMBER = re.compile(rb"\d{1,10}")
_ITEM = re.compile(r"[^\s()\[]+(?:\[[^\]]*\]\S*)?")


class FetchedMessage(NamedTuple):
    """What a server told of one message.

    Attributes:
        number: the message's sequence number when it was fetched.
        uid: its unique identifier, where it was asked for; with ``uid=True`` it always is.
        octets: the first part of the message's text that is among the items, such as ``BODY[]`` or ``RFC822.HEADER``;
            ``b""`` where none is.
        data: everything, in the shape that `imaplib.IMAP4.fetch` returns: octets, and a tuple of two where a literal
            follows.
    """

    number: int
    uid: int | None
    octets: bytes
    data: list[Item]

    def __repr__(self) -> str:
        return f"FetchedMessage(number={self.number}, uid={self.uid}, octets=<{len(self.octets)} octets>)"


class Fetch:
    """One iteration over messages; what it has asked for is read by it, or by the command that comes in between.

    Args:
        client: an `oauthmail.IMAP4`.
        message_set: see `oauthmail.IMAP4.fetch_messages`, as the two that follow.
        parts: the items.
        uid: whether the numbers are unique identifiers.

    Raises:
        ValueError: unusable arguments.
        imaplib.IMAP4.error: no folder is selected.
    """

    def __init__(self, client: Any, message_set: str | bytes | Iterable[Any], parts: str, uid: bool) -> None:
        if not parts.isascii() or not parts.isprintable() or not parts.strip() or parts.rstrip().endswith("}"):
            raise ValueError(f"not the items of a FETCH command: {parts!r}")
        self._numbers = parse(message_set)
        if client.state != "SELECTED":
            raise client.error(f"command FETCH illegal in state {client.state}, only allowed in states SELECTED")
        self._client = client
        self._command = ("UID", "FETCH") if uid else ("FETCH",)
        self._parts = parts
        self._uid = uid
        # A response with nothing but flags says that they have changed, unless nothing else was asked for.
        items = {item.upper() for item in _ITEM.findall(parts)}
        self._only_flags = items <= {"FLAGS", "UID", "MODSEQ"}
        self._selected = client._oauth_selected
        self._shrinks = not uid and self._numbers.last == HIGHEST
        self._pace = Pace(_MESSAGES)
        self._under_way: dict[bytes, list[Run]] = {}
        # Numbers that were asked for and have not come.
        self._wanted: set[int] = set()
        self._kept: deque[FetchedMessage] = deque()
        self._others = 0
        self._failure: BaseException | None = None
        self._abandoned = False

    def messages(self) -> Iterator[FetchedMessage]:
        """Return the messages as they arrive; see `oauthmail.IMAP4.fetch_messages`."""
        try:
            self._begin()
            self._ask()
            while True:
                if self._kept:
                    yield self._kept.popleft()
                    if not self._under_way:
                        self._ask()
                elif self._under_way:
                    message = self._read()
                    if message is not None:
                        yield message
                    else:
                        self._ask()
                elif self._failure is not None:
                    raise self._failure
                elif not self._numbers:
                    return
                else:
                    self._ask()
        finally:
            self._abandoned = True
            self._kept.clear()

    # --- asking ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Find out which numbers there are, where the set does not say it."""
        if self._uid:
            if not self._numbers.listed and self._numbers.count > self._pace.window:
                self._numbers = self._existing()
        elif self._shrinks:
            self._numbers = self._numbers.below(self._client._oauth_exists)

    def _existing(self) -> Numbers:
        """Return the unique identifiers within the set that messages have; there may be few in a wide range."""
        client = self._client
        last = "*" if self._numbers.last == HIGHEST else str(self._numbers.last)
        span = f"{self._numbers.first}:{last}"
        found: set[int] = set()
        start = 1
        while start <= client._oauth_exists:
            expunged = len(client.untagged_responses.get("EXPUNGE", ()))
            end = start + _SEARCHED - 1
            within = f"{start}:{end}" if end < client._oauth_exists else f"{start}:*"
            typ, data = client.uid("SEARCH", within, "UID", span)
            if typ != "OK":
                raise client.error(f"UID command error: {typ} {data}")
            found.update(int(number[0]) for line in data if line for number in _NUMBER.finditer(line))
            # Messages behind those that are gone have moved up.
            start = end + 1 - (len(client.untagged_responses.get("EXPUNGE", ())) - expunged)
        return self._numbers.below(max(found, default=0)).within(found)

    def _ask(self) -> None:
        """Ask for as many messages as may be under way."""
        client = self._client
        while self._numbers and self._failure is None and len(self._under_way) < _COMMANDS:
            waiting = len(self._wanted) + len(self._kept)
            if waiting and waiting + self._pace.window > self._pace.under_way:
                return
            if self._shrinks:
                self._numbers.cut(client._oauth_exists)
            runs = self._numbers.take(self._pace.window)
            if runs:
                self._send(runs)

    def _send(self, runs: list[Run]) -> None:
        client = self._client
        if client._oauth_selected != self._selected:
            self._failure = client.error("command FETCH: another folder has been selected since the first message")
            return
        # What this iteration has under way need not be read first, as it would for every other command.
        if client._oauth_fetch is self:
            client._oauth_fetch = None
        try:
            tag = client._command(*self._command, written(runs), self._parts)
        except (client.error, OSError) as error:
            # What has come before the line was lost is still to be read.
            self._failure = error
        else:
            self._under_way[tag] = runs
            for first, last in runs:
                self._wanted.update(range(first, last + 1))
        if self._under_way:
            client._oauth_fetch = self

    # --- reading --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Read what is under way, and keep it for the caller of `messages`, so that another command can go out."""
        try:
            while self._under_way:
                message = self._read()
                if message is not None and not self._abandoned:
                    self._kept.append(message)
        except (imaplib.IMAP4.error, OSError) as error:
            self._failure = error
            raise
        except BaseException as error:
            self._failure = self._client.abort(f"command: FETCH => {error!r}")
            raise

    def _read(self) -> FetchedMessage | None:
        """Read one response, and return the message if it is one that was asked for."""
        client = self._client
        try:
            line = client._get_line()
            answer = _ANSWER(line)
            if answer is not None:
                message = self._answer(answer[1], answer[2])
                if message is not None:
                    return message
            else:
                client._oauth_line = line
                client._get_response()
                if line[:2] != b"* ":
                    self._finish()
                client._check_bye()
            self._others += len(line) + 100
            if self._others > _OTHERS:
                raise client.abort("more responses than any FETCH command needs")
        except BaseException as error:
            # Half a response may be read: what follows could be taken for the answer to something else.
            self._lose()
            if isinstance(error, ValueError):
                raise client.abort("command: FETCH => the connection is closed") from error
            if isinstance(error, imaplib.IMAP4.abort):
                raise client.abort(f"command: FETCH => {error}") from error
            raise
        return None

    def _answer(self, number: bytes, rest: bytes) -> FetchedMessage | None:
        """Read the rest of a FETCH response."""
        client = self._client
        data: list[Item] = []
        head = number + b" " + rest
        room = _RESPONSE
        while head[-1:] == b"}" and (literal := _LITERAL(head)):
            room -= len(head) + (int(literal[1]) if len(literal[1]) < 20 else room)
            if room <= 0:
                raise client.abort("a literal of impossible size")
            data.append((head, self._literal(int(literal[1]))))
            head = client._get_line()
        data.append(head)
        uid, octets, only_flags = facts(data)
        asked = uid if self._uid else int(number)
        if asked not in self._wanted or (only_flags and not self._only_flags):
            return None
        self._wanted.discard(asked)
        self._pace.count(len(octets))
        self._others = 0
        return FetchedMessage(int(number), uid, octets, data)

    def _literal(self, size: int) -> bytes:
        client = self._client
        if __debug__ and client.debug >= 4:
            client._mesg(f"read literal size {size}")
        if size <= _BLOCK:
            return client.read(size)  # type: ignore[no-any-return]  # of a client of any kind
        octets = io.BytesIO()
        while size > 0:
            block = client.read(min(size, _BLOCK))
            if not block:
                # The next line says that the connection is at its end.
                break
            octets.write(block)
            size -= len(block)
        return octets.getvalue()

    def _finish(self) -> None:
        """End the commands that the server has completed, and ask for more."""
        client = self._client
        for tag in [tag for tag in self._under_way if client.tagged_commands[tag] is not None]:
            for first, last in self._under_way.pop(tag):
                self._wanted.difference_update(range(first, last + 1))
            if not self._under_way:
                client._oauth_fetch = None
            try:
                typ, data = client._command_complete(self._command[0], tag)
            except imaplib.IMAP4.error as error:
                if isinstance(error, imaplib.IMAP4.abort | AuthenticationError):
                    raise
                self._failure = self._failure or error
            else:
                if typ != "OK":
                    self._failure = self._failure or client.error(f"{self._command[0]} command error: {typ} {data}")

    def _lose(self) -> None:
        client = self._client
        for tag in self._under_way:
            client.tagged_commands.pop(tag, None)
        self._under_way.clear()
        self._wanted.clear()
        if client._oauth_fetch is self:
            client._oauth_fetch = None
        client._oauth_drop()
