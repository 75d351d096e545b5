"""Many messages over POP3: what is asked for when, what comes of it, and what other commands see (RFC 2449)."""

from __future__ import annotations

import contextlib
import gc
import io
import poplib
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail import POP3

from .scripted import TIMEOUT, Certificates, Line, Script, scripted

PIPELINING = b"+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n"
NO_PIPELINING = b"+OK\r\nUIDL\r\n.\r\n"


def text(number: int) -> bytes:
    """Return the message with a number."""
    return b"Subject: message %d\r\n\r\n.\r\n.two\r\n..\r\n" % number


def stuffed(octets: bytes) -> bytes:
    """Return a message as it goes over the line."""
    return b"".join(b"." + line if line.startswith(b".") else line for line in octets.splitlines(True)) + b".\r\n"


def answered(number: int) -> bytes:
    """Return the answer to RETR."""
    return b"+OK message %d\r\n" % number + stuffed(text(number))


class Mailbox:
    """A server that has messages.

    Attributes:
        answers: for a message number, what comes in place of the message.
    """

    def __init__(self, messages: int, capabilities: bytes = PIPELINING) -> None:
        self.messages, self.capabilities = messages, capabilities
        self.answers: dict[int, bytes] = {}

    def reply(self, command: bytes) -> bytes:
        word, *arguments = command.split()
        if word == b"CAPA":
            return self.capabilities
        if word != b"RETR":
            return b"+OK " + command + b"\r\n"
        number = int(arguments[0])
        refused = b"-ERR no message %d\r\n" % number
        return self.answers.get(number, answered(number) if number <= self.messages else refused)

    def __call__(self, line: Line) -> None:
        line.send(b"+OK ready\r\n")
        while command := line.receive():
            line.send(self.reply(command))


@contextlib.contextmanager
def connected(script: Script) -> Iterator[Any]:
    """Have a client; ``client.server`` is the server."""
    with scripted(script) as server:
        client: Any = POP3("127.0.0.1", server.port, timeout=TIMEOUT)
        client.server = server
        with contextlib.closing(client):
            yield client


def collect(messages: Iterable[Any], found: list[Any]) -> None:
    """Put the numbers of messages into a list, as long as they come."""
    for message in messages:
        found.append(message.number)


# --- what comes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", [PIPELINING, NO_PIPELINING, b"-ERR what?\r\n"])
def test_messages_come_in_the_order_of_their_numbers(capabilities: bytes) -> None:
    with connected(Mailbox(9, capabilities)) as client:
        messages = list(client.retrieve([3, 1, 2, 1]))
    assert [(message.number, message.octets) for message in messages] == [(n, text(n)) for n in (3, 1, 2, 1)]
    assert [(message.reply, message.error) for message in messages[:1]] == [(b"+OK message 3", None)]


def test_a_message_is_the_parents_lines() -> None:
    with connected(Mailbox(2)) as client:
        (message,) = client.retrieve([2])
        assert message.octets == b"\r\n".join([*client.retr(2)[1], b""])


def test_a_message_is_shown_without_its_text() -> None:
    with connected(Mailbox(2)) as client:
        (message,) = client.retrieve([2])
    shown = f"<{len(text(2))} octets>"
    assert repr(message) == f"RetrievedMessage(number=2, octets={shown}, reply=b'+OK message 2', error=None)"


