"""Records in files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError
from ..records import Record, decode, key
from ._content import Damage, private, text_of, understand
from ._folder import Folder, chosen_folder, made_folder, open_folder, stamp_of
from ._lock import locked
from ._names import address_of, stem_of

__all__ = ["FileStore"]

_SUFFIX = ".json"


class FileStore:
    """Keeps each mailbox in a file of its own, which this user alone can read.

    A file or folder that others can get at is refused, with the command that mends it, and so are symbolic links. A
    file that is no record is never overwritten: the next one takes its place after it got another name. What a later
    version of oauthmail wrote stays as it is.

    Args:
        folder: where; otherwise what the environment variable ``OAUTHMAIL_HOME`` names, or ``oauthmail`` in the
            platform's folder for configuration. It is made when the first record is saved.
        lock_timeout: seconds that `lock` waits for another holder before it gives up.

    Attributes:
        folder: the absolute path.

    Raises:
        StoreError: this user has no home to make a folder in.
    """

    def __init__(self, folder: str | Path | None = None, *, lock_timeout: float = 120) -> None:
        self.folder = chosen_folder(folder)
        self._lock_timeout = lock_timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.folder!r})"

    def path(self, address: str) -> str:
        """Return the path of the address's file, whether it is there or not."""
        return f"{self.folder}{os.sep}{stem_of(address)}{_SUFFIX}"

    @private
    def load(self, address: str) -> Record | None:
        """Return the record, or None where there is none.

        Raises:
            StoreError: the file is damaged, not kept safely, or cannot be read.
        """
        with open_folder(self.folder) as folder:
            content = None if folder is None else folder.read(stem_of(address) + _SUFFIX)
        found = None if content is None else understand(content, address)
        if isinstance(found, Damage):
            raise self._error(found, address)
        return found

    @private
    def save(self, record: Record) -> None:
        """Write the record in place of the one before it, wholly or not at all. The caller holds its lock.

        Raises:
            StoreError: what is there is not kept safely or of a later version, or the system refuses; what is there
                stays as it is.
        """
        name = stem_of(record.address) + _SUFFIX
        content = text_of(record).encode("utf-8", "surrogatepass")
        with made_folder(self.folder) as folder:
            old = folder.read(name)
            found = None if old is None else understand(old, record.address)
            if isinstance(found, Damage) and found.later:
                raise self._error(found, record.address)
            folder.write(name, content, keep_old=isinstance(found, Damage))

    def _error(self, found: Damage, address: str) -> StoreError:
        path = self.path(address)
        return found.error(path, f"{stem_of(address)}{_SUFFIX}.corrupt-1 (or the next free number)", path)

    def delete(self, address: str) -> bool:
        """Remove the file and tell whether there was one. The caller holds its lock.

        Raises:
            StoreError: the folder is not kept safely, or the system refuses.
        """
        name = stem_of(address) + _SUFFIX
        with open_folder(self.folder) as folder:
            if folder is None:
                return False
            # First: whoever takes the lock next would take what is left for the record.
            folder.sweep(name)
            return folder.remove(name)

    def addresses(self) -> list[str]:
        """Return the addresses that have a file, in lower case and sorted.

        Raises:
            StoreError: the folder is not kept safely, or cannot be read.
        """
        with open_folder(self.folder) as folder:
            return [] if folder is None else sorted(set(self._found(folder)))

    def _found(self, folder: Folder) -> Iterator[str]:
        for name in folder.names():
            stem = name.removesuffix(_SUFFIX)
            if stem == name:
                continue
            if (address := address_of(stem)) is not None:
                yield address
            elif "=" in stem:
                # An address that is too long for a file name stands in the file alone.
                with contextlib.suppress(StoreError, ValueError, RecursionError):
                    address = decode(folder.read(name) or b"").address
                    if stem_of(address) == stem:
                        yield key(address)

    @contextlib.contextmanager
    def lock(self, address: str) -> Iterator[None]:
        """Keep other threads and processes from changing this record, for a ``with`` block.

        Raises:
            StoreError: somebody else has held it for too long, this thread holds it already, or the folder is not
                kept safely or has no locks.
        """
        with made_folder(self.folder):
            pass
        with locked(f"{self.folder}{os.sep}{stem_of(address)}.lock", self._lock_timeout):
            self._recover(address)
            yield

    @private
    def _recover(self, address: str) -> None:
        """Finish what a writer was killed over: what it had written whole may hold the only refresh token there is."""
        name = stem_of(address) + _SUFFIX
        with made_folder(self.folder) as folder:
            for left in folder.left_behind(name):
                if isinstance(understand(folder.read(left) or b"", address), Record):
                    old = folder.read(name)
                    found = None if old is None else understand(old, address)
                    if not (isinstance(found, Damage) and found.later):
                        folder.adopt(left, name, keep_old=isinstance(found, Damage))
            folder.sweep(name)

    def stamp(self, address: str) -> object:
        """Return what one look at the file tells: equal as long as the record is the same; None where there is none.

        Raises:
            StoreError: the system refuses the look.
        """
        return stamp_of(self.path(address))
