"""The folder that a store keeps its files in: this user's alone, its files never half written.

It is held open while it is used, and files are named relative to it, so that what was checked is what is used.
Windows has no such names; there they are paths.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ..errors import StoreError
from ._content import LARGEST
from ._safety import POSIX, check_file, check_folder, explained, is_private, not_usable

__all__ = ["Folder", "chosen_folder", "made_folder", "open_folder", "stamp_of"]

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
# O_NONBLOCK: opening a named pipe would wait for somebody to write to it.
_READ = os.O_RDONLY | _NOFOLLOW | _BINARY | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY
_FOLDER = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
# What systems say of a symbolic link that O_NOFOLLOW meets; BSDs have the second.
_MET_A_LINK = (errno.ELOOP, errno.EMLINK)

# Coarser than what the usual file systems keep of a time, except for those that keep whole seconds.
_TICK = 1000

_Result = TypeVar("_Result")


def chosen_folder(given: str | Path | None) -> str:
    """Return the absolute path of the one *given*, or of the usual one.

    The usual one is what the environment variable ``OAUTHMAIL_HOME`` names, and otherwise ``oauthmail`` in the
    platform's folder for configuration.

    Raises:
        StoreError: there is no usual one, because this user has no home.
    """
    folder = None if given is None else str(given)
    if folder is None and (named := os.environ.get("OAUTHMAIL_HOME")):
        # Path.expanduser raises RuntimeError where there is no home.
        folder = os.path.expanduser(named)  # noqa: PTH111
    if folder is None:
        import platformdirs

        # Without a home some versions raise, and others leave the ~ alone.
        with contextlib.suppress(RuntimeError):
            folder = platformdirs.user_config_dir("oauthmail", appauthor=False)
        if folder is None or folder.startswith("~"):
            raise StoreError("this user has no home to keep tokens in: set OAUTHMAIL_HOME to a folder")
    # Absolute, to survive a later chdir; not resolved, because a symbolic link has to be seen to be refused.
    return os.path.abspath(folder)  # noqa: PTH100


@contextlib.contextmanager
def open_folder(path: str) -> Iterator[Folder | None]:
    """Hold a folder open for a ``with`` block; None where it is missing.

    Args:
        path: as `chosen_folder` returned it.

    Raises:
        StoreError: it is no folder, it is open to others, or the system refuses.
    """
    with explained(path, "opened"):
        try:
            folder = _opened(path)
        except FileNotFoundError:
            folder = None
    try:
        yield folder
    finally:
        if folder is not None:
            folder.close()


@contextlib.contextmanager
def made_folder(path: str) -> Iterator[Folder]:
    """Do the same, but make it where it is missing, for this user alone."""
    with explained(path, "opened"):
        try:
            folder = _opened(path)
        except FileNotFoundError:
            with explained(path, "made"):
                Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = _opened(path)
    try:
        yield folder
    finally:
        folder.close()


def stamp_of(path: str) -> tuple[int, int, int] | None:
    """Return what tells one version of a file from the next, or None where it is missing."""
    with explained(path, "read"):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _opened(path: str) -> Folder:
    if not POSIX:
        check_folder(path, os.lstat(path))
        return Folder(path, None)
    try:
        return Folder(path, os.open(path, _FOLDER))
    except OSError as error:
        if error.errno in (errno.ENOTDIR, *_MET_A_LINK):
            # It says what it is; where something above is no folder, lstat fails as open did.
            check_folder(path, os.lstat(path))
        raise


class Folder:
    """An open folder. Its methods take names of files in it, and raise `StoreError` for what the system refuses."""

    def __init__(self, path: str, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor
        if descriptor is not None:
            try:
                check_folder(path, os.fstat(descriptor))
            except StoreError:
                self.close()
                raise

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def place(self, name: str) -> str:
        """Return the path of a file, for people and for what takes nothing else."""
        return f"{self._path}{os.sep}{name}"

    def _at(self, name: str) -> str:
        """Return what names a file together with ``dir_fd=self._descriptor``."""
        return self.place(name) if self._descriptor is None else name

    def names(self) -> list[str]:
        """Return the names of all that is in it."""
        with explained(self._path, "read"):
            return os.listdir(self._path if self._descriptor is None else self._descriptor)  # noqa: PTH208

    def read(self, name: str) -> bytes | None:
        """Return what is in a file, cut off a byte after `LARGEST`, or None where it is missing.

        Raises:
            StoreError: it is a symbolic link or anything else but a regular file, or open to others.
        """
        with explained(self.place(name), "read"):
            try:
                descriptor = _patiently(lambda: self._open_to_read(name))
            except FileNotFoundError:
                return None
            try:
                check_file(self.place(name), os.fstat(descriptor))
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    return file.read(LARGEST + 1)
            finally:
                os.close(descriptor)

    def _open_to_read(self, name: str) -> int:
        if not _NOFOLLOW and stat.S_ISLNK(os.lstat(self._at(name)).st_mode):
            raise not_usable(self.place(name), stat.S_IFLNK, "file")
        try:
            return os.open(self._at(name), _READ, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in _MET_A_LINK:
                raise not_usable(self.place(name), stat.S_IFLNK, "file") from error
            raise

    def write(self, name: str, content: bytes, *, keep_old: bool = False) -> None:
        """Put a new file in place of the one of this name: whoever reads finds the old one or the new one, whole.

        Args:
            name: of the file.
            content: all of it.
            keep_old: give the old one another name first, because nobody knows what it is.
        """
        temporary = f"{name}={os.urandom(8).hex()}.tmp"
        with explained(self.place(name), "written"):
            try:
                self._create(temporary, content)
                self._put_in_place(temporary, name, keep_old=keep_old)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(self._at(temporary), dir_fd=self._descriptor)
                raise
        self._sync()

    def adopt(self, temporary: str, name: str, *, keep_old: bool = False) -> None:
        """Do what is left to do for a file that a writer of *name* had written when it was killed.

        It needs no room on the disk: that may be what is missing.
        """
        with explained(self.place(name), "written"):
            descriptor = os.open(self._at(temporary), _READ, dir_fd=self._descriptor)
            try:
                # Some systems flush only what was opened to be written; it is on its way to the disk all the same.
                with contextlib.suppress(OSError):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._put_in_place(temporary, name, keep_old=keep_old)
        self._sync()

    def _put_in_place(self, temporary: str, name: str, *, keep_old: bool) -> None:
        self._date(temporary, later_than=name)
        if keep_old:
            self._set_aside(name)
        self._replace(temporary, name)

    def _create(self, name: str, content: bytes) -> None:
        descriptor = os.open(self._at(name), _CREATE, 0o600, dir_fd=self._descriptor)
        try:
            if not is_private(os.fstat(descriptor)):
                cure = "keep tokens on another one (OAUTHMAIL_HOME)"
                raise StoreError(f"{self._path} is on a file system that lets others read every file: {cure}")
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _date(self, name: str, *, later_than: str) -> None:
        """Make sure that two versions of a file differ in their time, which the system counts in milliseconds."""
        with contextlib.suppress(FileNotFoundError):
            old = os.stat(self._at(later_than), dir_fd=self._descriptor).st_mtime_ns
            if os.stat(self._at(name), dir_fd=self._descriptor).st_mtime_ns <= old:
                os.utime(self._at(name), ns=(old + _TICK, old + _TICK), dir_fd=self._descriptor)

    def _set_aside(self, name: str) -> None:
        for number in itertools.count(1):
            aside = f"{name}.corrupt-{number}"
            try:
                # An empty file of our own is all that the next step can overwrite.
                os.close(os.open(self._at(aside), _CREATE, 0o600, dir_fd=self._descriptor))
            except FileExistsError:
                continue
            self._replace(name, aside)
            return

    def _replace(self, old: str, new: str) -> None:
        here = self._descriptor
        _patiently(lambda: os.replace(self._at(old), self._at(new), src_dir_fd=here, dst_dir_fd=here))

    def remove(self, name: str) -> bool:
        """Remove a file and tell whether it was there; a symbolic link goes itself."""
        with explained(self.place(name), "removed"):
            try:
                _patiently(lambda: os.unlink(self._at(name), dir_fd=self._descriptor))
            except FileNotFoundError:
                return False
        self._sync()
        return True

    def left_behind(self, name: str) -> list[str]:
        """Return the names of what writers of this file left behind when they were killed."""
        left = re.compile(re.escape(name) + r"=[0-9a-f]{16}\.tmp")
        return [found for found in self.names() if left.fullmatch(found)]

    def sweep(self, name: str) -> None:
        """Remove what they left behind. Nobody may be writing the file now."""
        for found in self.left_behind(name):
            self.remove(found)

    def _sync(self) -> None:
        # The change itself has been made: where it cannot be made to last at once, it lasts a little later.
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)


def _patiently(action: Callable[[], _Result]) -> _Result:
    """Do what Windows refuses for the moment that somebody else has the file open."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return action()
        except PermissionError:
            if POSIX or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