LONG = b"x" * 200_000 + b"\r\n" + b"." * 5000 + b"\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b"+OK\r\n.\r\n", b"", id="empty"),
        pytest.param(b"+OK\r\n\r\n.\r\n", b"\r\n", id="an empty line"),
        pytest.param(b"+OK\r\n..\r\n.\r\n", b".\r\n", id="a dot"),
        pytest.param(b"+OK\r\n..\r\n..\r\n...\r\n.\r\n", b".\r\n.\r\n..\r\n", id="dots"),
        pytest.param(b"+OK\r\nh\r\na\n.\nb\n.\r\nc\r\n.\r\n", b"h\r\na\n.\nb\n.\r\nc\r\n", id="bare LF within"),
        pytest.param(b"+OK\r\nh\r\na\n..b\r\n.\r\n", b"h\r\na\n..b\r\n", id="dots after a bare LF"),
        pytest.param(b"+OK\r\n.a\r\n.b\r\n.\r\n", b".a\r\n.b\r\n", id="dots that were not doubled"),
        pytest.param(b"+OK\r\n" + stuffed(LONG), LONG, id="long lines"),
        pytest.param(
            b"+OK\r\n" + b"x" * 70_000 + b"\r\na\nb\r\n.\r\n", b"x" * 70_000 + b"\r\na\nb\r\n", id="long, bare LF"
        ),
        pytest.param(b"+OK\na\nb\r\n..c\n.\n", b"a\r\nb\r\n.c\r\n", id="LF only"),
        pytest.param(b"+OK\n.\n", b"", id="LF only, empty"),
        pytest.param(
            b"+OK\na\n" + b"x" * 65_536 + b".\n.\n", b"a\r\n" + b"x" * 65_536 + b".\r\n", id="LF only, long line"
        ),
        pytest.param(b"+OK\r\n" + b"x" * 70_000 + b"\r\n.\r\n", b"x" * 70_000 + b"\r\n", id="a long first line"),
    ],
)
def test_a_message_is_read_to_its_end_and_no_further(answer: bytes, expected: bytes) -> None:
    mailbox = Mailbox(2)
    mailbox.answers[1] = answer
    with connected(mailbox) as client:
        assert [message.octets for message in client.retrieve([1, 2])] == [expected, text(2)]
        assert client.noop() == b"+OK NOOP"


@pytest.mark.parametrize("capabilities", [PIPELINING, NO_PIPELINING])
def test_a_refused_message_has_an_error_and_the_rest_goes_on(capabilities: bytes) -> None:
    mailbox = Mailbox(3, capabilities)
    mailbox.answers[2] = b"-ERR it is deleted\r\n"
    with connected(mailbox) as client:
        _, refused, last = client.retrieve([1, 2, 3])
    assert (refused.octets, refused.reply, last.octets) == (b"", b"-ERR it is deleted", text(3))
    assert (type(refused.error), refused.error.args) == (poplib.error_proto, (b"-ERR it is deleted",))


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_the_next_messages_are_asked_for_before_the_first_have_arrived() -> None:
    def script(line: Line) -> None:
        mailbox = Mailbox(2000)
        line.send(b"+OK ready\r\n")
        line.answer(PIPELINING)
        waiting = [line.receive() for _ in range(1024)]
        for command in waiting[:512]:
            line.send(mailbox.reply(command))
        waiting = waiting[512:]
        # The server does not go on before the client has asked for more.
        waiting.append(line.receive())
        for command in waiting:
            line.send(mailbox.reply(command))
        while command := line.receive():
            line.send(mailbox.reply(command))

    found: list[int] = []
    with connected(script) as client:
        collect(client.retrieve(range(1, 2001)), found)
    assert found == list(range(1, 2001))


def test_large_messages_are_asked_for_in_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pace._FIRST", 4)
    mailbox = Mailbox(0)
    mailbox.answers = dict.fromkeys(range(1, 33), b"+OK\r\n" + b"%070000d\r\n" % 0 * 30 + b".\r\n")
    with connected(mailbox) as client:
        read = iter(range(1, 33))
        next(messages := client.retrieve(read))
        assert (len(list(messages)), next(read, None)) == (31, None)
        assert max(packet.count(b"RETR") for packet in client.server.lines[0].packets) <= 4


