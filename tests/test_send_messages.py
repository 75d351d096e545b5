"""Many messages over one connection: what becomes of each, whatever happens to the line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

from oauthmail import SMTP, SendInterrupted

from .submission import BOTH, TIMEOUT, Submission

SENDER = "ada@example.org"
RECIPIENT = "bob@example.org"
MODES = [("SIZE 1000000",), ("PIPELINING",), ("CHUNKING",), BOTH]


def message(number: int) -> tuple[str, list[str], bytes]:
    return SENDER, [RECIPIENT], b"Subject: %d\r\n\r\nHello,\r\n.\r\nworld\r\n" % number


def messages(count: int) -> Iterator[tuple[str, list[str], bytes]]:
    return map(message, range(count))


def connect(server: Submission) -> SMTP:
    return SMTP("127.0.0.1", server.port, "client.example", timeout=TIMEOUT)


def numbers(server: Submission) -> list[int]:
    """Return which messages the server has."""
    return [int(each.octets.split()[1]) for each in server.delivered]


@pytest.mark.parametrize("features", MODES, ids=" ".join)
def test_every_message_has_its_result_in_order(features: Sequence[str]) -> None:
    with Submission(features) as server, connect(server) as client:
        results = list(client.send_messages(messages(300)))

    assert [(each.index, each.accepted) for each in results] == [(number, True) for number in range(300)]


@pytest.mark.parametrize("features", MODES, ids=" ".join)
def test_every_message_arrives_once_and_as_it_was(features: Sequence[str]) -> None:
    with Submission(features) as server, connect(server) as client:
        list(client.send_messages(messages(300)))

    assert [each.octets for each in server.delivered] == [message(number)[2] for number in range(300)]


def drop(features: Sequence[str], count: int, *, reading: int | None = None, writing: int | None = None) -> None:
    """Drop the line there, and hold what the client says of each message against what the server has."""
    source = messages(count)
    accepted: list[int] = []
    in_doubt: list[int] = []
    unsent: list[int] = []
    with Submission(features, stop_reading=reading, stop_writing=writing) as server:
        client = connect(server)
        try:
            accepted += (each.index for each in client.send_messages(source) if each.accepted)
        except SendInterrupted as stop:
            in_doubt += (each.index for each in stop.in_doubt)
            unsent += (each.index for each in stop.unsent)
        client.close()
        server.wait()
    left = len(list(source))

    assert sorted([*accepted, *in_doubt, *unsent]) == list(range(count - left))
    assert set(accepted) <= set(numbers(server)) <= {*accepted, *in_doubt}
    assert len(set(numbers(server))) == len(numbers(server))


def size(features: Sequence[str], count: int) -> tuple[int, int]:
    """Return how many octets the server reads and writes for so many messages."""
    with Submission(features) as server:
        client = connect(server)
        assert len(list(client.send_messages(messages(count)))) == count
        client.close()
        server.wait()
    return server.read, server.written


@pytest.mark.parametrize("features", MODES, ids=" ".join)
def test_a_real_line_that_drops_loses_no_message_and_sends_none_twice(features: Sequence[str]) -> None:
    # At every octet: `test_send_messages_cut_off`, without sockets.
    count = 50
    read, written = size(features, count)
    for octet in range(60, read, 89):
        drop(features, count, reading=octet)
    for octet in range(80, written, 97):
        drop(features, count, writing=octet)


@pytest.mark.parametrize("features", MODES, ids=" ".join)
def test_messages_leave_before_the_next_one_is_asked_for(features: Sequence[str]) -> None:
    def one_after_the_other() -> Iterator[tuple[str, list[str], bytes]]:
        for number in range(5):
            # Until the one before it has arrived.
            for _ in range(500):
                if len(server.delivered) == number:
                    break
                time.sleep(0.01)
            arrived.append(len(server.delivered))
            yield message(number)

    arrived: list[int] = []
    with Submission(features) as server, connect(server) as client:
        list(client.send_messages(one_after_the_other()))

    assert arrived == [0, 1, 2, 3, 4]
