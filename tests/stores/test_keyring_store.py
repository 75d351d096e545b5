"""Keyrings: what does not fit is split, what is split is never torn, and what goes wrong is told with the cure."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from oauthmail import StoreError
from oauthmail.stores import KeyringStore

from .backends import Confused, Forgetful, Limited, Locked, Plain, Talkative
from .program import answer_of, files_in, ready, start
from .samples import ADDRESS, VARIETY, mode_of, number_of, record_number, shown_by
from .test_file_store import check_deaths, damaged, killed_over

ROOT = Path(__file__).parent.parent.parent
LIMITED = {"PYTHON_KEYRING_BACKEND": "tests.stores.backends.Limited"}
Use = Callable[[KeyringBackend], None]


@pytest.fixture
def limited(use_keyring: Use) -> Limited:
    """A keyring with Windows' limit, in use."""
    backend = Limited()
    use_keyring(backend)
    return backend


@pytest.fixture
def store(folder: Path, limited: Limited) -> KeyringStore:
    """A store in that keyring with one record, number 1."""
    store = KeyringStore(folder=folder, lock_timeout=0.05)
    store.save(record_number(1))
    return store


def services_in(entries: Path) -> list[str]:
    """Return what the entries of a keyring are called."""
    return sorted(name.rpartition(" ")[0] for name in files_in(entries))


class TestPieces:
    def test_a_text_that_fits_stays_whole(self, folder: Path, entries: Path, use_keyring: Use) -> None:
        use_keyring(Limited())
        KeyringStore(folder=folder).save(VARIETY["OAuth 1.0a"])
        assert services_in(entries) == ["oauthmail", "oauthmail (mailboxes)"]

    def test_a_keyring_without_a_limit_has_one_entry(self, folder: Path, entries: Path, limited: Limited) -> None:
        limited.limit = 1 << 20
        KeyringStore(folder=folder).save(record_number(1))
        assert services_in(entries) == ["oauthmail", "oauthmail (mailboxes)"]

    def test_a_text_that_does_not_fit_is_split(self, store: KeyringStore, entries: Path) -> None:
        pieces = [f"oauthmail (a{number})" for number in range(5)]
        assert services_in(entries) == ["oauthmail", *pieces, "oauthmail (mailboxes)"]

    def test_no_character_is_longer_than_it_looks(self, store: KeyringStore) -> None:
        store.save(VARIETY["everything"])
        assert store.load(ADDRESS) == VARIETY["everything"]

    def test_the_pieces_of_the_one_before_are_gone(self, store: KeyringStore, entries: Path) -> None:
        store.save(record_number(2))
        assert [name for name in services_in(entries) if "(a" in name] == []

    def test_a_text_that_fits_again_has_no_pieces(self, store: KeyringStore, entries: Path) -> None:
        store.save(VARIETY["OAuth 1.0a"])
        assert services_in(entries) == ["oauthmail", "oauthmail (mailboxes)"]

    def test_deleting_leaves_no_piece(self, store: KeyringStore, entries: Path) -> None:
        store.delete(ADDRESS)
        assert services_in(entries) == ["oauthmail (mailboxes)"]

    def test_deleting_leaves_no_name(self, store: KeyringStore, limited: Limited) -> None:
        store.delete(ADDRESS)
        assert limited.get_password("oauthmail (mailboxes)", "mailboxes") == "[]"

    def test_a_long_list_of_mailboxes_is_split_too(self, store: KeyringStore) -> None:
        addresses = [f"{number:02}{'a' * 60}@example.com" for number in range(20)]
        for address in addresses:
            store.save(record_number(1, address))
        assert store.addresses() == [*addresses, ADDRESS]

    def test_a_keyring_that_cuts_off_is_found_out(self, folder: Path, use_keyring: Use) -> None:
        use_keyring(Forgetful())
        store = KeyringStore(folder=folder)
        store.save(record_number(1))
        assert store.load(ADDRESS) == record_number(1)

    def test_a_missing_piece_is_told(self, store: KeyringStore, limited: Limited) -> None:
        limited.delete_password("oauthmail (a1)", ADDRESS)
        with pytest.raises(StoreError, match=f"lost pieces of the entry {ADDRESS} of oauthmail"):
            store.load(ADDRESS)

    def test_a_piece_of_another_text_is_told(self, store: KeyringStore, limited: Limited) -> None:
        limited.set_password("oauthmail (a1)", ADDRESS, "another")
        with pytest.raises(StoreError, match=f"lost pieces of the entry {ADDRESS} of oauthmail"):
            store.load(ADDRESS)

    @pytest.mark.parametrize("service", ["oauthmail", "oauthmail (mailboxes)"], ids=["record", "list"])
    def test_authorizing_again_mends_it(self, store: KeyringStore, limited: Limited, service: str) -> None:
        head = {"slot": "a", "pieces": 2, "sha256": "0"}
        limited.set_password(service, ADDRESS if service == "oauthmail" else "mailboxes", json.dumps(head))
        store.save(record_number(2))
        assert (store.load(ADDRESS), store.addresses()) == (record_number(2), [ADDRESS])


