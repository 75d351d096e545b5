"""The reader of replies against smtplib's own on the same octets, however they are cut into packets."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oauthmail._replies import Replies

from .conversation import Conversation, Rules
from .scripted import TIMEOUT, Certificates, scripted
from .wire import Wire

#: What is frequent in replies, and what is not.
lines = st.lists(
    st.sampled_from(
        [b"2", b"5", b"0", b"-", b" ", b"+", b"_", b"\t", b"\r", b"\n", b"\r\n", b"\r\n", b"250 ok\r\n", b"250-", b"x"]
    ),
    max_size=30,
).map(b"".join)
packets = st.lists(st.integers(1, 12), min_size=1, max_size=6)
each_size = pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 16])


class Saying(Conversation):
    """A server that says what it is told to, and hangs up."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(Rules())
        self.said = [octets]

    def take(self, octets: bytes) -> bytes:
        self.ended = True
        return super().take(octets)


def wire(octets: bytes, arriving: Iterable[int] = (1 << 16,)) -> Wire:
    found = Wire(Rules(), arriving=arriving)
    found.conversation = Saying(octets)
    found._waiting = found.conversation.take(b"")
    return found


def gather(read: Callable[[], tuple[int, bytes]]) -> list[object]:
    """Return all replies, and the exception behind them."""
    found: list[object] = []
    while True:
        try:
            found.append(read())
        except smtplib.SMTPServerDisconnected:
            return [*found, "ended"]
        except smtplib.SMTPResponseException as error:
            return [*found, (type(error), error.smtp_code)]


def by_smtplib(octets: bytes) -> list[object]:
    """Return what smtplib reads, without half a reply in front of the end, which it takes for one."""
    client = smtplib.SMTP()
    client.sock = wire(octets)
    try:
        found = gather(client.getreply)
    finally:
        client.close()
    return found


def by_us(octets: bytes, arriving: Iterable[int]) -> list[object]:
    with closing(wire(octets, arriving)) as sock:
        return gather(Replies(sock, None).reply)


def whole(octets: bytes) -> bytes:
    """Return octets up to the end of the last reply that is whole."""
    kept = end = 0
    while found := octets.find(b"\n", end) + 1:
        line, end = octets[end:found], found
        try:
            int(line[:3])
        except ValueError:
            kept = end
        else:
            kept = end if line[3:4] != b"-" else kept
    return octets[:kept]


@settings(max_examples=800, deadline=None)
@given(octets=lines, arriving=packets)
@example(octets=b"250-a\r\n250-b\r\n250 c\r\n", arriving=[1])
@example(octets=b"250\r\n", arriving=[3])
@example(octets=b"\r\n", arriving=[1])
@example(octets=b"-1 -x\r\n250 y\r\n", arriving=[1])
@example(octets=b"250-\n250 \n", arriving=[2])
@example(octets=b"999 x\r\n099 y\r\n", arriving=[2])
def test_replies_are_those_that_smtplib_reads(octets: bytes, arriving: list[int]) -> None:
    assert by_us(octets, arriving) == by_smtplib(whole(octets))


