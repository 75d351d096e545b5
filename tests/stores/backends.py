"""Keyrings for tests: keyring's own classes and rules, kept where the environment says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringError, KeyringLocked, PasswordDeleteError
from keyrings.alt.file import PlaintextKeyring

FOLDER = "OAUTHMAIL_TEST_KEYRING"


class Plain(PlaintextKeyring):  # type: ignore[misc]  # its package has no types
    """The plaintext backend of keyrings.alt, in a folder of the test's own."""

    priority = 0.1

    @property
    def file_path(self) -> str:
        return f"{os.environ[FOLDER]}/plain.cfg"


class Limited(KeyringBackend):
    """A keyring with the limit and the refusal of Windows Credential Manager; each entry is a file."""

    priority = 0.1
    limit = 2560

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def _file(self, service: str, username: str) -> Path:
        # Readable at its beginning, and a name of its own however long it is.
        digest = hashlib.sha256(f"{service}\n{username}".encode()).hexdigest()
        return Path(os.environ[FOLDER]) / f"{service.replace('/', '_')} {digest}"

    def get_password(self, service: str, username: str) -> str | None:
        try:
            return self._file(service, username).read_text("utf-16")
        except FileNotFoundError:
            return None

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > self.limit:
            raise RuntimeError(1783, "CredWrite", "The stub received bad data.")
        file = self._file(service, username)
        new = file.with_name(f"new-{os.getpid()}-{os.urandom(4).hex()}")
        new.write_text(password, "utf-16")
        new.replace(file)

    def delete_password(self, service: str, username: str) -> None:
        try:
            self._file(service, username).unlink()
        except FileNotFoundError:
            raise PasswordDeleteError("not found") from None


class Locked(Limited):
    """A keyring that nobody unlocks."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("Failed to unlock the collection!")

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")


class Talkative(Limited):
    """A keyring whose refusals repeat what they refuse."""

    def set_password(self, service: str, username: str, password: str) -> None:
        if "mailboxes" not in service:
            raise KeyringError(f"no room for {password}")
        super().set_password(service, username, password)


class Confused(Limited):
    """A keyring that repeats what it cannot read."""

    def get_password(self, service: str, username: str) -> str | None:
        found = super().get_password("oauthmail (a0)", username)
        raise ValueError(f"cannot read {found}")


class Forgetful(Limited):
    """A keyring that cuts off what is too long and says nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password[: self.limit // 2])
