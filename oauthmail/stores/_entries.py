"""Texts of any length in a keyring, some of which take no more than a few hundred characters each.

A text that fits stands in its entry. One that does not fit stands in pieces, in entries of their own, and its entry
(the head) says where. New pieces never take the place of those that the head names, and the head changes at once: so
it leads to a whole text at every moment, whenever a writer is killed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

from .._redact import Redactor, printable
from ..errors import StoreError
from ._names import digest

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = ["Entries"]

# Windows takes 2560 bytes (CRED_MAX_CREDENTIAL_BLOB_SIZE), which are 1280 characters in keyring's UTF-16.
_PIECE = 1200
# Longer than any record; a head that claims more is no head.
_MOST_PIECES = 10_000
_OTHER = "or keep tokens in files (FileStore)"

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Head:
    """Where a text's pieces are.

    Attributes:
        slot: ``"a"`` or ``"b"``; new pieces go to the other one.
        pieces: how many.
        sha256: of the whole text, so that pieces of two texts are never taken for one.
    """

    slot: str
    pieces: int
    sha256: str


class Entries:
    """The entries of one service in the keyring of the system.

    Args:
        service: what the keyring's own programs show them under.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def get(self, name: str) -> str | None:
        """Return a text, or None where there is none.

        Raises:
            StoreError: the keyring cannot be read, or pieces of the text are missing.
        """
        seen = None
        while True:
            found = self.head(name)
            head = _parse(found)
            if found is None or head is None:
                return found
            text = "".join(self._read(self._piece(head.slot, number), name) or "" for number in range(head.pieces))
            if digest(text) == head.sha256:
                return text
            if found == seen:
                # Pieces are only removed once the head names others.
                raise StoreError(f"the keyring has lost pieces of the entry {name} of {self._service}")
            seen = found

    def head(self, name: str) -> str | None:
        """Return what tells this text from any other: the text itself, or what names its pieces."""
        return self._read(self._service, name)

    def put(self, name: str, text: str) -> None:
        """Put a text in place of the one before it.

        Args:
            name: of the entry; the user name of other programs.
            text: ASCII alone, of which every backend knows how long it is.

        Raises:
            StoreError: the keyring does not take it.
        """
        old = _parse(self.head(name))
        new = None
        try:
            self._write(self._service, name, text)
        except StoreError:
            if len(text) <= _PIECE:
                raise
            pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
            new = _Head("b" if old is not None and old.slot == "a" else "a", len(pieces), digest(text))
            for number, piece in enumerate(pieces):
                self._write(self._piece(new.slot, number), name, piece)
            self._write(self._service, name, json.dumps(asdict(new)))
        self._clear(name, keep=new)

    def delete(self, name: str) -> bool:
        """Remove a text and tell whether there was one.

        Raises:
            StoreError: the keyring does not let it go.
        """
        there = self._remove(self._service, name)
        self._clear(name, keep=None)
        return there

    def _clear(self, name: str, keep: _Head | None) -> None:
        """Remove the pieces that no head names, of writers that were killed as well."""
        # What is left now is removed the next time.
        with contextlib.suppress(StoreError):
            for slot in "ab":
                numbers = itertools.count(keep.pieces if keep is not None and keep.slot == slot else 0)
                while self._remove(self._piece(slot, next(numbers)), name):
                    pass

    def _piece(self, slot: str, number: int) -> str:
        return f"{self._service} ({slot}{number})"

    # --- one entry ------------------------------------------------------------------------------------------------

    def _read(self, service: str, name: str) -> str | None:
        return _asked(lambda keyring: keyring.get_password(service, name), "read", service)

    def _write(self, service: str, name: str, text: str) -> None:
        _asked(lambda keyring: keyring.set_password(service, name, text), "write", service, text)
        if self._read(service, name) != text:
            raise StoreError(f"the keyring did not keep what was written to {service}: use another one, {_OTHER}")

    def _remove(self, service: str, name: str) -> bool:
        if self._read(service, name) is None:
            return False
        _asked(lambda keyring: keyring.delete_password(service, name), "remove", service)
        return True


def _parse(text: str | None) -> _Head | None:
    """Return the head that *text* is, or None for any other text."""
    try:
        values = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.keys() != {"slot", "pieces", "sha256"}:
        return None
    return _Head(**values) if isinstance(values["pieces"], int) and values["pieces"] <= _MOST_PIECES else None


def _asked(question: Callable[[KeyringBackend], _Result], deed: str, service: str, *secrets: str) -> _Result:
    """Return what the keyring answers, and turn whatever it raises into a `StoreError`."""
    try:
        return question(_backend())
    except StoreError:
        raise
    except Exception as error:
        failed = _error(error, f"cannot {deed} {service} in the keyring", secrets)
    # Out of the handler: the other exception, which may hold a secret, would come along.
    raise failed


def _backend() -> KeyringBackend:
    try:
        import keyring
    except ImportError:
        if importlib.util.find_spec("keyring") is None:
            raise StoreError("the keyring package is missing: python -m pip install 'oauthmail[keyring]'") from None
        raise
    return keyring.get_keyring()


def _error(error: Exception, what: str, secrets: tuple[str, ...]) -> StoreError:
    kinds = {cls.__name__ for cls in type(error).__mro__}
    if "NoKeyringError" in kinds:
        return StoreError(f"{what}: this system has none that can be used: install or start one, {_OTHER}")
    if "KeyringLocked" in kinds:
        return StoreError(f"{what}: it is locked: unlock it and try again, {_OTHER}")
    # Others may quote what they could not read.
    said = f": {Redactor(*secrets)(printable(str(error), 200))}" if "KeyringError" in kinds else ""
    return StoreError(f"{what}: {type(error).__name__}{said}: try again, {_OTHER}")
