"""Whether files and folders are this user's alone, and what to say where they are not.

Modes and owners are POSIX's; on Windows the folders of a user belong to that user by other means.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from ..errors import StoreError

__all__ = ["POSIX", "check_file", "check_folder", "explained", "is_private", "not_usable"]

POSIX = os.name == "posix"

_ELSEWHERE = "keep tokens in another folder (OAUTHMAIL_HOME)"
_NO_LOCKS = "this file system has no locks, so keep tokens on another one (OAUTHMAIL_HOME)"
_ADVICE = {
    errno.EACCES: f"give this user access, or {_ELSEWHERE}",
    errno.EPERM: f"give this user access, or {_ELSEWHERE}",
    errno.EROFS: _ELSEWHERE,
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "free some space and try again",
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.ENOTSUP: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
}


@contextlib.contextmanager
def explained(place: str, deed: str) -> Iterator[None]:
    """Turn what the system refuses in the ``with`` block into a `StoreError` that says what was to be done.

    Args:
        place: the file or folder.
        deed: a participle, such as ``"written"``.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        said = f"{place} cannot be {deed}: {error.strerror or type(error).__name__}"
        advice = _ADVICE.get(error.errno or 0)
        raise StoreError(f"{said}: {advice}" if advice else said, errno=error.errno, filename=place) from error


def not_usable(place: str, mode: int, wanted: str) -> StoreError:
    """Return the exception for what is there in place of a regular file or a folder.

    Args:
        place: where.
        mode: what ``lstat`` says of it.
        wanted: ``"file"`` or ``"folder"``.
    """
    if stat.S_ISLNK(mode):
        cure = f"put the {wanted} itself there" if wanted == "file" else "name the folder that it leads to"
        return StoreError(f"{place} is a symbolic link, which is not followed: {cure}", filename=place)
    return StoreError(f"{place} is not a {wanted}: move it away, or {_ELSEWHERE}", filename=place)


def check_folder(place: str, found: os.stat_result) -> None:
    """Refuse a folder that is none, or that others can look into.

    Raises:
        StoreError: with the cure.
    """
    if not stat.S_ISDIR(found.st_mode):
        raise not_usable(place, found.st_mode, "folder")
    _check_private(place, found, "700")


def check_file(place: str, found: os.stat_result) -> None:
    """Refuse what is not a regular file, or that others can read or write.

    Raises:
        StoreError: with the cure.
    """
    if not stat.S_ISREG(found.st_mode):
        raise not_usable(place, found.st_mode, "file")
    _check_private(place, found, "600")


def is_private(found: os.stat_result) -> bool:
    """Tell whether the mode lets nobody in but the owner."""
    return not POSIX or not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _check_private(place: str, found: os.stat_result, mode: str) -> None:
    # What root owns, root could read and change in any case; root itself stays away from the files of others, who
    # could read what it writes, or put other tokens in.
    if POSIX and found.st_uid not in (os.geteuid(), 0):
        cure = f"run this as that user, or chown it, or {_ELSEWHERE}"
        raise StoreError(f"{place} belongs to another user (uid {found.st_uid}): {cure}", filename=place)
    if not is_private(found):
        open_to = stat.filemode(found.st_mode)
        import shlex

        cure = f"run  chmod {mode} {shlex.quote(place)}"
        raise StoreError(f"other users can get at {place} (mode {open_to}): {cure}", filename=place)