def test_how_many_are_asked_for_follows_the_size_of_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pace._OCTETS", 400)
    mailbox = Mailbox(2500)
    mailbox.answers = {n: b"+OK\r\n%0*d\r\n.\r\n" % (1 if n < 1500 else 98, 0) for n in range(1, 2501)}
    with connected(mailbox) as client:
        asked = iter(range(1, 2501))
        for message in client.retrieve(asked):
            if message.number == 2400:
                break
    assert next(asked) == 2404


def test_what_is_kept_is_not_asked_for_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pace._FIRST", 4)
    mailbox = Mailbox(0)
    mailbox.answers = dict.fromkeys(range(1, 33), b"+OK\r\n" + b"x" * ((1 << 20) - 2) + b"\r\n.\r\n")
    asked = iter(range(1, 33))
    with connected(mailbox) as client:
        messages = client.retrieve(asked)
        next(messages)
        client.noop()
        next(messages), next(messages)
    assert next(asked) == 7


def test_as_long_as_much_is_kept_nothing_is_asked_for() -> None:
    asked = iter(range(1, 3001))
    with connected(Mailbox(3000)) as client:
        messages = client.retrieve(asked)
        next(messages)
        client.noop()
        for _ in range(200):
            next(messages)
    assert next(asked) == 1025


@pytest.mark.parametrize("capabilities", [PIPELINING, PIPELINING.lower().replace(b"+ok", b"+OK")])
def test_commands_under_way_travel_together(capabilities: bytes) -> None:
    with connected(Mailbox(50, capabilities)) as client:
        list(client.retrieve(range(1, 51)))
        # CAPA is the other one.
        assert len(client.server.lines[0].packets) == 2


def test_without_pipelining_one_command_is_under_way() -> None:
    with connected(Mailbox(5, NO_PIPELINING)) as client:
        list(client.retrieve(range(1, 6)))
        assert client.server.lines[0].packets == [b"CAPA\r\n", *(b"RETR %d\r\n" % n for n in range(1, 6))]


def test_numbers_are_read_as_they_are_needed() -> None:
    read = []

    def count() -> Iterator[int]:
        for number in range(1, 100_000):
            read.append(number)
            yield number

    with connected(Mailbox(5)) as client:
        next(client.retrieve(count()))
    assert len(read) == 1024


def test_capabilities_that_are_known_are_not_asked_for_again() -> None:
    with connected(Mailbox(5)) as client:
        client.capa()
        list(client.retrieve([1]))
        list(client.retrieve([2]))
        assert client.server.received == [b"CAPA", b"RETR 1", b"RETR 2"]


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (-1, ValueError), ("x", TypeError), (1.5, TypeError)])
def test_what_is_no_message_number_is_told_after_the_messages_before_it(wrong: Any, error: type[Exception]) -> None:
    found: list[int] = []
    with connected(Mailbox(5)) as client:
        with pytest.raises(error):
            collect(client.retrieve([1, 2, wrong, 3]), found)
        assert client.noop() == b"+OK NOOP"
    assert found == [1, 2]


@pytest.mark.parametrize("numbers", ["1:5", b"12", 5, None])
def test_what_holds_no_numbers_is_refused_before_anything_is_sent(numbers: Any) -> None:
    with connected(Mailbox(5)) as client:
        with pytest.raises(TypeError):
            client.retrieve(numbers)
        assert client.server.received == []


# --- other commands in between ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", [PIPELINING, NO_PIPELINING])
def test_another_command_goes_out_after_what_is_under_way_has_been_read(capabilities: bytes) -> None:
    found = []
    with connected(Mailbox(3000, capabilities)) as client:
        for message in client.retrieve(range(1, 3001)):
            found.append(message.octets)
            if message.number % 300 == 1:
                assert client.dele(message.number) == b"+OK DELE %d" % message.number
    assert found == [text(number) for number in range(1, 3001)]


