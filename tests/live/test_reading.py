"""A thousand messages from Dovecot, over IMAP and POP3, are those that imaplib and poplib read."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from .test_login import imap_ssl, imap_starttls, pop3_ssl, pop3_stls

if TYPE_CHECKING:
    from .conftest import LiveServers

COUNT = 1000
# Not FLAGS, of which \\Recent comes and goes.
PARTS = "(INTERNALDATE UID BODY.PEEK[])"


def text(number: int) -> bytes:
    """Return a message; every tenth is larger, some lines begin with dots, and some are long."""
    body = (
        b".\r\n..two\r\n" + b"x" * (number % 5 * 900) + b"\r\n" + b"0123456789\r\n" * (5000 if number % 10 == 0 else 9)
    )
    return b"From: a@mail.test\r\nSubject: message %d\r\n\r\n" % number + body


class Box:
    """A mailbox with messages."""

    def __init__(self, servers: LiveServers, count: int = COUNT) -> None:
        self.servers, self.user = servers, servers.new_user()
        self.token = servers.authorization.issue(self.user)
        with self.imap() as imap:
            for number in range(1, count + 1):
                imap.append("INBOX", "", "", text(number))

    @contextlib.contextmanager
    def imap(self, connect: Any = imap_starttls) -> Any:
        with connect(self.servers) as client:
            client.authenticate_oauth(self.user, self.token)
            client.select()
            yield client

    @contextlib.contextmanager
    def pop(self, connect: Any = pop3_stls) -> Any:
        with connect(self.servers) as client:
            client.authenticate_oauth(self.user, self.token)
            yield client
            client.quit()


@pytest.fixture(scope="module")
def box(running_servers: LiveServers) -> Box:
    return Box(running_servers)


@pytest.mark.parametrize("uid", [False, True])
@pytest.mark.parametrize("connect", [imap_starttls, imap_ssl])
def test_a_thousand_messages_over_imap_are_imaplibs(box: Box, connect: Any, uid: bool) -> None:
    with box.imap(connect) as imap:
        # Dovecot answers commands that are under way side by side.
        messages = sorted(imap.fetch_messages("1:*", PARTS, uid=uid))
        parent = (imap.uid("FETCH", "1:*", PARTS) if uid else imap.fetch("1:*", PARTS))[1]
    assert [item for message in messages for item in message.data] == parent
    assert [message.octets for message in messages] == [text(number) for number in range(1, COUNT + 1)]
    assert [message.uid for message in messages] == list(range(1, COUNT + 1))


@pytest.mark.parametrize(
    "parts", ["FLAGS", "(ENVELOPE UID)", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODYSTRUCTURE)", "ALL"]
)
def test_other_items_are_imaplibs(box: Box, parts: str) -> None:
    with box.imap() as imap:
        messages = sorted(imap.fetch_messages("1:*", parts))
        parent = imap.fetch("1:*", parts)[1]
    assert ([item for message in messages for item in message.data], len(messages)) == (parent, COUNT)


@pytest.mark.parametrize("connect", [pop3_stls, pop3_ssl])
def test_a_thousand_messages_over_pop3_are_those_that_were_put_there(box: Box, connect: Any) -> None:
    with box.pop(connect) as pop:
        messages = list(pop.retrieve(range(1, COUNT + 1)))
    assert [(message.number, message.octets) for message in messages] == [(n, text(n)) for n in range(1, COUNT + 1)]


def test_messages_over_pop3_are_poplibs(box: Box) -> None:
    numbers = range(1, COUNT, 37)
    with box.pop() as pop:
        messages = list(pop.retrieve(numbers))
        parent = [b"\r\n".join([*pop.retr(number)[1], b""]) for number in numbers if number % 5 < 3]
    assert [message.octets for message in messages if message.number % 5 < 3] == parent


def test_messages_are_deleted_while_they_are_read(running_servers: LiveServers) -> None:
    box = Box(running_servers, 200)
    found = []
    with box.imap() as imap:
        for message in imap.fetch_messages("1:*", uid=True):
            found.append(message.octets)
            imap.uid("STORE", str(message.uid), "+FLAGS", r"(\Deleted)")
            if message.uid % 50 == 0:
                imap.expunge()
        imap.expunge()
        assert list(imap.fetch_messages("1:*")) == []
    assert sorted(found) == sorted(text(number) for number in range(1, 201))


def test_deleted_messages_are_refused_over_pop3_and_the_others_come(box: Box) -> None:
    with box.pop() as pop:
        pop.dele(2)
        messages = list(pop.retrieve(range(1, 5)))
        pop.rset()
    assert [message.error is None for message in messages] == [True, False, True, True]
