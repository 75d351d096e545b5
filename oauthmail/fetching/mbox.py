"""An mbox that messages are appended to, and nothing else is done with: other programs may use it meanwhile.

Lines of a message that look like the beginning of another one get a ``>`` in front, those that have one already, too
(mboxrd), so that it can be taken away again. Lines end as the system has them, which is LF.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import TargetError
from .message import Message
from .target import Block, Pending, Record

__all__ = ["Mbox", "block"]

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_ANOTHER = re.compile(rb"\nFrom ")
_START = b"From "
# No sender, as the message names its own; but no other program's either, so that what is ours can be told.
_SENDER = b"From oauthmail@invalid "
# Seconds that another program may have the file; between two attempts; after which a lock is a dead program's.
_PATIENCE, _STEP, _STALE = 30.0, 0.1, 600.0
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def block(message: Message) -> bytes:
    """Return a message as it stands in an mbox, with the line before it and the blank one behind."""
    when = message.date().utctimetuple()
    # asctime(), but in English wherever it runs.
    day = f"{_DAYS[when.tm_wday]} {_MONTHS[when.tm_mon - 1]} {when.tm_mday:2d}"
    line = f"{day} {when.tm_hour:02d}:{when.tm_min:02d}:{when.tm_sec:02d} {when.tm_year:04d}\n"
    text = _FROM.sub(rb">\1", message.octets.replace(b"\r\n", b"\n"))
    return _SENDER + line.encode("ascii") + text + (b"\n" if text.endswith(b"\n") else b"\n\n")


class Mbox:
    """Such a file; see `Target`.

    Args:
        path: of the mbox; it is made where it is missing.
        record: the list beside it.
        source: where messages come from.
        sleep: waits for other programs to let go of the file.

    Raises:
        TargetError: the file is something else.
    """

    def __init__(self, path: Path, record: Record, source: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._record = record
        self._source = source
        self._sleep = sleep
        with self._locked() as descriptor:
            if record.pending is not None:
                self._settle(descriptor, record.pending)

    def has(self, message_id: str) -> bool:
        """Tell whether a message has been appended once; it need not be there any more."""
        return self._record.has(self._source, message_id)

    def add(self, messages: Sequence[Message]) -> None:
        """Append messages.

        Raises:
            TargetError: they cannot be; then none of them was.
        """
        with self._locked() as descriptor:
            at = os.fstat(descriptor).st_size
            before = _separator(descriptor, at)
            texts = [block(message) for message in messages]
            texts[0] = before + texts[0]
            blocks = tuple(_described(message, text) for message, text in zip(messages, texts, strict=True))
            self._record.adding(Pending(self._source, at, blocks))
            try:
                for text in texts:
                    _write(descriptor, text)
                os.fsync(descriptor)
            except BaseException as error:
                # The list still has these as pending: the next run finds that they are not there.
                os.ftruncate(descriptor, at)
                if isinstance(error, OSError):
                    raise TargetError(f"{self._path} cannot be written: {error.strerror}") from error
                raise
            self._record.added()

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file and keep other programs out."""
        try:
            descriptor = self._open()
        except OSError as error:
            if isinstance(error, TargetError):
                raise
            raise TargetError(f"{self._path} cannot be opened: {error.strerror}") from error
        try:
            if _read(descriptor, len(_START), 0) not in (b"", _START):
                raise TargetError(f"{self._path} is not an mbox: another file, or none, is expected")
            yield descriptor
        finally:
            # Which lets go of the lock.
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        while True:
            descriptor = os.open(self._path, flags, 0o600)
            try:
                self._wait_for(descriptor)
                # A program that has put another file in its place meanwhile had the lock of this one.
                if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _wait_for(self, descriptor: int) -> None:
        """Wait until no other program has the file.

        The lock is fcntl's, as mail programs have it, and it ends with the process. They may have a file ``.lock``
        beside it, too, which is heeded, but not made: one that a killed process leaves keeps everybody out.
        """
        for _ in range(int(_PATIENCE / _STEP)):
            if not self._dot_locked() and _lock(descriptor):
                return
            self._sleep(_STEP)
        raise TargetError(f"{self._path} is locked by another program")

    def _dot_locked(self) -> bool:
        try:
            made = Path(f"{self._path}.lock").stat().st_mtime
        except OSError:
            return False
        return abs(time.time() - made) < _STALE

    def _settle(self, descriptor: int, pending: Pending) -> None:
        """Find out what of an append that was cut off is there; a message that is there in part is removed."""
        position, size = pending.at, os.fstat(descriptor).st_size
        arrived = []
        for expected in pending.blocks:
            text = _read(descriptor, expected.length, position)
            if _digest(text) != expected.digest:
                if _torn(text, expected, position, size):
                    os.ftruncate(descriptor, position)
                break
            arrived.append(expected.id)
            position += expected.length
        self._record.note(pending.source, arrived)


def _torn(text: bytes, expected: Block, position: int, size: int) -> bool:
    """Tell whether *text*, at the end of the file, is the beginning of a message that was being appended."""
    at_end = position + len(text) == size and 0 < len(text) < expected.length
    ours = text.lstrip(b"\n")[: len(_SENDER)]
    # Other programs may have come since: their messages stay.
    return at_end and _SENDER.startswith(ours) and _ANOTHER.search(text, expected.start) is None


def _described(message: Message, text: bytes) -> Block:
    return Block(message.id, len(text), _digest(text), text.index(_START) + len(_START))


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _separator(descriptor: int, size: int) -> bytes:
    """Return what makes the end of the file a blank line."""
    end = _read(descriptor, 2, max(size - 2, 0))
    if not end or end == b"\n\n":
        return b""
    return b"\n" if end.endswith(b"\n") else b"\n\n"


def _read(descriptor: int, length: int, at: int) -> bytes:
    os.lseek(descriptor, at, os.SEEK_SET)
    pieces = []
    while length and (piece := os.read(descriptor, length)):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _write(descriptor: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[os.write(descriptor, left) :]


def _lock(descriptor: int) -> bool:
    """Take fcntl's lock and return whether that worked; where there is none, nobody has it."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True
