"""A maildir: one file a message, whose name tells which one of the server's it is."""

from __future__ import annotations

import contextlib
import hashlib
import mailbox
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .errors import TargetError
from .message import Message
from .target import Record

__all__ = ["Maildir"]

#: IMAP's flags and the letters that mean the same in a file's name.
_LETTERS = {"\\draft": "D", "\\flagged": "F", "\\answered": "R", "\\seen": "S", "\\deleted": "T"}


class Maildir:
    """Such a folder; see `Target`.

    The name of a message is the time it was received, its identity and the folder's. So a message that was put there by
    a run that was killed before it noted so is found again, among the new or the others and whatever its flags.

    Args:
        path: of the maildir; it is made where it is missing.
        record: the list in it.
        source: where messages come from.

    Raises:
        TargetError: the folder is something else.
    """

    def __init__(self, path: Path, record: Record, source: str) -> None:
        self._path = path
        self._record = record
        self._source = source
        self._origin = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        prepare(path)
        self._there = {
            each.name.partition(":")[0].partition(".")[2] for part in ("new", "cur") for each in (path / part).iterdir()
        }

    def has(self, message_id: str) -> bool:
        """Tell whether a message has been put there once; it need not be there any more."""
        return self._record.has(self._source, message_id) or self._mark(message_id) in self._there

    def add(self, messages: Sequence[Message]) -> None:
        """Put messages there: those that were read among the others that were, the rest among the new ones.

        Raises:
            TargetError: they cannot be; those before the one that could not are there.
        """
        try:
            for message in messages:
                self._add(message)
            for part in ("new", "cur"):
                _settle(self._path / part)
        except OSError as error:
            raise TargetError(f"{self._path} cannot be written: {error.strerror}") from error
        self._record.note(self._source, [message.id for message in messages])

    def _add(self, message: Message) -> None:
        name = f"{int(message.date().timestamp())}.{self._mark(message.id)}"
        letters = "".join(sorted(_LETTERS[flag.lower()] for flag in message.flags if flag.lower() in _LETTERS))
        final = self._path / "cur" / f"{name}:2,{letters}" if letters else self._path / "new" / name
        temporary = self._path / "tmp" / name
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.octets.replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        self._there.add(self._mark(message.id))

    def _mark(self, message_id: str) -> str:
        """Return the part of a name that tells the message; what POP3 calls one can be of any characters."""
        if re.fullmatch(r"[0-9]{1,10}\.[0-9]{1,10}", message_id):
            validity, _, uid = message_id.partition(".")
            # With as many digits as there can be, so that names sort by age.
            return f"V{validity}U{int(uid):010d}.{self._origin}"
        return f"P{hashlib.sha256(message_id.encode()).hexdigest()[:20]}.{self._origin}"


def prepare(path: Path) -> None:
    """Make a maildir where there is none.

    Raises:
        TargetError: there is something else.
    """
    try:
        if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / "cur").is_dir())):
            raise TargetError(f"{path} is not a maildir: another folder, or none, is expected")
        # It makes the folders for this user alone.
        mailbox.Maildir(path, create=True)
        for part in ("new", "cur", "tmp"):
            (path / part).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        if isinstance(error, TargetError):
            raise
        raise TargetError(f"{path} cannot be made: {error.strerror}") from error


def _settle(folder: Path) -> None:
    """Have names survive a loss of power; Windows has no way to ask for it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
