"""What every store does."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from ..records import Record

__all__ = ["Store"]


@runtime_checkable
class Store(Protocol):
    """Keeps one `Record` for each mailbox address; the case of the address does not matter.

    Whoever changes a record holds its lock from reading it to writing it::

        with store.lock(address):
            record = store.load(address)
            ...
            store.save(record)

    Reading alone needs no lock: a reader sees the record as it was before a change or as it is after it.
    """

    def load(self, address: str) -> Record | None:
        """Return the record, or None where there is none.

        Raises:
            StoreError: it is there but cannot be read, cannot be understood, or is not kept safely.
        """

    def save(self, record: Record) -> None:
        """Write the record in place of the one before it, wholly or not at all. The caller holds its lock.

        Raises:
            StoreError: it could not be written; the one before it is still there.
        """

    def delete(self, address: str) -> bool:
        """Remove the record and tell whether there was one. The caller holds its lock.

        Raises:
            StoreError: it could not be removed.
        """

    def addresses(self) -> list[str]:
        """Return the addresses that have a record, in lower case and sorted."""

    def lock(self, address: str) -> AbstractContextManager[None]:
        """Keep everybody else from changing this record, for a ``with`` block.

        Other threads and, where the store outlives the process, other processes wait; a holder that is killed holds
        nothing any more. A thread that holds the lock cannot take it again.

        Raises:
            StoreError: somebody else has held it for too long, this thread holds it already, or there are no locks.
        """

    def stamp(self, address: str) -> object:
        """Return a value that is equal as long as the record is the same, or None where there is none.

        It costs one look at a file at the most, so that a record in memory can be checked at every use. Take the
        stamp before loading the record: then a change in between is noticed the next time.
        """