def test_capabilities_are_asked_for_anew_after_stls(certificates: Certificates) -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        for answer in (PIPELINING, b"+OK\r\nPIPELINING\r\nSTLS\r\n.\r\n", b"+OK begin\r\n"):
            line.answer(answer)
        line.starttls(certificates.server("localhost"))
        for answer in (NO_PIPELINING, answered(1), answered(2)):
            line.answer(answer)

    with scripted(script) as server:
        client = POP3("localhost", server.port, timeout=TIMEOUT)
        with contextlib.closing(client):
            client.capa()
            client.stls(context=certificates.client())
            assert [message.octets for message in client.retrieve([1, 2])] == [text(1), text(2)]
    assert server.received == [b"CAPA", b"CAPA", b"STLS", b"CAPA", b"RETR 1", b"RETR 2"]
    assert server.lines[0].packets[-2:] == [b"RETR 1\r\n", b"RETR 2\r\n"]


def test_what_is_kept_counts_however_many_commands_come_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pop_reading._KEPT", 1000)
    mailbox = Mailbox(0)
    mailbox.answers = dict.fromkeys(range(1, 21), b"+OK\r\n" + b"x" * 98 + b"\r\n.\r\n")
    with connected(mailbox) as client:
        messages = client.retrieve(range(1, 21))
        for _ in range(3):
            next(messages)
            client.noop()
        asked = [int(line.split()[1]) for line in client.server.received if line.startswith(b"RETR")]
    # Nine messages were kept the first time, and then one in the place of the one that had been taken.
    assert asked == [*range(1, 21), *range(11, 21), *range(12, 21)]


def test_what_is_too_much_to_keep_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pop_reading._KEPT", 1000)
    found = []
    with connected(Mailbox(200)) as client:
        for message in client.retrieve(range(1, 201)):
            found.append(message.number)
            if message.number in (1, 50, 200):
                client.noop()
        asked = sum(line.startswith(b"RETR") for line in client.server.received)
    assert (found, asked > 300) == (list(range(1, 201)), True)


def test_an_iteration_that_was_left_is_no_burden_for_what_follows() -> None:
    with connected(Mailbox(3000)) as client:
        for message in client.retrieve(range(1, 3001)):
            assert message.number == 1
            break
        assert client.noop() == b"+OK NOOP"
        assert client.quit() == b"+OK QUIT"


def test_two_iterations_at_once_have_their_own_messages() -> None:
    with connected(Mailbox(3000)) as client:
        pairs = zip(client.retrieve(range(1, 1501)), client.retrieve(range(1501, 3001)), strict=True)
        found = [(one.number, other.octets) for one, other in pairs]
    assert found == [(number, text(number + 1500)) for number in range(1, 1501)]


def test_a_login_does_not_take_a_message_for_its_answer() -> None:
    with connected(Mailbox(3)) as client:
        messages = client.retrieve([1, 2, 3])
        next(messages)
        reply = client.authenticate_oauth("me@example.com", "token", mechanism="XOAUTH2", allow_insecure=True)
        assert reply.startswith(b"+OK AUTH")
        assert [message.octets for message in messages] == [text(2), text(3)]


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"+OK", id="half a line"),
        pytest.param(b"-ERR no mess", id="half a refusal"),
        pytest.param(b"+OK\r\nabc", id="half a message"),
        pytest.param(b"+OK\r\n.", id="half an end"),
        pytest.param(b"+OK\nabc\n", id="LF only, half a message"),
        pytest.param(b"hello\r\n", id="no reply"),
        pytest.param(b"+OK" + b"x" * 3000 + b"\r\n", id="a long reply"),
    ],
)
def test_a_lost_or_senseless_line_ends_in_error_proto_and_closes_the_connection(octets: bytes) -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.answer(PIPELINING)
        line.answer(octets)

    with connected(script) as client:
        with pytest.raises(poplib.error_proto) as caught:
            list(client.retrieve([1, 2, 3]))
        assert client.sock is None
    assert caught.value.args[0] in ("-ERR EOF", "line too long", b"hello")


