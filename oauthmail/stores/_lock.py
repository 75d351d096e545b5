"""Locks that exclude threads and processes, and that the system frees when their holder dies."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import StoreError
from ._safety import explained, not_usable

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["locked"]

# What each thread of this process holds. A child that was forked meanwhile holds none of it.
_HELD: set[tuple[int, int, str]] = set()


@contextlib.contextmanager
def locked(path: str, timeout: float) -> Iterator[None]:
    """Hold the lock on a file for a ``with`` block; the file stays behind, empty.

    Args:
        path: of the file, in a folder that is there.
        timeout: seconds to wait for another holder.

    Raises:
        StoreError: another holder kept it, this thread holds it already, or the file system has no locks.
    """
    held = (os.getpid(), threading.get_ident(), path)
    if held in _HELD:
        raise StoreError(f"this thread holds {path} already: leave the with block that took it first", filename=path)
    lock = _acquired(path, timeout)
    _HELD.add(held)
    try:
        yield
    finally:
        _HELD.discard(held)
        lock.release()


def _acquired(path: str, timeout: float) -> BaseFileLock:
    import filelock

    with explained(path, "locked"):
        with contextlib.suppress(FileNotFoundError):
            mode = os.lstat(path).st_mode
            if not stat.S_ISREG(mode):
                raise not_usable(path, mode, "file")
        # Preserved: without this it falls back to files whose mere presence is the lock, which would outlive a holder
        # that is killed.
        lock = filelock.FileLock(path, timeout, mode=0o600, thread_local=False, preserve_lock_file=True)
        try:
            lock.acquire()
        except filelock.Timeout:
            cure = "wait for it, or end it; the lock ends with its holder, and deleting the file does not free it"
            raise StoreError(
                f"another process or thread has held {path} for {timeout:g} seconds: {cure}", filename=path
            ) from None
    return lock
