"""Files: who can read them, what is never followed or overwritten, and what a writer that dies leaves behind."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from oauthmail import StoreError
from oauthmail.records import encode
from oauthmail.stores import FileStore

from .program import answer_of, files_in, ready, start
from .samples import ADDRESS, mode_of, number_of, record_number, shown_by

NOBODY = 65534
ROOT = os.geteuid() == 0
NAME = f"{ADDRESS}.json"
# printf %0201d 0 | tr 0 a | sha256sum
LONG = "a92efd82109373e58f9a2056dee01e807e216ce6075f7051207c0a9f7d666e50"


@pytest.fixture
def store(folder: Path) -> FileStore:
    """A store with one record, number 1."""
    store = FileStore(folder, lock_timeout=0.05)
    store.save(record_number(1))
    return store


@pytest.fixture
def file(store: FileStore) -> Path:
    """The file of that record."""
    return Path(store.path(ADDRESS))


class TestModes:
    def test_everything_is_the_users_alone_where_no_umask_helps(self, folder: Path) -> None:
        modes = answer_of(start("save_without_umask", folder))
        assert modes == {"oauthmail": "0o700", NAME: "0o600", f"{ADDRESS}.lock": "0o600"}

    def test_nobody_else_can_read_a_file_at_its_first_byte(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        modes: list[int] = []
        real = os.write

        def write(descriptor: int, content: bytes) -> int:
            modes.append(os.fstat(descriptor).st_mode & 0o777)
            return real(descriptor, content)

        monkeypatch.setattr(os, "write", write)
        before = os.umask(0)
        try:
            store.save(record_number(2))
        finally:
            os.umask(before)
        assert set(modes) == {0o600}

    def test_folders_above_have_the_usual_mode(self, folder: Path) -> None:
        before = os.umask(0o022)
        try:
            FileStore(folder).save(record_number(1))
        finally:
            os.umask(before)
        assert mode_of(folder.parent) == 0o755

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
    @pytest.mark.parametrize("action", ["load", "save"])
    def test_a_file_that_others_can_get_at_is_refused(
        self, store: FileStore, file: Path, mode: int, action: str
    ) -> None:
        file.chmod(mode)
        with pytest.raises(StoreError, match=rf"other users can get at {file} \(mode .*\): run  chmod 600 {file}$"):
            store.load(ADDRESS) if action == "load" else store.save(record_number(2))

    @pytest.mark.parametrize("mode", [0o750, 0o705, 0o720, 0o702, 0o755, 0o777])
    @pytest.mark.parametrize("action", ["load", "save", "delete", "addresses", "lock"])
    def test_a_folder_that_others_can_get_at_is_refused(
        self, store: FileStore, folder: Path, mode: int, action: str
    ) -> None:
        folder.chmod(mode)
        with pytest.raises(StoreError, match=rf"other users can get at {folder} \(mode .*\): run  chmod 700 {folder}$"):
            act(store, action)

    def test_the_command_that_mends_it_is_fit_for_a_shell(self, tmp_path: Path) -> None:
        folder = tmp_path / "it's mine"
        folder.mkdir()
        folder.chmod(0o755)
        with pytest.raises(StoreError) as caught:
            FileStore(folder).load(ADDRESS)
        subprocess.run(str(caught.value).partition("run")[2], shell=True, check=True)  # noqa: S602
        assert mode_of(folder) == 0o700

    def test_a_mended_file_is_taken(self, store: FileStore, file: Path) -> None:
        file.chmod(0o644)
        file.chmod(0o600)
        assert store.load(ADDRESS) == record_number(1)

    @pytest.mark.skipif(not ROOT, reason="only root can give a file away")
    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_what_belongs_to_another_user_is_refused(
        self, store: FileStore, file: Path, folder: Path, what: str
    ) -> None:
        os.chown(file if what == "file" else folder, NOBODY, NOBODY)
        with pytest.raises(StoreError, match=f"belongs to another user \\(uid {NOBODY}\\): run this as that user"):
            store.load(ADDRESS)

    def test_a_file_system_without_modes_is_refused_before_the_first_byte(
        self, store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.open

        def open_for_all(path: str, flags: int, mode: int = 0o777, **kwargs: Any) -> int:
            descriptor = real(path, flags, mode, **kwargs)
            if flags & os.O_CREAT:
                os.fchmod(descriptor, 0o755)
            return descriptor

        monkeypatch.setattr(os, "open", open_for_all)
        with pytest.raises(StoreError, match="on a file system that lets others read every file: keep tokens on"):
            store.save(record_number(2))
        assert (store.load(ADDRESS), files_in(folder)) == (record_number(1), [NAME])


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return len(files_in("/dev/fd"))


def act(store: FileStore, action: str) -> None:
    """Do one of the things that a store does."""
    if action == "save":
        store.save(record_number(2))
    elif action == "lock":
        with store.lock(ADDRESS):
            pass
    elif action == "addresses":
        store.addresses()
    else:
        getattr(store, action)(ADDRESS)


class TestLinks:
    @pytest.mark.parametrize("action", ["load", "save"])
    def test_a_file_that_is_a_symbolic_link_is_refused(
        self, store: FileStore, file: Path, tmp_path: Path, action: str
    ) -> None:
        elsewhere = file.rename(tmp_path / "elsewhere")
        file.symlink_to(elsewhere)
        with pytest.raises(StoreError, match=f"{file} is a symbolic link, which is not followed: put the file itself"):
            act(store, action)
        assert file.is_symlink()

    @pytest.mark.parametrize("action", ["load", "save", "delete", "addresses", "lock"])
    @pytest.mark.parametrize("there", [True, False], ids=["to a folder", "to nothing"])
    def test_a_folder_that_is_a_symbolic_link_is_refused(
        self, store: FileStore, folder: Path, tmp_path: Path, action: str, there: bool
    ) -> None:
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / ("elsewhere" if there else "nowhere"))
        with pytest.raises(StoreError, match=f"{folder} is a symbolic link, which is not followed: name the folder"):
            act(store, action)
        assert not (tmp_path / "nowhere").exists()

    def test_a_slash_at_its_end_does_not_hide_a_link(self, store: FileStore, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        with pytest.raises(StoreError, match="is a symbolic link"):
            FileStore(f"{tmp_path}/link/").load(ADDRESS)

    def test_a_lock_that_is_a_symbolic_link_is_refused(self, store: FileStore, folder: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_text("precious")
        (folder / f"{ADDRESS}.lock").symlink_to(target)
        with pytest.raises(StoreError, match=r"\.lock is a symbolic link, which is not followed"):
            act(store, "lock")
        assert target.read_text() == "precious"

    def test_deleting_a_link_leaves_what_it_leads_to(self, store: FileStore, file: Path, tmp_path: Path) -> None:
        elsewhere = file.rename(tmp_path / "elsewhere")
        file.symlink_to(elsewhere)
        store.delete(ADDRESS)
        assert (elsewhere.exists(), file.is_symlink()) == (True, False)

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
    @pytest.mark.parametrize("action", ["load", "save"])
    def test_what_is_no_regular_file_is_refused_at_once(
        self, store: FileStore, file: Path, action: str, make: Callable[[Path], None]
    ) -> None:
        file.unlink()
        make(file)
        with pytest.raises(StoreError, match=f"{file} is not a file: move it away"):
            act(store, action)

    def test_a_folder_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="file is not a folder: move it away"):
            FileStore(tmp_path / "file").save(record_number(1))

    def test_a_folder_below_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot be opened: Not a directory"):
            FileStore(tmp_path / "file" / "oauthmail").save(record_number(1))


DAMAGED = {
    "empty": b"",
    "cut off": encode(record_number(1)).encode()[:-20],
    "not text": b"\xff\xfe\x00garbage",
    "not JSON": b"access_token=ya29.secret-secret-secret",
    "another JSON": b'["ya29.secret-secret-secret"]',
    "of another mailbox": encode(record_number(1, "other@example.com")).encode(),
    "without a provider": b'{"version": 1, "address": "me@example.com", "flow": "device"}',
    "a token that is none": b'{"version": 1, "address": "me@example.com", "provider": "google", "flow": "device",'
    b' "credentials": {"kind": "oauth2", "access_token": "ya29.secret secret"}}',
    "no version that ever was": b'{"version": "soon"}',
    "nested": b"[" * 100_000,
    "too long": encode(record_number(1)).encode() + b" " * (1 << 20),
}
damaged = pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)


class TestDamage:
    @damaged
    def test_a_damaged_file_is_named_with_what_will_become_of_it(
        self, store: FileStore, file: Path, content: bytes
    ) -> None:
        file.write_bytes(content)
        with pytest.raises(StoreError, match=f"^{file} is damaged: .*: authorize the mailbox again, which keeps what"):
            store.load(ADDRESS)

    @damaged
    def test_a_damaged_file_is_kept_aside(self, store: FileStore, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        store.save(record_number(2))
        assert (store.load(ADDRESS), file.with_name(f"{NAME}.corrupt-1").read_bytes()) == (record_number(2), content)

    @damaged
    def test_nothing_of_a_damaged_file_is_shown(self, store: FileStore, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(StoreError) as caught:
            store.load(ADDRESS)
        assert [word for word in ("secret secret", "secret-secret", "access1") if word in shown_by(caught.value)] == []

    def test_a_huge_file_is_not_read_in(self, store: FileStore, file: Path) -> None:
        os.truncate(file, 1 << 40)
        with pytest.raises(StoreError, match="is damaged: it is longer than 1048576 bytes"):
            store.load(ADDRESS)

    def test_what_is_kept_aside_is_never_overwritten(self, store: FileStore, file: Path) -> None:
        for content in ("one", "two", "three"):
            file.write_text(content)
            store.save(record_number(1))
        assert [file.with_name(f"{NAME}.corrupt-{number}").read_text() for number in (1, 2, 3)] == [
            "one",
            "two",
            "three",
        ]

    def test_a_link_among_what_is_kept_aside_is_not_followed(
        self, store: FileStore, file: Path, tmp_path: Path
    ) -> None:
        file.with_name(f"{NAME}.corrupt-1").symlink_to(tmp_path / "target")
        file.write_text("one")
        store.save(record_number(1))
        assert (file.with_name(f"{NAME}.corrupt-2").read_text(), (tmp_path / "target").exists()) == ("one", False)

    def test_what_is_kept_aside_is_no_mailbox(self, store: FileStore, file: Path) -> None:
        file.write_text("one")
        store.save(record_number(1))
        assert store.addresses() == [ADDRESS]

    @pytest.mark.parametrize("action", ["load", "save"])
    def test_what_a_later_version_wrote_stays_where_it_is(
        self, store: FileStore, folder: Path, file: Path, action: str
    ) -> None:
        later = json.dumps({**json.loads(file.read_text()), "version": 2, "more": True})
        file.write_text(later)
        with pytest.raises(StoreError, match=f"{file} cannot be used: it was written by a later version .*: update"):
            act(store, action)
        assert (file.read_text(), files_in(folder)) == (later, [NAME])

    def test_a_record_that_would_be_too_long_to_read_is_not_written(self, store: FileStore) -> None:
        with pytest.raises(StoreError, match="longer than 1048576 bytes: it was not saved"):
            store.save(record_number(2).__class__(ADDRESS, "google", "device", user="u" * (1 << 20)))
        assert store.load(ADDRESS) == record_number(1)


class TestRefusals:
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
    @pytest.mark.parametrize("call", ["write", "fsync", "replace"])
    def test_what_the_disk_does_not_take_changes_nothing(
        self, store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, call, refuse)
        with pytest.raises(StoreError, match=f"{NAME} cannot be written: {os.strerror(number)}") as caught:
            store.save(record_number(2))
        monkeypatch.undo()
        assert (caught.value.errno, store.load(ADDRESS), files_in(folder)) == (number, record_number(1), [NAME])

    def test_a_file_that_ends_early_changes_nothing(self, store: FileStore, folder: Path) -> None:
        refusal = answer_of(start("save_with_a_limit", folder, 1000))
        assert refusal["errno"] == errno.EFBIG
        assert (store.load(ADDRESS), files_in(folder)) == (record_number(1), [NAME, f"{ADDRESS}.lock"])

    def test_a_write_that_takes_only_a_part_goes_on(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:1000]))
        store.save(record_number(2))
        assert store.load(ADDRESS) == record_number(2)

    def test_an_interrupted_save_leaves_nothing_behind(
        self, store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "fsync", lambda descriptor: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            store.save(record_number(2))
        assert (store.load(ADDRESS), files_in(folder)) == (record_number(1), [NAME])

    def test_a_save_is_made_to_last(self, store: FileStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[tuple[bool, str]] = []
        real = os.fsync

        def fsync(descriptor: int) -> None:
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            synced.append((is_folder, "new" if files_in(folder) == [NAME] else "beside"))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        store.save(record_number(2))
        # The file before it takes its place, and the folder after that.
        assert synced == [(False, "beside"), (True, "new")]

    def test_no_descriptor_is_left_open(self, store: FileStore, folder: Path, file: Path) -> None:
        before = open_descriptors()
        for action in ("load", "save", "addresses", "lock"):
            act(store, action)
        for path, mode in ((file, 0o644), (folder, 0o755)):
            path.chmod(mode)
            for action in ("load", "save"):
                with pytest.raises(StoreError):
                    act(store, action)
        folder.chmod(0o700)
        act(store, "delete")
        assert open_descriptors() == before

    def test_a_folder_that_cannot_be_made_to_last_is_no_error(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.fsync

        def fsync(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        store.save(record_number(2))
        assert store.load(ADDRESS) == record_number(2)

    @pytest.fixture
    def others_folder(self) -> Iterator[Path]:
        """A store's folder that NOBODY owns, in a place where that user may look for it."""
        with TemporaryDirectory() as name:
            outside = Path(name)
            outside.chmod(0o711)
            inside = outside / "oauthmail"
            FileStore(inside).save(record_number(1))
            if ROOT:
                for path in (inside, inside / NAME):
                    os.chown(path, NOBODY, NOBODY)
            yield inside
            inside.chmod(0o700)

    def test_a_folder_that_cannot_be_written_is_told_with_the_cure(self, others_folder: Path) -> None:
        others_folder.chmod(0o500)
        refusal = answer_of(start("save_as", others_folder, NOBODY))
        assert refusal["errno"] == errno.EACCES
        assert refusal["said"].endswith(
            "Permission denied: give this user access, or keep tokens in another folder (OAUTHMAIL_HOME)"
        )

    def test_a_folder_that_cannot_be_read_is_told_with_the_cure(self, others_folder: Path) -> None:
        others_folder.chmod(0o300)
        refusal = answer_of(start("save_as", others_folder, NOBODY))
        assert refusal["said"].startswith(f"{others_folder} cannot be opened: Permission denied: give this user access")

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
    def test_a_file_system_without_locks_is_told_with_the_cure(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def flock(*args: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(StoreError, match=r"\.lock cannot be locked: .*: this file system has no locks") as caught:
            act(store, "lock")
        assert caught.value.errno == number

    @pytest.mark.parametrize("call", ["write", "fsync", "replace", "utime"])
    def test_no_secret_is_shown_by_a_save_that_fails(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        # A file from the future, so that the new one has to be dated.
        os.utime(store.path(ADDRESS), ns=(1 << 62, 1 << 62))
        monkeypatch.setattr(os, call, refuse)
        with pytest.raises(StoreError) as caught:
            store.save(record_number(2))
        assert [word for word in ("access1.", "refresh1.", "client-secret") if word in shown_by(caught.value)] == []

    def test_its_errors_survive_pickling(self, store: FileStore, file: Path) -> None:
        file.chmod(0o644)
        with pytest.raises(StoreError) as caught:
            store.load(ADDRESS)
        error = pickle.loads(pickle.dumps(caught.value))
        assert (str(error), error.filename, error.errno) == (str(caught.value), str(file), None)

    def test_its_errors_are_errors_of_the_system(self) -> None:
        error = pickle.loads(pickle.dumps(StoreError("no room", errno=errno.ENOSPC, filename="/file")))
        assert isinstance(error, OSError)
        assert (str(error), error.errno, error.filename) == ("no room", errno.ENOSPC, "/file")


killed_over = pytest.mark.parametrize("old", [0, 1], ids=["nothing", "a record"])


def check_deaths(found: list[dict[str, Any]], old: int) -> None:
    """See that each left the old record or the new one, listed, with a new stamp if it was the new one."""
    numbers = [one["number"] for one in found]
    # The old one up to some step, and the new one from there on.
    assert numbers == sorted(numbers)
    assert set(numbers) == {old, 2}
    assert [one for one in found if one["listed"] != ([ADDRESS] if one["number"] else [])] == []
    assert [one for one in found if one["number"] == 2 and not one["announced"]] == []


class TestProcesses:
    @killed_over
    def test_a_writer_may_be_killed_at_any_step(self, folder: Path, old: int) -> None:
        found = answer_of(start("die_everywhere", "file", folder, old))
        check_deaths(found, old)
        # And what it left is gone after the next save.
        assert [one["left"] for one in found if one["left"] != [NAME, f"{ADDRESS}.lock"]] == []

    def test_what_others_are_writing_is_left_alone(self, store: FileStore, folder: Path) -> None:
        others = [f"other@example.com.json={'0' * 16}.tmp", f"{NAME}.{'0' * 16}.tmp", f"{NAME}={'0' * 16}.tmp.json"]
        for name in others:
            (folder / name).touch(0o600)
        with store.lock(ADDRESS):
            store.save(record_number(2))
        assert set(others) < set(files_in(folder))

    def test_what_a_killed_writer_had_written_whole_counts(self, store: FileStore, file: Path, folder: Path) -> None:
        store.save(record_number(1))
        old = file.read_bytes()
        store.save(record_number(2))
        # As if its writer had been killed before the last step.
        file.rename(folder / f"{NAME}={'0' * 16}.tmp")
        file.write_bytes(old)
        file.chmod(0o600)
        act(store, "lock")
        assert (number_of(store.load(ADDRESS)), files_in(folder)) == (2, [NAME, f"{ADDRESS}.lock"])

    @pytest.mark.parametrize("content", [b"", b'{"version": 1', b"junk"])
    def test_what_a_killed_writer_had_not_finished_does_not_count(
        self, store: FileStore, folder: Path, content: bytes
    ) -> None:
        store.save(record_number(1))
        left = folder / f"{NAME}={'0' * 16}.tmp"
        left.write_bytes(content)
        left.chmod(0o600)
        act(store, "lock")
        assert (number_of(store.load(ADDRESS)), files_in(folder)) == (1, [NAME, f"{ADDRESS}.lock"])

    def test_deleting_removes_what_killed_writers_left(self, store: FileStore, folder: Path) -> None:
        (folder / f"{NAME}={'0' * 16}.tmp").write_text("secret")
        store.delete(ADDRESS)
        assert files_in(folder) == []

    def test_a_killed_holder_holds_nothing(self, store: FileStore, folder: Path) -> None:
        with start("hold", "file", folder) as holder:
            ready(holder)
            with pytest.raises(StoreError, match=r"another process or thread has held .*\.lock for 0\.05 seconds"):
                act(store, "lock")
            holder.kill()
        act(store, "lock")

    def test_the_file_of_a_lock_stays(self, store: FileStore, folder: Path) -> None:
        act(store, "lock")
        before = (folder / f"{ADDRESS}.lock").stat().st_ino
        act(store, "lock")
        assert (folder / f"{ADDRESS}.lock").stat().st_ino == before

    def test_many_processes_lose_no_change_and_readers_see_whole_records(self, folder: Path) -> None:
        store = FileStore(folder)
        store.save(record_number(0))
        reader = start("look", "file", folder)
        writers = [start("count", "file", folder, 6) for _ in range(4)]
        for process in (reader, *writers):
            ready(process)
        # Asking for an answer closes their input, which is what all of them wait for, and the reader at last.
        with ThreadPoolExecutor() as pool:
            list(pool.map(answer_of, writers))
        assert answer_of(reader) > 0
        assert number_of(store.load(ADDRESS)) == 24


class TestFolder:
    def test_the_environment_names_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path))
        assert FileStore().folder == str(tmp_path)

    def test_the_environment_may_name_it_from_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("OAUTHMAIL_HOME", "~/tokens")
        assert FileStore().folder == "/home/me/tokens"

    @pytest.mark.parametrize("named", [None, ""], ids=["unset", "empty"])
    def test_otherwise_it_is_the_platforms(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
    ) -> None:
        monkeypatch.delenv("OAUTHMAIL_HOME", raising=False)
        if named is not None:
            monkeypatch.setenv("OAUTHMAIL_HOME", named)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        assert FileStore().folder == str(tmp_path / "oauthmail")

    def test_who_has_no_home_is_told_to_name_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def nobody(uid: int) -> pwd.struct_passwd:
            raise KeyError(uid)

        for name in ("OAUTHMAIL_HOME", "XDG_CONFIG_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(pwd, "getpwuid", nobody)
        with pytest.raises(StoreError, match="no home to keep tokens in: set OAUTHMAIL_HOME"):
            FileStore()

    def test_a_change_of_the_working_directory_does_not_move_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = FileStore("tokens")
        monkeypatch.chdir("/")
        assert store.folder == str(tmp_path / "tokens")

    def test_looking_makes_no_folder(self, folder: Path) -> None:
        store = FileStore(folder)
        assert (store.load(ADDRESS), store.addresses(), store.stamp(ADDRESS), store.delete(ADDRESS)) == (
            None,
            [],
            None,
            False,
        )
        assert not folder.exists()

    @pytest.mark.parametrize("named", ["FileStore({folder!r})", "FileStore()"], ids=["given", "in the environment"])
    def test_loading_a_record_loads_no_library(self, store: FileStore, folder: Path, named: str) -> None:
        program = (
            f"import sys; from oauthmail.stores import FileStore; store = {named.format(folder=str(folder))}; "
            f"store.stamp({ADDRESS!r}); assert store.load({ADDRESS!r}); print(*sys.modules)"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OAUTHMAIL_HOME": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        heavy = {"filelock", "platformdirs", "keyring", "asyncio", "requests", "ssl", "socket", "sqlite3"}
        assert heavy & set(answer.stdout.split()) == set()

    def test_a_stamp_is_one_look_at_the_file(self, store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
        looked: list[str] = []

        def noting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*args: Any, **kwargs: Any) -> Any:
                looked.append(name)
                return real(*args, **kwargs)

            return noted

        for name in ("lstat", "stat", "open", "listdir", "scandir"):
            monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
        stamp = store.stamp(ADDRESS)
        assert (looked, stamp is None) == (["lstat"], False)

    def test_other_files_are_no_mailboxes(self, store: FileStore, folder: Path) -> None:
        for name in ("README", ".json", "%zz.json", "A@example.com.json", "x=1.json", "%00.json", f"{NAME}~"):
            (folder / name).touch(0o600)
        (folder / "y=1.json").write_text(encode(record_number(1, "other@example.com")))
        (folder / "y=1.json").chmod(0o600)
        assert store.addresses() == [ADDRESS]

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            pytest.param("Me+list@Example.com", "me+list@example.com.json", id="as it is"),
            pytest.param("../a b", "%2E.%2Fa%20b.json", id="dots, slash, space"),
            pytest.param("con", "%63on.json", id="a device of Windows"),
            pytest.param("nul.x", "%6Eul.x.json", id="the same with a dot"),
            pytest.param("com1@example.com", "com1@example.com.json", id="no device"),
            pytest.param("ü@example.com", "%C3%BC@example.com.json", id="utf-8"),
            pytest.param("a=b%3d:c", "a%3Db%253d%3Ac.json", id="punctuation"),
            pytest.param("a" * 201, f"{'a' * 100}={LONG}.json", id="cut off"),
        ],
    )
    def test_a_file_is_called_after_its_mailbox(self, folder: Path, address: str, name: str) -> None:
        assert FileStore(folder).path(address) == str(folder / name)

    def test_its_repr_shows_where_it_is(self, store: FileStore, folder: Path) -> None:
        assert repr(store) == f"FileStore('{folder}')"
