"""What every store does alike."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from oauthmail import StoreError
from oauthmail.records import Record, key
from oauthmail.stores import Store

from .conftest import Opener
from .samples import ADDRESS, ADDRESSES, VARIETY, number_of, record_number


def in_threads(number: int, action: Callable[[], object]) -> None:
    """Do something in several threads at once, and see it end well."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


class TestEveryStore:
    def test_it_is_a_store(self, store: Store) -> None:
        assert isinstance(store, Store)

    # --- records --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("record", VARIETY.values(), ids=VARIETY)
    def test_a_record_is_loaded_as_it_was_saved(self, store: Store, record: Record) -> None:
        store.save(record)
        assert store.load(ADDRESS) == record

    def test_another_instance_finds_what_was_saved(self, opener: Opener) -> None:
        opener(60).save(record_number(1))
        assert opener(60).load(ADDRESS) == record_number(1)

    def test_there_is_no_record_at_first(self, store: Store) -> None:
        assert store.load(ADDRESS) is None

    def test_a_record_takes_the_place_of_the_one_before_it(self, store: Store) -> None:
        store.save(VARIETY["everything"])
        store.save(record_number(2))
        assert store.load(ADDRESS) == record_number(2)

    def test_a_short_record_takes_the_place_of_a_long_one(self, store: Store) -> None:
        store.save(record_number(1))
        store.save(VARIETY["nothing but an address"])
        assert store.load(ADDRESS) == VARIETY["nothing but an address"]

    def test_the_case_of_an_address_does_not_matter(self, store: Store) -> None:
        store.save(record_number(1, "Me@Example.COM"))
        assert store.load("mE@example.com") == record_number(1, "Me@Example.COM")

    def test_mailboxes_do_not_know_of_each_other(self, store: Store) -> None:
        store.save(record_number(1))
        store.save(record_number(2, "other@example.com"))
        store.delete("other@example.com")
        assert store.load(ADDRESS) == record_number(1)

    @pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
    def test_an_awkward_address_is_one_like_any_other(self, store: Store, address: str) -> None:
        store.save(record_number(1))
        store.save(record_number(2, address))
        found = [store.load(address), store.load(ADDRESS), store.addresses(), store.delete(address), store.addresses()]
        both = sorted([ADDRESS, key(address)])
        assert found == [record_number(2, address), record_number(1), both, True, [ADDRESS]]

    def test_long_addresses_with_one_beginning_are_two(self, store: Store) -> None:
        beginning = "a" * 230
        store.save(record_number(1, f"{beginning}@example.com"))
        store.save(record_number(2, f"{beginning}@example.org"))
        assert number_of(store.load(f"{beginning}@example.com")) == 1

    # --- removal and list -----------------------------------------------------------------------------------------

    def test_a_deleted_record_is_gone(self, store: Store) -> None:
        store.save(record_number(1))
        assert (store.delete(ADDRESS.upper()), store.load(ADDRESS)) == (True, None)

    def test_deleting_nothing_says_so(self, store: Store) -> None:
        assert store.delete(ADDRESS) is False

    def test_a_deleted_record_can_be_saved_again(self, store: Store) -> None:
        store.save(record_number(1))
        store.delete(ADDRESS)
        store.save(record_number(2))
        assert (store.load(ADDRESS), store.addresses()) == (record_number(2), [ADDRESS])

    def test_addresses_are_listed_in_order(self, store: Store) -> None:
        for address in ("b@example.com", "A@example.com", "c@example.com"):
            store.save(record_number(1, address))
        assert store.addresses() == ["a@example.com", "b@example.com", "c@example.com"]

    def test_no_address_is_listed_at_first(self, store: Store) -> None:
        assert store.addresses() == []

    # --- stamps ---------------------------------------------------------------------------------------------------

    def test_the_stamp_stays_as_long_as_the_record(self, store: Store) -> None:
        store.save(record_number(1))
        before = store.stamp(ADDRESS)
        store.save(record_number(1, "other@example.com"))
        store.load(ADDRESS)
        assert store.stamp(ADDRESS.upper()) == before

    def test_every_save_changes_the_stamp(self, store: Store) -> None:
        stamps = set()
        for number in range(10):
            store.save(replace(VARIETY["nothing but an address"], renewed_at=float(number)))
            stamps.add(store.stamp(ADDRESS))
        assert len(stamps) == 10

    def test_another_instance_sees_the_stamp_change(self, opener: Opener) -> None:
        first, second = opener(60), opener(60)
        first.save(record_number(1))
        before = second.stamp(ADDRESS)
        first.save(record_number(2))
        assert second.stamp(ADDRESS) != before

    @pytest.mark.parametrize("deleted", [False, True], ids=["never saved", "deleted"])
    def test_there_is_no_stamp_without_a_record(self, store: Store, deleted: bool) -> None:
        if deleted:
            store.save(record_number(1))
            store.delete(ADDRESS)
        assert store.stamp(ADDRESS) is None

    # --- locks ----------------------------------------------------------------------------------------------------

    def test_the_lock_excludes_another_thread(self, opener: Opener) -> None:
        impatient = opener(0.05)
        refused: list[str] = []

        def other() -> None:
            with pytest.raises(StoreError) as caught, impatient.lock(ADDRESS.upper()):
                pass
            refused.append(str(caught.value))

        with impatient.lock(ADDRESS):
            in_threads(1, other)
        assert "for 0.05 seconds: wait for it" in refused[0]

    def test_the_lock_waits_for_another_thread(self, store: Store) -> None:
        held, waiting = threading.Event(), threading.Event()
        order: list[str] = []

        def holder() -> None:
            with store.lock(ADDRESS):
                held.set()
                waiting.wait()
                order.append("holder")

        thread = threading.Thread(target=holder)
        thread.start()
        held.wait()
        waiting.set()
        with store.lock(ADDRESS):
            order.append("waiter")
        thread.join()
        assert order == ["holder", "waiter"]

    def test_a_thread_that_takes_its_lock_again_is_told_at_once(self, store: Store) -> None:
        with (
            store.lock(ADDRESS),
            pytest.raises(StoreError, match=r"this thread holds .* already"),
            store.lock(ADDRESS),
        ):
            pass

    def test_the_lock_can_be_taken_after_that(self, store: Store) -> None:
        with store.lock(ADDRESS), pytest.raises(StoreError), store.lock(ADDRESS):
            pass
        with store.lock(ADDRESS):
            store.save(record_number(1))
        assert store.load(ADDRESS) is not None

    def test_an_exception_frees_the_lock(self, opener: Opener) -> None:
        store = opener(0.05)
        with pytest.raises(KeyError), store.lock(ADDRESS):
            raise KeyError
        with store.lock(ADDRESS):
            pass

    def test_another_thread_can_free_the_lock(self, opener: Opener) -> None:
        store = opener(0.05)
        held = contextlib.ExitStack()
        held.enter_context(store.lock(ADDRESS))
        in_threads(1, held.close)
        with store.lock(ADDRESS):
            pass

    def test_every_mailbox_has_a_lock_of_its_own(self, opener: Opener) -> None:
        store = opener(0.05)
        with store.lock(ADDRESS), store.lock("other@example.com"):
            pass

    def test_no_change_under_the_lock_is_lost(self, store: Store) -> None:
        store.save(record_number(0))

        def count() -> None:
            for _ in range(5):
                with store.lock(ADDRESS):
                    store.save(record_number(number_of(store.load(ADDRESS)) + 1))

        in_threads(4, count)
        assert number_of(store.load(ADDRESS)) == 20