@pytest.mark.parametrize("answer", [b"+OK\r\n" + b"a\r\n" * 2000, b"+OK\n" + b"a\n" * 2000])
def test_an_endless_message_ends_in_error_proto(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr("oauthmail._pop_reading._MESSAGE", 1000)
    mailbox = Mailbox(1)
    mailbox.answers[1] = answer
    with connected(mailbox) as client, pytest.raises(poplib.error_proto, match="octets"):
        list(client.retrieve([1]))


def test_a_server_that_falls_silent_costs_the_timeout() -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.answer(PIPELINING)
        line.answer(answered(1) + b"+OK\r\nhalf")
        line.drain()

    with connected(script) as client:
        client.sock.settimeout(0.2)
        messages = client.retrieve([1, 2])
        assert next(messages).number == 1
        with pytest.raises(TimeoutError):
            next(messages)
        assert client.sock is None


@pytest.mark.parametrize(
    ("answer", "error"), [(b"+OK\r\nPIPELINING\r\n", TimeoutError), (b"+OK\r\n" + b"x" * 3000, poplib.error_proto)]
)
def test_capabilities_that_do_not_come_close_the_connection(answer: bytes, error: type[Exception]) -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.answer(answer)
        line.drain()

    with connected(script) as client:
        client.sock.settimeout(0.2)
        with pytest.raises(error):
            next(client.retrieve([1]))
        assert client.sock is None
    assert client.server.received[0] == b"CAPA"
    assert not any(client.server.received[1:])


def test_a_line_lost_at_any_octet_leaves_what_came_whole() -> None:
    refused = b"-ERR no message 2\r\n"
    parts = [answered(1), refused, answered(3)]
    whole = b"".join(parts)
    ends = [len(b"".join(parts[:last])) for last in (1, 2, 3)]

    def cut(at: int) -> Script:
        def script(line: Line) -> None:
            line.send(b"+OK ready\r\n")
            line.answer(PIPELINING)
            for _ in range(4):
                line.receive()
            line.send(whole[:at])

        return script

    for at in range(len(whole) + 1):
        found: list[int] = []
        with connected(cut(at)) as client, pytest.raises(poplib.error_proto):
            collect(client.retrieve([1, 2, 3, 4]), found)
        assert found == [number for number, end in enumerate(ends, 1) if end <= at]


def test_a_connection_that_the_caller_closes_ends_the_iteration() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.retrieve(range(1, 3001))
        next(messages)
        client.close()
        with pytest.raises(poplib.error_proto):
            list(messages)


def test_a_line_lost_while_another_command_waits_is_told_to_both() -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.answer(PIPELINING)
        line.answer(answered(1) + answered(2) + b"+OK\r\nhalf")

    with connected(script) as client:
        messages = client.retrieve([1, 2, 3])
        next(messages)
        with pytest.raises(poplib.error_proto):
            client.noop()
        assert next(messages).octets == text(2)
        with pytest.raises(poplib.error_proto):
            next(messages)
        assert client.sock is None


class Unsendable:
    """A socket on which nothing can be sent any more."""

    def __init__(self, sock: Any, error: BaseException) -> None:
        self._sock, self._error = sock, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, octets: bytes) -> None:
        raise self._error


def test_what_came_before_nothing_could_be_sent_any_more_is_still_read() -> None:
    found: list[int] = []
    with connected(Mailbox(3000)) as client:
        messages = client.retrieve(range(1, 3001))
        next(messages)
        client.sock = Unsendable(client.sock, BrokenPipeError("gone"))
        with pytest.raises(BrokenPipeError):
            collect(messages, found)
        assert client.sock is None
    assert found == list(range(2, 1025))


def test_after_half_a_command_the_iteration_does_not_go_on() -> None:
    found: list[int] = []
    with connected(Mailbox(3000)) as client:
        messages = client.retrieve(range(1, 30_001))
        next(messages)
        client.sock, whole = Unsendable(client.sock, BrokenPipeError("gone")), client.sock
        for _ in range(300):
            next(messages)
        client.sock = whole
        with pytest.raises(BrokenPipeError):
            collect(messages, found)
    assert found == list(range(302, 1025))


