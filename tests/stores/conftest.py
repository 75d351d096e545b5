"""One fixture for every kind of store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest

from oauthmail.stores import FileStore, KeyringStore, MemoryStore, Store

from .backends import FOLDER, Limited, Plain

#: Returns a store that waits so many seconds for a lock; all of a test share what they keep.
Opener = Callable[[float], Store]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "home" / "oauthmail"


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the test's keyrings keep what they are given."""
    path = tmp_path / "keyring"
    path.mkdir()
    monkeypatch.setenv(FOLDER, str(path))
    return path


@pytest.fixture
def use_keyring(entries: Path) -> Iterator[Callable[[keyring.backend.KeyringBackend], None]]:
    """Have keyring use another backend for the length of a test."""
    before = keyring.core._keyring_backend
    yield keyring.set_keyring
    keyring.core._keyring_backend = before


@pytest.fixture(params=["memory", "file", "keyring", "keyring in pieces"])
def opener(
    request: pytest.FixtureRequest, folder: Path, use_keyring: Callable[[keyring.backend.KeyringBackend], None]
) -> Opener:
    """Open one kind of store after the other."""
    if request.param == "memory":
        made: list[Store] = []

        def first(lock_timeout: float) -> Store:
            # There is nothing that a second one could share.
            if not made:
                made.append(MemoryStore(lock_timeout=lock_timeout))
            return made[0]

        return first
    if request.param == "file":
        return lambda lock_timeout: FileStore(folder, lock_timeout=lock_timeout)
    use_keyring(Plain() if request.param == "keyring" else Limited())
    return lambda lock_timeout: KeyringStore(folder=folder, lock_timeout=lock_timeout)


@pytest.fixture
def store(opener: Opener) -> Store:
    """One kind of store after the other."""
    return opener(60)