class TestProcesses:
    @killed_over
    def test_a_writer_may_be_killed_at_any_step(self, folder: Path, entries: Path, old: int) -> None:
        found = answer_of(start("die_everywhere", "keyring", folder, old, **LIMITED))
        check_deaths(found, old)
        # And what it left is gone after the next save: there are one record, its pieces, and the list of mailboxes.
        left = services_in(entries)
        assert len(left) == 7
        assert len({name[:-2] for name in left if "(a" in name or "(b" in name}) == 1

    def test_another_process_sees_the_stamp_change(self, store: KeyringStore, folder: Path) -> None:
        before = store.stamp(ADDRESS)
        answer_of(start("save", "keyring", folder, 2, **LIMITED))
        assert (store.stamp(ADDRESS) != before, number_of(store.load(ADDRESS))) == (True, 2)

    def test_many_processes_lose_no_change_and_readers_see_whole_records(
        self, store: KeyringStore, folder: Path
    ) -> None:
        reader = start("look", "keyring", folder, **LIMITED)
        writers = [start("count", "keyring", folder, 4, **LIMITED) for _ in range(3)]
        for process in (reader, *writers):
            ready(process)
        with ThreadPoolExecutor() as pool:
            list(pool.map(answer_of, writers))
        assert answer_of(reader) > 0
        assert number_of(store.load(ADDRESS)) == 13

    def test_writers_of_different_mailboxes_wait_for_each_other(self, folder: Path, use_keyring: Use) -> None:
        # The plaintext keyring rewrites everything at each change, as others do with some of it.
        use_keyring(Plain())
        store = KeyringStore(folder=folder)
        addresses = [f"{number}@example.com" for number in range(12)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(store.save, [record_number(1, address) for address in addresses]))
        assert sorted(addresses) == store.addresses()


