"""Which files are scanned, and how a change is written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

__all__ = ["python_files", "write"]

# Folders that hold what others wrote.
_SKIPPED = frozenset(
    {
        ".git",
        ".hg",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
        "site-packages",
    }
)
_SUFFIXES = frozenset({".py", ".pyw"})


def python_files(paths: Iterable[Path], failed: Callable[[OSError], object]) -> Iterator[Path]:
    """Return the files to scan, each once: those that are named, and the Python files in folders that are.

    Folders of version control, virtual environments and caches are skipped unless they are named themselves. Links to
    folders are not followed.

    Args:
        paths: files and folders.
        failed: is told of each folder or file that cannot be read.
    """
    seen: set[Path] = set()
    for path in paths:
        for found in _below(path, failed) if path.is_dir() else _named(path, failed):
            real = found.resolve()
            if real not in seen:
                seen.add(real)
                yield found


def _named(path: Path, failed: Callable[[OSError], object]) -> Iterator[Path]:
    # Reading a pipe or a device might never end.
    if path.is_file():
        yield path
    else:
        failed(OSError(errno.EINVAL, "neither a file nor a folder", str(path)))


def _below(folder: Path, failed: Callable[[OSError], object]) -> Iterator[Path]:
    for current, folders, names in os.walk(folder, onerror=failed):
        if "pyvenv.cfg" in names and Path(current) != folder:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            path = Path(current, name)
            try:
                if _is_python(path):
                    yield path
            except OSError as error:
                failed(error)


def _is_python(path: Path) -> bool:
    # A link that leads nowhere is nobody's loss, and reading a pipe would wait for ever.
    if not path.is_file():
        return False
    if path.suffix in _SUFFIXES:
        return True
    with path.open("rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and b"python" in first


def write(path: Path, expected: bytes, changed: bytes) -> Path:
    """Put *changed* in the place of a file in one step, and return where its old content is kept.

    The new file has the old one's mode and, as far as that is allowed, its owner. A link stays a link.

    Args:
        path: the file.
        expected: what it held when it was scanned.
        changed: what it is to hold.

    Raises:
        OSError: it cannot be written, or holds something else by now; then it is as it was.
    """
    real = path.resolve()
    before = real.stat()
    if real.read_bytes() != expected:
        raise OSError(f"{path} has changed since it was read, and is left alone")
    backup = _backup(real, expected, before)
    descriptor, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        _fill(Path(name), descriptor, changed)
        _alike(Path(name), before)
        Path(name).replace(real)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return backup


def _fill(path: Path, descriptor: int, content: bytes) -> None:
    """Write a new file to the disk, or take it away again."""
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def _backup(path: Path, content: bytes, before: os.stat_result) -> Path:
    """Keep *content* beside its file, under a name that is free: an older backup may be the only original."""
    for number in range(1000):
        backup = path.with_name(f"{path.name}.orig" + (f".{number}" if number else ""))
        # Open to nobody else until its mode is the file's.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(backup, flags, 0o600)
        except FileExistsError:
            continue
        _fill(backup, descriptor, content)
        _alike(backup, before)
        os.utime(backup, ns=(before.st_atime_ns, before.st_mtime_ns))
        return backup
    raise FileExistsError(f"{path} has a thousand backups; move them away")


def _alike(path: Path, before: os.stat_result) -> None:
    if hasattr(os, "chown"):
        # Only the superuser gives files away; to one's own group one may.
        with contextlib.suppress(OSError):
            os.chown(path, before.st_uid, before.st_gid)
    path.chmod(stat.S_IMODE(before.st_mode))
