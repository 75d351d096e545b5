r"""Many messages of a POP3 mailbox, asked for ahead of time where the server allows it (RFC 2449 section 6.6).

::

    C: RETR 1
    C: RETR 2
    S: +OK 1234 octets
    S: …
    S: .
    C: RETR 3
    S: -ERR there is no message 2
"""

from __future__ import annotations

import io
import itertools
import operator
import poplib
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from ._pace import Pace

__all__ = ["Retrieve", "RetrievedMessage"]

# Commands under way: together they have to fit what the two systems hold between the programs, as the server reads
# none before it has written the answers to those before it.
_COMMANDS = 1024
# Octets that are kept for the caller while another command goes out.
_KEPT = 32 << 20
# Octets of one message. The largest mail that any service takes has a fifth of it.
_MESSAGE = 1 << 30
# Octets read at a time of a message whose lines end in LF alone.
_BLOCK = 1 << 16
_DOT = b".\r\n"
_END = b"\r\n" + _DOT


class RetrievedMessage(NamedTuple):
    """A message, or the server's refusal to send it.

    Attributes:
        number: as it was asked for.
        octets: the message; lines end in CRLF, and no dots are added to them. ``b""`` where it was refused.
        reply: the line with which the server answered.
        error: the refusal, such as for a message that was deleted; None otherwise.
    """

    number: int
    octets: bytes
    reply: bytes
    error: poplib.error_proto | None

    def __repr__(self) -> str:
        return (
            f"RetrievedMessage(number={self.number}, octets=<{len(self.octets)} octets>, reply={self.reply!r},"
            f" error={self.error!r})"
        )


