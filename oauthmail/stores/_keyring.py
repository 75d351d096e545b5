"""Records in the keyring of the system."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from ..credentials import check_text
from ..errors import StoreError
from ..records import Record, key
from ._content import Damage, private, text_of, understand
from ._entries import Entries
from ._folder import Folder, chosen_folder, made_folder, stamp_of
from ._lock import locked
from ._names import digest, stem_of

__all__ = ["KeyringStore"]

_INDEX = "mailboxes"


class KeyringStore:
    """Keeps each mailbox in the keyring of the system: macOS Keychain, Windows Credential Manager, Secret Service.

    Needs the extra ``keyring``. Keyrings have no locks and tell nobody of a change, so each mailbox has two empty
    files beside it: one that is locked, and one that is replaced whenever the record is saved.

    Args:
        service: what the keyring's own programs show the entries under.
        folder: for the files; otherwise that of `FileStore`. Processes that share a keyring have to share it too.
        lock_timeout: seconds that `lock` waits for another holder before it gives up.

    Attributes:
        service: as given.
        folder: the absolute path.
    """

    def __init__(
        self, service: str = "oauthmail", *, folder: str | Path | None = None, lock_timeout: float = 120
    ) -> None:
        self.service = check_text("service", service)
        self.folder = chosen_folder(folder)
        self._lock_timeout = lock_timeout
        self._records = Entries(service)
        self._index = Entries(f"{service} ({_INDEX})")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.service!r}, folder={self.folder!r})"

    @private
    def load(self, address: str) -> Record | None:
        """Return the record, or None where there is none.

        Raises:
            StoreError: the keyring is missing, locked or damaged.
        """
        name = key(address)
        found = _understood(self._records.get(name), address)
        if isinstance(found, Damage):
            raise self._error(found, name)
        return found

    @private
    def save(self, record: Record) -> None:
        """Write the record in place of the one before it, wholly or not at all. The caller holds its lock.

        Raises:
            StoreError: the keyring is missing, locked or takes nothing, or what is there is of a later version; what
                is there stays as it is.
        """
        name = key(record.address)
        # ASCII: the limits of backends count what a character takes in their encoding.
        text = json.dumps(json.loads(text_of(record)), separators=(",", ":"))
        stamp = self._beside(stem_of(record.address), "stamp")
        with self._writing() as folder:
            self._keep_aside(name, record.address)
            self._list(name, listed=True)
            # Before and after: a writer that is killed has announced what it may have done.
            _announce(folder, stamp)
            self._records.put(name, text)
            _announce(folder, stamp)

    def _keep_aside(self, name: str, address: str) -> None:
        """Copy what is there under another name, if nobody knows what it is."""
        try:
            text = self._records.get(name)
        except StoreError:
            # Pieces of a text are of no use to anybody. Whatever else is wrong comes up again at once.
            return
        found = _understood(text, address)
        if text is None or not isinstance(found, Damage):
            return
        if found.later:
            raise self._error(found, name)
        asides = (Entries(f"{self.service} (corrupt-{number})") for number in itertools.count(1))
        next(aside for aside in asides if aside.head(name) is None).put(name, text)

    def _error(self, found: Damage, name: str) -> StoreError:
        return found.error(
            f"the entry {name} of {self.service} in the keyring", f"{self.service} (corrupt-1), or the next free number"
        )

    def delete(self, address: str) -> bool:
        """Remove the record and tell whether there was one. The caller holds its lock.

        Raises:
            StoreError: the keyring is missing, locked or does not let it go.
        """
        stamp = self._beside(stem_of(address), "stamp")
        with self._writing() as folder:
            _announce(folder, stamp)
            there = self._records.delete(key(address))
            self._list(key(address), listed=False)
            folder.remove(stamp)
        return there

    def addresses(self) -> list[str]:
        """Return the addresses that have a record, in lower case and sorted.

        Raises:
            StoreError: the keyring is missing, locked or damaged.
        """
        # A name is listed before its record is written.
        return [name for name in self._listed() if self._records.head(name) is not None]

    def _listed(self) -> list[str]:
        try:
            names = json.loads(self._index.get(_INDEX) or "[]")
        except (ValueError, RecursionError):
            return []
        return sorted({name for name in names if isinstance(name, str)}) if isinstance(names, list) else []

    def _list(self, name: str, *, listed: bool) -> None:
        try:
            names = set(self._listed())
        except StoreError:
            # It is only a list. A keyring that refuses everything refuses the next step.
            names = set()
        if (name in names) != listed:
            self._index.put(_INDEX, json.dumps(sorted(names ^ {name})))

    # --- the files beside it --------------------------------------------------------------------------------------

    def _beside(self, stem: str, suffix: str) -> str:
        # No file of a `FileStore` in the same folder is called that.
        return f"{stem}={urllib.parse.quote(self.service, safe='')}.{suffix}"

    @contextlib.contextmanager
    def lock(self, address: str) -> Iterator[None]:
        """Keep other threads and processes from changing this record, for a ``with`` block.

        Raises:
            StoreError: somebody else has held it for too long, this thread holds it already, or the folder is not
                kept safely or has no locks.
        """
        with made_folder(self.folder) as folder:
            path = folder.place(self._beside(stem_of(address), "lock"))
        with locked(path, self._lock_timeout):
            yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Folder]:
        """Change the keyring in the ``with`` block, alone.

        All mailboxes are listed in one entry, and some backends move or rewrite what others are writing.
        """
        with made_folder(self.folder) as folder:
            path = folder.place(self._beside("", "lock"))
            with locked(path, self._lock_timeout):
                yield folder

    def stamp(self, address: str) -> object:
        """Return what one look at a file tells: equal as long as the record is the same; None where there is none.

        Without the file, which somebody may have removed, it takes one look into the keyring.

        Raises:
            StoreError: the system or the keyring refuses the look.
        """
        found = stamp_of(f"{self.folder}{os.sep}{self._beside(stem_of(address), 'stamp')}")
        if found is not None:
            return found
        head = self._records.head(key(address))
        return None if head is None else digest(head)


def _understood(text: str | None, address: str) -> Record | Damage | None:
    return None if text is None else understand(text.encode("utf-8", "surrogatepass"), address)


def _announce(folder: Folder, stamp: str) -> None:
    """Have the stamp change; a disk that is full shall not cost the record."""
    try:
        folder.write(stamp, b"")
        folder.sweep(stamp)
    except StoreError:
        # Without the file, stamps come from the keyring.
        folder.remove(stamp)
