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
from typing import Any, NamedTuple, NoReturn

from ._fetch_data import PLAIN, Item, facts
from ._imap_numbers import Unseen, existing
from ._numbers import HIGHEST, LINE, Numbers, Run, parse, written
from ._pace import Pace
from .errors import AuthenticationError

__all__ = ["Fetch", "FetchedMessage"]

# Messages under way. As the server may not read a command before it has written all answers before it, the commands for
# them have to fit what the two systems hold: they are nine lines of 4,000 octets at most, where no UID follows another.
_MESSAGES = 4096
# Octets of one literal, of which the largest mail that any service takes has a fifth, and how many a response has.
_LITERAL_SIZE = 1 << 30
_LITERALS = 1000
_BLOCK = 1 << 20
# Octets of other responses while an answer is waited for; an expunged folder of a million messages has a third.
_OTHERS = 64 << 20
# Octets that are kept for the caller while another command goes out.
_KEPT = 32 << 20

_ANSWER = re.compile(rb"\* (\d{1,10}) FETCH ").match
_LITERAL = re.compile(rb"\{(\d+)\}$").search
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
        self._wanted: set[int] | Unseen = set()
        self._kept: deque[FetchedMessage] = deque()
        self._messages = self._octets = self._others = 0
        # For the log, which has ten.
        self._lines: deque[bytes] = deque(maxlen=10)
        self._failure: BaseException | None = None
        self._broken = False
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
                    self._fail()
                elif not self._numbers:
                    return
                else:
                    self._ask()
        finally:
            self._abandoned = True

    # --- asking ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Find out which numbers there are, where the set does not say it."""
        if self._uid:
            few = self._numbers.listed or self._numbers.count <= self._pace.window
            if few and self._numbers.last != HIGHEST:
                return
            runs = self._numbers.runs
            if 0 < self._client._oauth_exists <= self._pace.under_way and len(written(runs)) <= LINE:
                # No more can come than would be asked for at first anyway.
                self._wanted, self._numbers = Unseen(self._numbers, _MESSAGES), Numbers(())
                self._send(runs)
            else:
                try:
                    self._numbers = existing(self._client, self._numbers)
                except (self._client.abort, OSError):
                    self._lose()
                    raise
        elif self._shrinks:
            self._numbers = self._numbers.below(self._client._oauth_exists)

    def _ask(self) -> None:
        """Ask for as many messages as may be under way."""
        client = self._client
        while self._numbers and self._failure is None:
            waiting = len(self._wanted) + len(self._kept)
            if waiting + self._pace.window > self._pace.under_way:
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
            # What has come before the line was lost is still to be read; half a command may have gone.
            self._failure = error
            self._broken = type(error) is client.abort or isinstance(error, OSError)
        except BaseException:
            self._lose()
            raise
        else:
            self._under_way[tag] = runs
            for first, last in runs:
                self._wanted.update(range(first, last + 1))
        if self._under_way:
            client._oauth_fetch = self

    def _fail(self) -> NoReturn:
        if self._broken:
            self._lose()
        assert self._failure is not None  # noqa: S101  # for type checkers
        raise self._failure

    # --- reading --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Read what is under way, and keep it for the caller of `messages`, so that another command can go out."""
        room = _KEPT - sum(len(message.octets) for message in self._kept)
        again: list[int] = []
        try:
            while self._under_way:
                message = self._read()
                if message is None or self._abandoned:
                    continue
                room -= len(message.octets)
                if room > 0:
                    self._kept.append(message)
                else:
                    # Asking once more costs time, keeping them all could cost any memory.
                    again.append(message.uid or 0 if self._uid else message.number)
            if again:
                self._numbers.put_back(again)
                self._wanted = set()
            if self._broken:
                self._fail()
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
            line = client.readline()
            plain = PLAIN(line)
            if plain is not None and client.debug < 4:
                message = self._plain(line, plain)
            else:
                client._oauth_line = line
                message = self._response(line)
            if message is not None:
                return message
            self._others += len(line) + 100
            if self._others > _OTHERS:
                raise client.abort("more responses than any FETCH command needs")
        except BaseException as error:
            # Half a response may be read: what follows could be taken for the answer to something else.
            self._lose()
            if isinstance(error, ValueError):
                raise client.abort("command: FETCH => the connection is closed") from error
            raise
        return None

    def _plain(self, line: bytes, plain: re.Match[bytes]) -> FetchedMessage | None:
        """Read the rest of an answer of the usual form; this is where the time goes."""
        client = self._client
        number, rest, uid, size = plain.groups()
        octets = client.read(int(size)) if len(size) < 7 else self._literal(size)
        end = client.readline()
        self._lines += line, end
        head = number + b" " + rest
        if end != b")\r\n":
            client._oauth_line = end
            return self._rest(number, [(head, octets)], client._get_line())
        return self._message(int(number), None if uid is None else int(uid), octets, [(head, octets), b")"])

    def _response(self, line: bytes) -> FetchedMessage | None:
        """Read any response, with whatever debug output belongs to it."""
        client = self._client
        self._log()
        answer = _ANSWER(line)
        if answer is not None:
            return self._rest(answer[1], [], answer[1] + b" " + client._get_line()[answer.end() :])
        client._get_response()
        if line[:2] != b"* ":
            self._finish()
        client._check_bye()
        return None

    def _rest(self, number: bytes, data: list[Item], head: bytes) -> FetchedMessage | None:
        """Read what an answer consists of, of which the line *head* has been read."""
        client = self._client
        while head[-1:] == b"}" and (literal := _LITERAL(head)):
            if len(data) >= _LITERALS:
                raise client.abort("more literals than any response needs")
            data.append((head, self._literal(literal[1])))
            head = client._get_line()
        data.append(head)
        uid, octets, only_flags = facts(data)
        if only_flags and not self._only_flags:
            return None
        return self._message(int(number), uid, octets, data)

    def _message(self, number: int, uid: int | None, octets: bytes, data: list[Item]) -> FetchedMessage | None:
        asked = uid if self._uid else number
        if asked is None or asked not in self._wanted:
            return None
        self._wanted.discard(asked)
        self._others = 0
        self._octets += len(octets)
        self._messages += 1
        return FetchedMessage(number, uid, octets, data)

    def _log(self) -> None:
        """Have the last lines that were read in the client's log, where the parent class puts every line at once."""
        if __debug__:
            for line in self._lines:
                self._client._log(f"< {line[:-2]!r}")
        self._lines.clear()

    def _literal(self, announced: bytes) -> bytes:
        """Read a literal; memory for it grows with what has arrived, not with what the server announced."""
        client = self._client
        size = int(announced) if len(announced) <= len(str(_LITERAL_SIZE)) else _LITERAL_SIZE + 1
        if size > _LITERAL_SIZE:
            raise client.abort("a literal of impossible size")
        if __debug__ and client.debug >= 4:
            client._mesg(f"read literal size {size}")
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
            self._pace.count(self._messages, self._octets)
            self._messages = self._octets = 0
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
        self._log()
        self._under_way.clear()
        self._wanted = set()
        if client._oauth_fetch is self:
            client._oauth_fetch = None
        client._oauth_drop()