@pytest.mark.parametrize("half", [b"2", b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n", b"250-ok\r\n250 ok"])
@each_size
def test_half_a_reply_at_the_end_is_none(half: bytes, size: int) -> None:
    assert by_us(b"220 hi\r\n" + half, [size]) == [(220, b"hi"), "ended"]


@pytest.mark.parametrize("length", [8191, 8192, 8193, 20_000])
@pytest.mark.parametrize("start", [b"250 ", b"250-", b"junk"])
@pytest.mark.parametrize("size", [1000, 8192, 1 << 16])
def test_a_line_that_is_too_long_is_refused_as_by_smtplib(length: int, start: bytes, size: int) -> None:
    octets = start.ljust(length - 2, b"x") + b"\r\n250 ok\r\n"
    assert by_us(octets, [size]) == by_smtplib(octets)


def test_the_refusal_of_a_line_that_is_too_long_is_smtplibs() -> None:
    with closing(wire(b"x" * 9000)) as sock, pytest.raises(smtplib.SMTPResponseException) as ours:
        Replies(sock, None).reply()
    client = smtplib.SMTP()
    client.sock = wire(b"x" * 9000)
    with pytest.raises(smtplib.SMTPResponseException) as parents:
        client.getreply()

    assert (type(ours.value), ours.value.args) == (type(parents.value), parents.value.args)


def test_a_reply_without_end_is_refused() -> None:
    endless = wire((b"250-" + b"x" * 8000 + b"\r\n") * 200)
    with closing(endless) as sock, pytest.raises(smtplib.SMTPResponseException, match="too long"):
        Replies(sock, None).reply()


# --- as a file ----------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    octets=st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n"]), max_size=20).map(b"".join),
    arriving=packets,
    calls=st.lists(st.tuples(st.sampled_from(["readline", "read", "peek"]), st.integers(1, 9)), max_size=12),
)
def test_as_a_file_it_reads_what_a_buffered_reader_reads(
    octets: bytes, arriving: list[int], calls: list[tuple[str, int]]
) -> None:
    plain = io.BytesIO(octets)
    with closing(wire(octets, arriving)) as sock:
        replies = Replies(sock, None)
        for name, size in calls:
            if name == "peek":
                found = replies.peek(size)
                rest = octets[plain.tell() :]
                assert rest.startswith(found)
                assert bool(found) == bool(rest)
            else:
                assert getattr(replies, name)(size) == getattr(plain, name)(size)


@settings(max_examples=300, deadline=None)
@given(taken=st.integers(0, 6), arriving=packets)
def test_it_takes_over_what_a_file_has_read(taken: int, arriving: list[int]) -> None:
    octets = b"220 a\r\n250-b\r\n250 c\r\n550 d\r\n"
    with closing(wire(octets, arriving)) as sock:
        file = sock.makefile("rb")
        first = file.read(taken)
        replies = Replies(sock, file)
        assert first + replies.read(len(octets)) == octets
        replies.close()


def test_taking_over_waits_for_nothing() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.settimeout(TIMEOUT)
        with closing(Replies(ours, ours.makefile("rb"))) as replies:
            assert replies.arrived() is None
            assert ours.gettimeout() == TIMEOUT
            theirs.sendall(b"250 later\r\n")
            assert replies.reply() == (250, b"later")


def test_closing_it_closes_the_file_below() -> None:
    with closing(wire(b"")) as sock:
        file = sock.makefile("rb")
        Replies(sock, file).close()
        assert file.closed


# --- looking without waiting --------------------------------------------------------------------------------------


def test_looking_reads_what_has_arrived_and_waits_for_nothing() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.settimeout(TIMEOUT)
        replies = Replies(ours, None)
        replies.look()
        assert replies.arrived() is None
        theirs.sendall(b"250 a\r\n25")
        replies.look()
        assert replies.arrived() == (250, b"a")
        assert replies.arrived() is None
        assert ours.gettimeout() == TIMEOUT


def test_looking_tells_the_end_of_the_connection() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        replies = Replies(ours, None)
        theirs.close()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            replies.look()


def test_a_timeout_is_a_lost_connection_as_in_smtplib() -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.settimeout(0.01)
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out") as lost:
            Replies(ours, None).reply()
    assert isinstance(lost.value.__cause__, TimeoutError)


@each_size
def test_over_tls_it_reads_the_same(size: int, certificates: Certificates) -> None:
    octets = b"220 a\r\n250-b\r\n250 c\r\n550 d\r\n"

    def script(line: Any) -> None:
        for start in range(0, len(octets), size):
            line.send(octets[start : start + size])
        line.receive()
        line.send(b"250 later\r\n")

    with (
        scripted(script, tls=certificates.server("localhost")) as server,
        socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as plain,
        certificates.client().wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        file = sock.makefile("rb")
        assert file.readline(100) == b"220 a\r\n"
        replies = Replies(sock, file)
        assert [replies.reply(), replies.reply()] == [(250, b"b\nc"), (550, b"d")]
        replies.look()
        assert replies.arrived() is None
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.gettimeout() == TIMEOUT
        sock.sendall(b"go\r\n")
        assert replies.reply() == (250, b"later")
        replies.close()
