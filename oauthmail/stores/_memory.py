"""Records that last as long as the process."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator

from ..errors import StoreError
from ..records import Record, key

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps records in memory: for tests, and for services that keep them in a place of their own.

    Args:
        lock_timeout: seconds that `lock` waits for another thread before it gives up.
    """

    def __init__(self, *, lock_timeout: float = 120) -> None:
        self._lock_timeout = lock_timeout
        self._records: dict[str, tuple[int, Record]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._holders: dict[str, int] = {}
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._records)}>"

    def load(self, address: str) -> Record | None:
        """Return the record, or None where there is none."""
        return self._records.get(key(address), (0, None))[1]

    def save(self, record: Record) -> None:
        """Keep the record in place of the one before it."""
        self._records[key(record.address)] = (next(self._numbers), record)

    def delete(self, address: str) -> bool:
        """Remove the record and tell whether there was one."""
        return self._records.pop(key(address), None) is not None

    def addresses(self) -> list[str]:
        """Return the addresses that have a record, in lower case and sorted."""
        return sorted(self._records)

    @contextlib.contextmanager
    def lock(self, address: str) -> Iterator[None]:
        """Keep other threads from changing this record, for a ``with`` block.

        Raises:
            StoreError: another thread has held it for too long, or this one holds it already.
        """
        name = key(address)
        if self._holders.get(name) == threading.get_ident():
            raise StoreError(f"this thread holds the lock of {name} already: leave the with block that took it first")
        # setdefault is atomic: two threads get the same lock.
        lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(timeout=self._lock_timeout):
            raise StoreError(
                f"another thread has held the lock of {name} for {self._lock_timeout:g} seconds: wait for it to end"
            )
        self._holders[name] = threading.get_ident()
        try:
            yield
        finally:
            del self._holders[name]
            lock.release()

    def stamp(self, address: str) -> object:
        """Return a number that each `save` changes, or None where there is no record."""
        return self._records.get(key(address), (None, None))[0]
