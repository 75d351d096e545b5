"""Which files are scanned, and how a change is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from oauthmail.scan import python_files, write


def scanned(*paths: Path) -> list[str]:
    """Return the names of the files to scan; anything that cannot be read is an error."""
    failures: list[OSError] = []
    found = [path.name for path in python_files(paths, failures.append)]
    assert failures == []
    return found


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_python_files_and_scripts_of_python_are_scanned(tmp_path: Path) -> None:
    touch(tmp_path / "module.py")
    touch(tmp_path / "window.pyw")
    touch(tmp_path / "deep" / "er" / "module2.py")
    touch(tmp_path / "script", "#!/usr/bin/env python3\n")
    touch(tmp_path / "old-script.cgi", "#! /usr/bin/python2.4 -u\n")
    touch(tmp_path / "shell", "#!/bin/sh\n# python\n")
    touch(tmp_path / "notes.txt", "import smtplib\n")
    touch(tmp_path / "module.py.orig", "import smtplib\n")
    (tmp_path / "image.png").write_bytes(bytes(range(256)))
    assert sorted(scanned(tmp_path)) == ["module.py", "module2.py", "old-script.cgi", "script", "window.pyw"]


@pytest.mark.parametrize("name", [".git", ".venv", "node_modules", "__pycache__", "site-packages", ".tox"])
def test_what_others_wrote_is_skipped_unless_it_is_named(name: str, tmp_path: Path) -> None:
    touch(tmp_path / "mine.py")
    touch(tmp_path / name / "theirs.py")
    assert scanned(tmp_path) == ["mine.py"]
    assert scanned(tmp_path / name) == ["theirs.py"]


def test_a_virtual_environment_of_any_name_is_skipped_unless_it_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "my-env" / "pyvenv.cfg")
    touch(tmp_path / "my-env" / "bin" / "theirs.py")
    assert scanned(tmp_path) == []
    assert scanned(tmp_path / "my-env") == ["theirs.py"]


def test_a_file_that_is_named_is_scanned_whatever_it_is_called(tmp_path: Path) -> None:
    assert scanned(touch(tmp_path / "notes.txt")) == ["notes.txt"]


def test_a_file_is_scanned_once(tmp_path: Path) -> None:
    module = touch(tmp_path / "module.py")
    (tmp_path / "same.py").symlink_to(module)
    assert scanned(tmp_path, module, tmp_path) == ["module.py"]


def test_links_to_folders_and_to_nowhere_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "folder" / "module.py")
    (tmp_path / "folder" / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "folder" / "gone.py").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder" / "itself.py").symlink_to(tmp_path / "folder" / "itself.py")
    assert scanned(tmp_path / "folder") == ["module.py"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert scanned(tmp_path) == []
    failures: list[OSError] = []
    assert list(python_files([tmp_path / "pipe.py"], failures.append)) == []
    assert [str(failure) for failure in failures] == [
        f"[Errno 22] neither a file nor a folder: '{tmp_path / 'pipe.py'}'"
    ]


def test_a_change_keeps_the_old_file_beside_the_new_one(tmp_path: Path) -> None:
    path = touch(tmp_path / "mail.py", "old")
    backup = write(path, b"old", b"new")
    assert (path.read_text(), backup, backup.read_text()) == ("new", tmp_path / "mail.py.orig", "old")
    assert names(tmp_path) == ["mail.py", "mail.py.orig"]


def test_a_backup_is_never_overwritten(tmp_path: Path) -> None:
    path = touch(tmp_path / "mail.py", "first")
    write(path, b"first", b"second")
    backup = write(path, b"second", b"third")
    assert (backup.name, backup.read_text()) == ("mail.py.orig.1", "second")
    assert (tmp_path / "mail.py.orig").read_text() == "first"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400, 0o750])
def test_both_files_have_the_mode_of_the_old_one(mode: int, tmp_path: Path) -> None:
    path = touch(tmp_path / "mail.py", "old")
    path.chmod(mode)
    backup = write(path, b"old", b"new")
    assert [stat.S_IMODE(found.stat().st_mode) for found in (path, backup)] == [mode, mode]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = touch(tmp_path / "real" / "mail.py", "old")
    link = tmp_path / "link.py"
    link.symlink_to(real)
    backup = write(link, b"old", b"new")
    assert (link.is_symlink(), real.read_text(), backup.parent) == (True, "new", real.parent)


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = touch(tmp_path / "mail.py", "somebody else's")
    with pytest.raises(OSError, match="has changed since it was read"):
        write(path, b"old", b"new")
    assert (path.read_text(), names(tmp_path)) == ("somebody else's", ["mail.py"])


@pytest.mark.parametrize("times", [pytest.param(1, id="the backup"), pytest.param(2, id="the new file")])
def test_a_full_disk_leaves_the_file_as_it_was(times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = touch(tmp_path / "mail.py", "old")
    sync, left = os.fsync, iter(range(times - 1))

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"old", b"new")
    # A backup that is whole does no harm.
    assert (path.read_text(), names(tmp_path)) == ("old", ["mail.py", "mail.py.orig"][:times])
