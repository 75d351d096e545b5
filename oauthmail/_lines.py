"""Files of JSON objects, one a line, that only ever grow: what was noted stays, whatever becomes of the process.

A line that is whole was written before anything that came after it. A process that is killed while it writes leaves
half a line at the end, which is as if it had not been written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .errors import OAuthMailError

__all__ = ["Lines", "open_lines"]


class Lines:
    """Such a file while it is open.

    Args:
        path: of the file.
        descriptor: of the same.
        fail: makes an exception of a sentence.
    """

    def __init__(self, path: Path, descriptor: int, fail: Callable[[str], Exception]) -> None:
        self.path = path
        self._descriptor = descriptor
        self._fail = fail

    def load(
        self, kind: Mapping[str, object], details: Mapping[str, object], take: Callable[[Any], None]
    ) -> Mapping[str, Any]:
        """Go through all objects, and remove half a line at the end.

        Args:
            kind: what the first object has in every file of this kind; another file is left alone.
            details: what the first object of a new file has beside it.
            take: is called with each of the others; it may raise KeyError, TypeError, ValueError or AttributeError
                where one is not what it has to be.

        Returns:
            The first object.
        """
        first: Mapping[str, Any] | None = None
        whole = 0
        start = json.dumps(kind).encode()[:-1]
        # A descriptor of its own, as closing the file must not close the other one.
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for number, line in enumerate(file, 1):
                if first is None and line[: len(start)] != start[: len(line)]:
                    raise self._fail(f"{self.path} is a file of another kind, or of another version")
                if not line.endswith(b"\n"):
                    break
                try:
                    values = json.loads(line)
                    if first is None:
                        first = dict(values)
                    else:
                        take(values)
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise self._fail(f"{self.path} is damaged in line {number}") from None
                whole += len(line)
        os.ftruncate(self._descriptor, whole)
        if first is None:
            first = {**kind, **details}
            self.append(first)
        return first

    def append(self, values: Mapping[str, Any], *, sync: bool = True) -> None:
        """Add an object; with *sync* it is on the disk when this returns."""
        line = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            raise self._fail(f"{self.path} cannot be written: {error.strerror}") from error


@contextmanager
def open_lines(path: Path, fail: Callable[[str], Exception], busy: str, *, folders: bool = False) -> Iterator[Lines]:
    """Have such a file to oneself for a ``with`` block; it is made, for this user alone, where it is missing.

    Args:
        path: of the file; beside it there will be one with ``.lock`` behind its name.
        fail: makes an exception of a sentence.
        busy: who else could have it.
        folders: make the folders above it, too, for this user alone.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(f"{path}.lock", timeout=0, mode=0o600)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with ExitStack() as stack:
        try:
            if folders:
                _make_folder(path.parent)
            if not path.parent.is_dir():
                # The lock's library would make it.
                raise fail(f"{path.parent} is not a folder")
            stack.enter_context(lock)
            descriptor = os.open(path, flags, 0o600)
            stack.callback(os.close, descriptor)
            _settle_folder(path.parent)
        except Timeout:
            # Which is an OSError, too.
            raise fail(f"{busy}: it holds {path}.lock") from None
        except OSError as error:
            if isinstance(error, OAuthMailError):
                raise
            raise fail(f"{path} cannot be opened: {error.strerror}") from error
        yield Lines(path, descriptor, fail)


def _make_folder(folder: Path) -> None:
    # Path.mkdir(parents=True) would make those above it for everybody to read.
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _settle_folder(folder: Path) -> None:
    """Have the name of a new file survive a loss of power, as its content does; Windows has no way to ask for it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