class Retrieve:
    """One iteration over messages; what it has asked for is read by it, or by the command that comes in between.

    Args:
        client: an `oauthmail.POP3`.
        numbers: see `oauthmail.POP3.retrieve`.
    """

    def __init__(self, client: Any, numbers: Iterable[int]) -> None:
        if isinstance(numbers, str | bytes):
            raise TypeError("message numbers are integers, one by one")
        self._client = client
        self._numbers = iter(numbers)
        self._ended = False
        self._pace = Pace(_COMMANDS)
        self._pipelining = False
        self._messages = self._octets = 0
        # So many under way, or fewer, and it is time to ask for more.
        self._low = 0
        self._under_way: deque[int] = deque()
        self._kept: deque[RetrievedMessage] = deque()
        self._failure: BaseException | None = None
        self._broken = False
        self._abandoned = False

    def messages(self) -> Iterator[RetrievedMessage]:
        """Return the messages as they arrive; see `oauthmail.POP3.retrieve`."""
        try:
            self._pipelining = self._client._oauth_pipelines()
            while True:
                if len(self._under_way) + len(self._kept) <= self._low and not self._ended:
                    self._ask()
                if self._kept:
                    yield self._kept.popleft()
                elif self._under_way:
                    yield self._read()
                elif self._failure is not None:
                    self._fail()
                else:
                    return
        finally:
            self._abandoned = True

    # --- asking ---------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask for as many messages as may be under way."""
        self._pace.count(self._messages, self._octets)
        self._messages = self._octets = 0
        most = self._pace.under_way if self._pipelining else 1
        window = most - len(self._under_way) - len(self._kept)
        # Not for every message that has come, but for a few at a time.
        self._low = max(most - self._pace.window, 0)
        numbers: list[int] = []
        try:
            while len(numbers) < window:
                numbers.append(_checked(next(self._numbers)))
        except StopIteration:
            self._ended = True
        except Exception as error:
            # Whatever the caller's iterable raises is for the caller, after what was asked for before.
            self._failure, self._ended = error, True
        if numbers:
            self._send(numbers)

    def _send(self, numbers: list[int]) -> None:
        client = self._client
        # What this iteration has under way need not be read first, as it would for every other command.
        if client._oauth_retrieve is self:
            client._oauth_retrieve = None
        try:
            sock = client._oauth_ready()
            for number in numbers:
                if client._debugging:
                    print("*cmd*", repr(f"RETR {number}"))
                if client._debugging > 1:
                    print("*put*", repr(b"RETR %d" % number))
                sys.audit("poplib.putline", client, b"RETR %d" % number)
            sock.sendall(b"".join(b"RETR %d\r\n" % number for number in numbers))
        except (poplib.error_proto, OSError) as error:
            # What has come before the line was lost is still to be read; half a command may have gone.
            self._failure, self._ended, self._broken = error, True, True
        except BaseException:
            self._lose()
            raise
        else:
            self._under_way.extend(numbers)
        if self._under_way:
            client._oauth_retrieve = self

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
                room -= len(message.octets)
                if self._abandoned:
                    continue
                if room > 0:
                    self._kept.append(message)
                else:
                    # Asking once more costs time, keeping them all could cost any memory.
                    again.append(message.number)
            if again:
                self._numbers, self._ended = itertools.chain(again, self._numbers), False
            if self._broken:
                self._fail()
        except (poplib.error_proto, OSError) as error:
            self._failure = error
            raise
        except BaseException as error:
            self._failure = poplib.error_proto(f"-ERR {error!r}")
            raise

    def _read(self) -> RetrievedMessage:
        """Read the next answer."""
        client = self._client
        try:
            reply = self._reply()
            refused = not reply.startswith(b"+")
            octets = b"" if refused else self._text()
        except BaseException:
            # Half an answer may be read: what follows could be taken for the answer to something else.
            self._lose()
            raise
        number = self._under_way.popleft()
        if not self._under_way:
            client._oauth_retrieve = None
        self._messages += 1
        self._octets += len(octets)
        return RetrievedMessage(number, octets, reply, poplib.error_proto(reply) if refused else None)

    def _lose(self) -> None:
        client = self._client
        self._ended = True
        self._under_way.clear()
        if client._oauth_retrieve is self:
            client._oauth_retrieve = None
        client._oauth_drop()

    def _file(self) -> Any:
        if self._client.file is None:
            raise poplib.error_proto("-ERR EOF")
        return self._client.file

    def _reply(self) -> bytes:
        """Read the line that says whether a message follows, as the parent class does."""
        client = self._client
        line: bytes = self._file().readline(poplib._MAXLINE + 1)  # type: ignore[attr-defined]  # not in typeshed
        if len(line) > poplib._MAXLINE:  # type: ignore[attr-defined]  # not in typeshed
            raise poplib.error_proto("line too long")
        if client._debugging > 1:
            print("*get*", repr(line))
        if not line.endswith(b"\n"):
            # Half a line is none.
            raise poplib.error_proto("-ERR EOF")
        reply = line[:-1].strip(b"\r")
        if client._debugging > 1:
            print("*resp*", repr(reply))
        if not reply.startswith((b"+", b"-ERR")):
            raise poplib.error_proto(reply)
        return reply

    def _text(self) -> bytes:
        """Read a message to its end, a line with a dot alone."""
        file = self._file()
        line: bytes = file.readline(_BLOCK)
        if line == b".\r\n":
            octets = b""
        elif line.endswith(b"\n") and not line.endswith(b"\r\n"):
            octets = _by_line(file, line)
        else:
            octets = _at_once(file, line)
        if self._client._debugging > 1:
            for each in io.BytesIO(octets + _DOT):
                print("*get*", repr(each))
        # RFC 1939 section 3: to a line that begins with a dot another one is added.
        if octets.startswith(b".."):
            octets = octets[1:]
        return octets.replace(b"\r\n..", b"\r\n.")


def _at_once(file: io.BufferedReader, octets: bytes) -> bytes:
    """Return a message as it is on the line, of which *octets* have been read; lines may be of any length."""
    pieces = [octets]
    size = len(octets)
    tail = octets[1 - len(_END) :]
    while size < _MESSAGE:
        # This makes at most one read of the socket, and none while something is buffered.
        window = file.peek(1)
        if not window:
            raise poplib.error_proto("-ERR EOF")
        seen = tail + window
        end = seen.find(_END)
        if end >= 0:
            pieces.append(file.read(end + len(_END) - len(tail)))
            return b"".join(pieces)[: -len(_DOT)]
        pieces.append(file.read(len(window)))
        size += len(window)
        tail = seen[1 - len(_END) :]
    raise poplib.error_proto("-ERR more octets than any message has")


def _by_line(file: io.BufferedReader, line: bytes) -> bytes:
    """Do the same where the server ends its lines in LF alone, as the message's first line shows."""
    pieces: list[bytes] = []
    size = 0
    fresh = True
    while size < _MESSAGE:
        if not line:
            raise poplib.error_proto("-ERR EOF")
        if fresh and line in (b".\n", _DOT):
            return re.sub(rb"\r?\n", b"\r\n", b"".join(pieces))
        pieces.append(line)
        size += len(line)
        fresh = line.endswith(b"\n")
        line = file.readline(_BLOCK)
    raise poplib.error_proto("-ERR more octets than any message has")


def _checked(number: int) -> int:
    number = operator.index(number)
    if number < 1:
        raise ValueError(f"not a message number: {number}")
    return number
