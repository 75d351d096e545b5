"""The message store that SMTP, IMAP and POP3 share."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from oauthmail.sandbox.mailbox import MAX_MESSAGE, MailboxError, Mailboxes

USER = "alice@example.org"


def test_a_message_is_kept_octet_by_octet() -> None:
    mailboxes = Mailboxes()
    octets = bytes(range(256)).replace(b"\n", b"") + b"\r\n"
    mailboxes.deliver(USER, octets)
    assert mailboxes.messages(USER)[0].octets == octets


def test_bare_line_feeds_become_line_ends() -> None:
    mailboxes = Mailboxes()
    mailboxes.deliver(USER, b"Subject: x\n\nbody\n")
    assert mailboxes.messages(USER)[0].octets == b"Subject: x\r\n\r\nbody\r\n"


def test_an_address_is_one_mailbox_in_any_case() -> None:
    mailboxes = Mailboxes()
    mailboxes.deliver("Alice@Example.org", b"x")
    assert len(mailboxes.messages(USER)) == 1


def test_every_user_has_the_usual_folders() -> None:
    assert Mailboxes().names(USER) == ["INBOX", "Sent", "Trash"]


def test_identifiers_grow_and_are_never_used_again() -> None:
    mailboxes = Mailboxes()
    first = mailboxes.deliver(USER, b"1")
    mailboxes.expunge(mailboxes.folder(USER, "INBOX"), mailboxes.messages(USER))
    assert mailboxes.deliver(USER, b"2") == first + 1


def test_a_folder_made_again_has_another_validity() -> None:
    mailboxes = Mailboxes()
    mailboxes.create(USER, "Work")
    before = mailboxes.folder(USER, "Work").uid_validity
    mailboxes.delete(USER, "Work")
    mailboxes.create(USER, "Work")
    assert mailboxes.folder(USER, "Work").uid_validity > before


def test_creating_a_folder_creates_those_above_it() -> None:
    mailboxes = Mailboxes()
    mailboxes.create(USER, "inbox/a/b/")
    assert mailboxes.names(USER)[:3] == ["INBOX", "INBOX/a", "INBOX/a/b"]


def test_renaming_a_folder_takes_those_below_along() -> None:
    mailboxes = Mailboxes()
    mailboxes.create(USER, "old/below")
    mailboxes.deliver(USER, b"x", "old/below")
    mailboxes.rename(USER, "old", "new")
    assert [len(mailboxes.messages(USER, "new/below")), "old" in mailboxes.names(USER)] == [1, False]


def test_renaming_inbox_leaves_an_empty_inbox() -> None:
    mailboxes = Mailboxes()
    mailboxes.deliver(USER, b"x")
    mailboxes.rename(USER, "INBOX", "Archive")
    assert [len(mailboxes.messages(USER)), len(mailboxes.messages(USER, "Archive"))] == [0, 1]


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "/a", "a\r\nb", "a*", "a%", "n" * 201],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(MailboxError, match="no name"):
        Mailboxes().create(USER, name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("INBOX", "CANNOT", id="inbox"),
        pytest.param("nowhere", "NONEXISTENT", id="unknown"),
        pytest.param("a", "HASCHILDREN", id="with children"),
    ],
)
def test_some_folders_cannot_be_deleted(name: str, code: str) -> None:
    mailboxes = Mailboxes()
    mailboxes.create(USER, "a/b")
    with pytest.raises(MailboxError) as caught:
        mailboxes.delete(USER, name)
    assert caught.value.code == code


def test_a_folder_cannot_be_moved_below_itself() -> None:
    mailboxes = Mailboxes()
    mailboxes.create(USER, "a")
    with pytest.raises(MailboxError, match="below itself"):
        mailboxes.rename(USER, "a", "a/b")


def test_a_name_is_not_given_twice() -> None:
    with pytest.raises(MailboxError) as caught:
        Mailboxes().create(USER, "Sent")
    assert caught.value.code == "ALREADYEXISTS"


def test_delivery_to_an_unknown_folder_is_refused() -> None:
    with pytest.raises(MailboxError, match="No such mailbox"):
        Mailboxes().deliver(USER, b"x", "nowhere")


def test_a_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(MailboxError, match="too large"):
        Mailboxes().deliver(USER, bytes(MAX_MESSAGE + 1))


def test_the_date_of_a_message_keeps_its_zone() -> None:
    mailboxes = Mailboxes()
    when = datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-5)))
    mailboxes.deliver(USER, b"x", internaldate=when)
    assert mailboxes.messages(USER)[0].internaldate.isoformat() == "2026-02-03T04:05:06-05:00"


def test_a_copy_has_the_flags_and_leaves_the_original_alone() -> None:
    mailboxes = Mailboxes()
    mailboxes.deliver(USER, b"x", flags=["\\Seen"])
    mailboxes.copy(mailboxes.messages(USER), USER, "Sent")
    mailboxes.store(mailboxes.folder(USER, "INBOX"), mailboxes.messages(USER), "", [])
    assert mailboxes.messages(USER, "Sent")[0].flags == {"\\Seen"}


def test_waiting_ends_when_a_message_comes() -> None:
    mailboxes = Mailboxes()
    sender = threading.Thread(target=mailboxes.deliver, args=(USER, b"x"))
    with mailboxes.lock:
        # The delivery needs the lock, which only wait() gives away.
        sender.start()
        came = mailboxes.wait(USER, timeout=10)
    sender.join()
    assert came


def test_waiting_ends_without_a_message_too() -> None:
    assert not Mailboxes().wait(USER, timeout=0.01)


def test_a_watcher_is_called_only_while_it_watches() -> None:
    mailboxes = Mailboxes()
    calls: list[int] = []
    with mailboxes.watching(mailboxes.folder(USER, "INBOX"), lambda: calls.append(1)):
        mailboxes.deliver(USER, b"x")
        mailboxes.deliver(USER, b"x", "Sent")
    mailboxes.deliver(USER, b"x")
    assert calls == [1]


def test_deliveries_from_many_threads_are_all_kept() -> None:
    mailboxes = Mailboxes()
    threads = [threading.Thread(target=mailboxes.deliver, args=(USER, b"x")) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.uid for message in mailboxes.messages(USER)] == list(range(1, 51))


def test_subscriptions_outlive_their_folders() -> None:
    mailboxes = Mailboxes()
    mailboxes.create(USER, "Work")
    mailboxes.subscribe(USER, "Work")
    mailboxes.unsubscribe(USER, "Trash")
    mailboxes.delete(USER, "Work")
    assert mailboxes.subscribed(USER) == ["INBOX", "Sent", "Work"]
