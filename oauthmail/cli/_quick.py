"""The access token that is kept of a mailbox, where it is plain to see that it is good.

`Account.token` is what decides. This is a shortcut for ``oauthmail token``, which other programs run for every
connection: it gives the answer that the account would give, or none, and then the account is asked. Nothing is
imported but what reading a file takes; the classes of a record alone would take twice as long as all of this.
"""

from __future__ import annotations

import os
import sys
import time

from ..stores._safety import POSIX, check_file, check_folder

__all__ = ["kept_token", "path_of"]

# No token is longer, and no record of one.
_LARGEST = 1 << 16

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789@+-_.")


def kept_token(address: str) -> str | None:
    """Return the token that is kept in the usual folder, if it is good now; None for anything unusual."""
    path = path_of(address)
    if path is None or not POSIX:
        return None
    try:
        import json

        record = json.loads(_read(*path))
        held = record["credentials"]
        token = held["access_token"]
        # Whatever else there may be in it, the account judges.
        plain = record["version"] == 1 and held["kind"] == "oauth2" and held.get("token_type", "Bearer") == "Bearer"
        ours = record["address"].lower() == address.lower()
        ends = held.get("expires_at", float("inf"))
        good = time.time() + record.get("renew_ahead", 60) < ends
        sendable = token.isascii() and token.isprintable() and " " not in token and token[0] not in "{[\"'"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return token if plain and ours and good and sendable and isinstance(token, str) else None


def path_of(address: str) -> tuple[str, str] | None:
    """Return the folder and the name of a mailbox's file in it; None for an address whose name is not plain."""
    name = address.lower()
    # What begins like this may be a device on some systems, and gets another name on all.
    device = name.startswith(("con.", "prn.", "aux.", "nul.", "com", "lpt"))
    if not _PLAIN.issuperset(name) or "@" not in name or name.startswith(".") or device or len(name) > 200:
        return None
    folder = _folder()
    return None if folder is None else (folder, f"{name}.json")


def _folder() -> str | None:
    """Return the usual folder, where platformdirs, which takes longer to import than Python to start, need not say."""
    folder = os.environ.get("OAUTHMAIL_HOME")
    if not folder:
        if sys.platform != "linux" or "ANDROID_DATA" in os.environ:
            return None
        configuration = os.environ.get("XDG_CONFIG_HOME", "")
        if configuration and not configuration.startswith("/"):
            return None
        folder = f"{configuration or '~/.config'}/oauthmail"
    folder = os.path.expanduser(folder)  # noqa: PTH111  # nor need pathlib
    return None if folder.startswith("~") else os.path.abspath(folder)  # noqa: PTH100


def _read(folder: str, name: str) -> bytes:
    """Return what is in a file that is this user's alone, as is its folder.

    Raises:
        OSError: it is not, or cannot be read.
    """
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        check_folder(folder, os.fstat(place))
        # O_NONBLOCK: opening a named pipe would wait for somebody to write to it.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        try:
            check_file(name, os.fstat(file))
            return os.read(file, _LARGEST)
        finally:
            os.close(file)
    finally:
        os.close(place)