def test_after_half_a_command_no_other_one_goes_out() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.retrieve(range(1, 3001))
        next(messages)
        client.sock, whole = Unsendable(client.sock, BrokenPipeError("gone")), client.sock
        for _ in range(300):
            next(messages)
        client.sock = whole
        with pytest.raises(BrokenPipeError):
            client.noop()
        assert client.sock is None


def test_an_interrupted_command_closes_the_connection() -> None:
    with connected(Mailbox(3000)) as client:
        client.capa()
        client.sock = Unsendable(client.sock, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            next(client.retrieve([1]))
        assert client.sock is None


class Pieces(io.RawIOBase):
    """A socket whose octets arrive in pieces of given sizes."""

    def __init__(self, sock: Any, sizes: list[int]) -> None:
        self._sock, self._sizes = sock, sizes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        octets = self._sock.recv(min(len(buffer), self._sizes.pop() if self._sizes else len(buffer)))
        buffer[: len(octets)] = octets
        return len(octets)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), max_size=60))
def test_it_does_not_matter_in_which_pieces_the_answers_arrive(sizes: list[int]) -> None:
    mailbox = Mailbox(5)
    mailbox.answers[2], mailbox.answers[4] = b"+OK\r\n.\r\n", b"-ERR no\r\n"
    with connected(mailbox) as client:
        client.capa()
        client.file.close()
        client.file = io.BufferedReader(Pieces(client.sock, list(sizes)))
        found = [message.octets for message in client.retrieve(range(1, 6))]
    assert found == [text(1), b"", text(3), b"", text(5)]


class Interrupted(io.RawIOBase):
    """A socket on which somebody who reads is interrupted."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise KeyboardInterrupt


def test_an_iteration_whose_answers_another_command_could_not_read_does_not_end_as_if_it_were_complete() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.retrieve(range(1, 3001))
        next(messages)
        client.file.close()
        client.file = io.BufferedReader(Interrupted())
        with pytest.raises(KeyboardInterrupt):
            client.noop()
        assert client.sock is None
        with pytest.raises(poplib.error_proto, match="KeyboardInterrupt"):
            next(messages)


# --- what people see --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 2])
def test_debug_output_is_the_parents(capsys: pytest.CaptureFixture[str], level: int) -> None:
    shown = []
    for read in (lambda client: client.retr(1), lambda client: list(client.retrieve([1]))):
        with connected(Mailbox(2)) as client:
            client.capa()
            client.set_debuglevel(level)
            capsys.readouterr()
            read(client)
            shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_audit_hooks_see_every_command() -> None:
    seen: list[bytes] = []
    with connected(Mailbox(2)) as client:
        # A hook cannot be taken away again: this one is deaf to every other client.
        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event == "poplib.putline" and args[0] is client:
                seen.append(args[1])

        sys.addaudithook(hook)
        list(client.retrieve([1, 2]))
    assert seen == [b"CAPA", b"RETR 1", b"RETR 2"]


def test_an_iteration_that_was_left_keeps_nothing() -> None:
    mailbox = Mailbox(0)
    mailbox.answers = dict.fromkeys(range(1, 201), b"+OK\r\n" + b"x" * 100_000 + b"\r\n.\r\n")
    with connected(mailbox) as client:
        next(client.retrieve(range(1, 201)))
        tracemalloc.start()
        try:
            client.noop()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2 << 20


def test_memory_stays_flat_for_a_hundred_thousand_messages() -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.answer(PIPELINING)
        while commands := line.sock.recv(1 << 16):
            line.send(answered(1) * commands.count(b"\n"))

    with connected(script) as client:
        gc.collect()
        tracemalloc.start()
        try:
            count = sum(1 for _ in client.retrieve(range(1, 100_001)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (count, peak < 4 << 20) == (100_000, True)