class TestFiles:
    def test_the_files_beside_it_hold_nothing(self, store: KeyringStore, folder: Path) -> None:
        with store.lock(ADDRESS):
            pass
        assert {path.name: (path.stat().st_size, mode_of(path)) for path in folder.iterdir()} == {
            f"{ADDRESS}=oauthmail.stamp": (0, 0o600),
            f"{ADDRESS}=oauthmail.lock": (0, 0o600),
            "=oauthmail.lock": (0, 0o600),
        }

    def test_without_its_file_a_stamp_is_found_in_the_keyring(self, store: KeyringStore, folder: Path) -> None:
        (folder / f"{ADDRESS}=oauthmail.stamp").unlink()
        before = store.stamp(ADDRESS)
        store.save(record_number(2))
        (folder / f"{ADDRESS}=oauthmail.stamp").unlink()
        assert (before is None, store.stamp(ADDRESS) in (None, before)) == (False, False)

    def test_who_looks_in_the_middle_of_a_save_looks_again(
        self, store: KeyringStore, folder: Path, use_keyring: Use
    ) -> None:
        seen: list[tuple[object, object]] = []

        class Watched(Limited):
            def set_password(self, service: str, username: str, password: str) -> None:
                seen.append((store.stamp(ADDRESS), store.load(ADDRESS)))
                super().set_password(service, username, password)

        use_keyring(Watched())
        store.save(record_number(2))
        stamp = store.stamp(ADDRESS)
        assert [record for then, record in seen if then == stamp] == []

    def test_a_full_disk_does_not_cost_the_record(self, store: KeyringStore, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.open

        def full(path: str, *args: Any, **kwargs: Any) -> int:
            if path.endswith(".tmp"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(path, *args, **kwargs)

        before = store.stamp(ADDRESS)
        monkeypatch.setattr(os, "open", full)
        store.save(record_number(2))
        assert (store.load(ADDRESS), store.stamp(ADDRESS) in (None, before)) == (record_number(2), False)

    def test_what_killed_writers_left_is_removed(self, store: KeyringStore, folder: Path) -> None:
        left = folder / f"{ADDRESS}=oauthmail.stamp={'0' * 16}.tmp"
        left.touch(0o600)
        store.save(record_number(2))
        assert files_in(folder) == ["=oauthmail.lock", f"{ADDRESS}=oauthmail.stamp"]
        left.touch(0o600)
        store.delete(ADDRESS)
        assert files_in(folder) == ["=oauthmail.lock"]

    def test_a_folder_that_others_can_get_at_is_refused(self, store: KeyringStore, folder: Path) -> None:
        folder.chmod(0o755)
        with pytest.raises(StoreError, match=f"run  chmod 700 {folder}$"):
            store.save(record_number(2))

    def test_services_do_not_know_of_each_other(self, store: KeyringStore, folder: Path) -> None:
        other = KeyringStore("another/service", folder=folder)
        other.save(record_number(2))
        other.delete(ADDRESS)
        assert (store.load(ADDRESS), store.stamp(ADDRESS) is None) == (record_number(1), False)


class TestDamage:
    @damaged
    def test_a_damaged_entry_is_kept_aside(self, store: KeyringStore, limited: Limited, content: bytes) -> None:
        limited.limit = 1 << 24
        text = content.decode("latin-1")
        limited.set_password("oauthmail", ADDRESS, text)
        with pytest.raises(StoreError, match=r"^the entry me@example.com of oauthmail in the keyring is damaged: "):
            store.load(ADDRESS)
        store.save(record_number(2))
        assert (store.load(ADDRESS), limited.get_password("oauthmail (corrupt-1)", ADDRESS)) == (record_number(2), text)

    def test_what_is_kept_aside_is_never_overwritten(self, store: KeyringStore, limited: Limited) -> None:
        for text in ("one", "two"):
            limited.set_password("oauthmail", ADDRESS, text)
            store.save(record_number(1))
        assert [limited.get_password(f"oauthmail (corrupt-{number})", ADDRESS) for number in (1, 2)] == ["one", "two"]

    @pytest.mark.parametrize("action", ["load", "save"])
    def test_what_a_later_version_wrote_stays_where_it_is(
        self, store: KeyringStore, limited: Limited, action: str
    ) -> None:
        later = json.dumps({"version": 2, "more": True})
        limited.set_password("oauthmail", ADDRESS, later)
        with pytest.raises(StoreError, match="cannot be used: it was written by a later version"):
            store.load(ADDRESS) if action == "load" else store.save(record_number(2))
        assert limited.get_password("oauthmail", ADDRESS) == later


class TestRefusals:
    @pytest.mark.parametrize("action", ["load", "save", "delete", "addresses", "stamp"])
    @pytest.mark.parametrize(
        ("backend", "told"),
        [
            pytest.param(fail.Keyring, "this system has none that can be used: install or start one, or", id="none"),
            pytest.param(Locked, "it is locked: unlock it and try again, or keep tokens in files", id="locked"),
        ],
    )
    def test_a_keyring_that_cannot_be_used_is_told_with_the_cure(
        self, folder: Path, use_keyring: Use, action: str, backend: Callable[[], KeyringBackend], told: str
    ) -> None:
        use_keyring(backend())
        store = KeyringStore(folder=folder)
        with pytest.raises(StoreError, match=f"^cannot read oauthmail.* in the keyring: {told}"):
            store.save(record_number(1)) if action == "save" else getattr(store, action)(
                *([] if action == "addresses" else [ADDRESS])
            )

    def test_a_keyring_that_is_switched_off_is_told(self, folder: Path, use_keyring: Use) -> None:
        use_keyring(null.Keyring())  # type: ignore[no-untyped-call]
        with pytest.raises(StoreError, match="the keyring did not keep what was written"):
            KeyringStore(folder=folder).save(record_number(1))

    @pytest.mark.parametrize(
        "backend", ["no.such.module.Keyring", "tests.stores.samples.Nothing"], ids=["no module", "no class"]
    )
    def test_a_backend_that_cannot_be_loaded_is_told(self, folder: Path, backend: str) -> None:
        refusal = answer_of(start("try_keyring", folder, PYTHON_KEYRING_BACKEND=backend))
        assert refusal["said"].startswith("cannot read oauthmail (mailboxes) in the keyring: ")

    def test_without_the_package_it_says_what_to_install(self, folder: Path) -> None:
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            f"from oauthmail.stores import KeyringStore; store = KeyringStore(folder={str(folder)!r})\n"
            f"try: store.load({ADDRESS!r})\n"
            "except OSError as error: print(error)"
        )
        # Isolated and without site-packages: nothing but the standard library is there.
        command = [sys.executable, "-I", "-S", "-c", program]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert said == "the keyring package is missing: python -m pip install 'oauthmail[keyring]'\n"

    def test_making_a_store_loads_no_keyring(self, folder: Path) -> None:
        program = f"import sys; from oauthmail.stores import KeyringStore; KeyringStore(folder={str(folder)!r})"
        command = [sys.executable, "-c", f"{program}; print('keyring' in sys.modules, 'filelock' in sys.modules)"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False False\n"

    def test_no_secret_is_shown_by_a_save_that_fails(self, folder: Path, use_keyring: Use) -> None:
        use_keyring(Talkative())
        with pytest.raises(StoreError, match="KeyringError: no room for") as caught:
            KeyringStore(folder=folder).save(record_number(1))
        shown = shown_by(caught.value)
        assert [word for word in ("access1.", "refresh1.", "client-secret") if word in shown] == []

    def test_no_secret_is_shown_by_a_load_that_fails(self, store: KeyringStore, use_keyring: Use) -> None:
        use_keyring(Confused())
        with pytest.raises(StoreError, match=r"cannot read oauthmail in the keyring: ValueError: try again") as caught:
            store.load(ADDRESS)
        shown = shown_by(caught.value)
        assert [word for word in ("access1.", "refresh1.", "client-secret") if word in shown] == []

    def test_nothing_is_there_after_a_first_save_that_failed(self, folder: Path, use_keyring: Use) -> None:
        use_keyring(Talkative())
        store = KeyringStore(folder=folder)
        with pytest.raises(StoreError):
            store.save(record_number(1))
        assert (store.load(ADDRESS), store.addresses()) == (None, [])

    def test_the_one_before_is_there_after_a_save_that_failed(self, store: KeyringStore, use_keyring: Use) -> None:
        use_keyring(Talkative())
        with pytest.raises(StoreError):
            store.save(record_number(2))
        assert store.load(ADDRESS) == record_number(1)

    def test_a_service_needs_a_name(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="the service is empty"):
            KeyringStore("", folder=folder)

    def test_its_repr_shows_where_it_is(self, store: KeyringStore, folder: Path) -> None:
        assert repr(store) == f"KeyringStore('oauthmail', folder='{folder}')"
