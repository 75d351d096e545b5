"""Many messages over IMAP: what is asked for when, what comes of it, and what other commands see (RFC 3501)."""

from __future__ import annotations

import contextlib
import gc
import imaplib
import io
import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail import IMAP4, IMAPOAuthError
from oauthmail.imap import _OWN_BUFFER

from .scripted import TIMEOUT, Line, Script, scripted

Answer = Callable[[bytes, int], bytes]


def text(number: int) -> bytes:
    """Return the message with a number."""
    return b"Subject: message %d\r\n\r\n) 7 FETCH {9}\r\n.\r\n" % number


def answered(number: int, items: bytes = b"", behind: bytes = b"") -> bytes:
    """Return the answer to a FETCH for one message."""
    return b"* %d FETCH (%sBODY[] {%d}\r\n%s%s)\r\n" % (number, items, len(text(number)), text(number), behind)


def numbers(message_set: bytes, highest: int, lowest: int = 1) -> list[int]:
    """Return the numbers of a set, as a server reads it."""
    found: set[int] = set()
    for part in message_set.replace(b"*", b"%d" % highest).split(b","):
        ends = sorted(map(int, part.split(b":")))
        found |= set(range(max(ends[0], lowest), min(ends[-1], highest) + 1))
    return sorted(found)


class Mailbox:
    """A server with one folder; message number n has the UID n + *shift*.

    Attributes:
        answers: for a command's tag, what comes in place of ``OK``, or in front of it.
    """

    def __init__(self, exists: int, shift: int = 0) -> None:
        self.exists, self.shift = exists, shift
        self.before: dict[bytes, bytes] = {}
        self.instead: dict[bytes, bytes] = {}
        self.each: Callable[[int], bytes] = self.one
        self.uid = False

    def one(self, number: int) -> bytes:
        return answered(number, b"UID %d " % (number + self.shift) if self.uid else b"")

    def fetch(self, message_set: bytes) -> bytes:
        shift = self.shift if self.uid else 0
        wanted = (number - shift for number in numbers(message_set, self.exists + shift, shift + 1))
        return b"".join(self.each(number) for number in wanted if 0 < number <= self.exists)

    def reply(self, command: bytes) -> bytes:
        tag, name, *words = command.split(b" ")
        self.uid = name == b"UID"
        if self.uid:
            name, *words = words
        octets = self.before.get(name, b"")
        if name == b"SELECT":
            octets += b"* %d EXISTS\r\n" % self.exists
        elif name == b"FETCH":
            octets += self.fetch(words[0])
        elif name == b"SEARCH":
            inside = numbers(words[0], self.exists)
            uids = set(numbers(words[2], self.exists + self.shift, self.shift + 1))
            octets += b"* SEARCH" + b"".join(b" %d" % (n + self.shift) for n in inside if n + self.shift in uids)
            octets += b"\r\n"
        elif name == b"CAPABILITY":
            octets += b"* CAPABILITY IMAP4rev1\r\n"
        elif name == b"LOGOUT":
            octets += b"* BYE\r\n"
        return octets + self.instead.pop(name, b"TAG OK done\r\n").replace(b"TAG", tag)

    def begin(self, line: Line) -> None:
        """Greet, and see the client to the folder."""
        line.send(b"* PREAUTH ready\r\n")
        for _ in range(2):
            line.send(self.reply(line.receive()))

    def __call__(self, line: Line) -> None:
        self.begin(line)
        while command := line.receive():
            line.send(self.reply(command))


@contextlib.contextmanager
def connected(script: Script) -> Iterator[Any]:
    """Have a client that has selected a folder; ``client.server`` is the server."""
    with scripted(script) as server:
        client: Any = IMAP4("127.0.0.1", server.port, timeout=TIMEOUT)
        client.server = server
        try:
            client.select()
            yield client
        finally:
            with contextlib.suppress(OSError):
                client.shutdown()


def commands(client: Any) -> list[bytes]:
    """Return what the server received after CAPABILITY and SELECT, without tags."""
    return [line.partition(b" ")[2] for line in client.server.received][2:]


def fetched(client: Any) -> list[bytes]:
    """Return the sets that were asked for."""
    return [found[1] for line in commands(client) if (found := re.match(rb"(?:UID )?FETCH (\S+)", line))]


def collect(messages: Iterator[Any], found: list[Any]) -> None:
    """Put the numbers of messages into a list, as long as they come."""
    for message in messages:
        found.append(message.number)


# --- what comes -------------------------------------------------------------------------------------------------------


def test_every_message_comes_once_in_order_with_number_octets_and_the_parents_data() -> None:
    with connected(Mailbox(3)) as client:
        messages = list(client.fetch_messages("1:*"))
        parent = client.fetch("1:*", "(BODY.PEEK[])")[1]
    assert [tuple(message)[:3] for message in messages] == [(n, None, text(n)) for n in (1, 2, 3)]
    assert [item for message in messages for item in message.data] == parent


def test_a_message_is_shown_without_its_text() -> None:
    with connected(Mailbox(1)) as client:
        (message,) = client.fetch_messages("1")
    assert repr(message) == f"FetchedMessage(number=1, uid=None, octets=<{len(text(1))} octets>)"


@pytest.mark.parametrize(
    ("message_set", "expected"),
    [
        ("2", [2]),
        ("1:3", [1, 2, 3]),
        ("3:1", [1, 2, 3]),
        ("5,1,3:4,4:5", [1, 3, 4, 5]),
        ("*", [6]),
        ("4:*", [4, 5, 6]),
        ("9:*", [6]),
        (b"1,2", [1, 2]),
        ([4, 1, 2, 2], [1, 2, 4]),
        (range(2, 5), [2, 3, 4]),
        (range(1, 6, 2), [1, 3, 5]),
        (dict.fromkeys((6, 5)), [5, 6]),
        (b"1 3".split(), [1, 3]),
    ],
)
@pytest.mark.parametrize("uid", [False, True])
def test_a_set_of_numbers_is_taken_in_every_form(message_set: Any, expected: list[int], uid: bool) -> None:
    with connected(Mailbox(6)) as client:
        assert [message.number for message in client.fetch_messages(message_set, uid=uid)] == expected


@pytest.mark.parametrize(
    "message_set",
    ["", "a", "1:", ",1", "1,,2", "0", "1 2", "1:2:3", "1\r\nA2 LOGOUT", "4294967296", "-1", [], [0], [1, "x"], [-3]],
)
def test_what_is_no_set_of_numbers_is_refused_before_anything_is_sent(message_set: Any) -> None:
    with connected(Mailbox(6)) as client:
        with pytest.raises(ValueError, match="number"):
            client.fetch_messages(message_set)
        assert commands(client) == []


@pytest.mark.parametrize("parts", ["", " ", "FLAGS\r\nA2 LOGOUT", "FLAGS\0", "BODY[é]", "BODY[HEADER.FIELDS ({4}"])
def test_items_that_would_break_the_line_are_refused_before_anything_is_sent(parts: str) -> None:
    with connected(Mailbox(6)) as client:
        with pytest.raises(ValueError, match="items"):
            client.fetch_messages("1", parts)
        assert commands(client) == []


def test_without_a_folder_the_call_fails_as_the_parents_does() -> None:
    with connected(Mailbox(1)) as client:
        client.close()
        with pytest.raises(imaplib.IMAP4.error) as parents:
            client.fetch("1", "(FLAGS)")
        with pytest.raises(imaplib.IMAP4.error) as ours:
            client.fetch_messages("1", "(FLAGS)")
    assert str(ours.value) == str(parents.value)


@pytest.mark.parametrize("message_set", ["1:*", "*", "5:*"])
@pytest.mark.parametrize("uid", [False, True])
def test_an_empty_folder_has_no_messages_and_no_error(message_set: str, uid: bool) -> None:
    with connected(Mailbox(0)) as client:
        assert list(client.fetch_messages(message_set, uid=uid)) == []
        assert commands(client) == []


SHAPES = [
    pytest.param(b"(BODY[] {3}\r\nabc)", (None, b"abc"), id="literal"),
    pytest.param(b"(UID 7 BODY[] {3}\r\nabc)", (7, b"abc"), id="uid before"),
    pytest.param(b"(BODY[] {3}\r\nabc UID 7)", (7, b"abc"), id="uid behind"),
    pytest.param(b"(FLAGS (\\Seen) UID 7 BODY[HEADER] {3}\r\nabc FLAGS ())", (7, b"abc"), id="flags"),
    pytest.param(b'(BODY[TEXT]<0> "a\\"\\\\b" UID 7)', (7, b'a"\\b'), id="quoted"),
    pytest.param(b"(UID 7 BODY[] NIL)", (7, b""), id="nil"),
    pytest.param(b"(UID " + b"9" * 5000 + b" BODY[] {1}\r\na)", (None, b"a"), id="no uid has so many digits"),
    pytest.param(b'(UID 7 BODY[] "")', (7, b""), id="empty"),
    pytest.param(b"(UID 7 BODY[] {0}\r\n)", (7, b""), id="empty literal"),
    pytest.param(b"(BODY[HEADER] {1}\r\na BODY[TEXT] {1}\r\nb UID 7)", (7, b"a"), id="two literals"),
    pytest.param(b"(BODY[HEADER.FIELDS (FROM UID 9)] {1}\r\na UID 7)", (7, b"a"), id="fields"),
    pytest.param(b"(BINARY[1] ~{2}\r\n\0\n UID 7)", (7, b"\0\n"), id="literal8"),
    pytest.param(b'(ENVELOPE ("d" "UID 9 BODY[] " "x") UID 7)', (7, b""), id="a subject is no item"),
    pytest.param(b'(ENVELOPE ("d" {6}\r\nUID 9 NIL) BODY[] {1}\r\na UID 7)', (7, b"a"), id="nor is a literal one"),
    pytest.param(b"(FLAGS (UID 9) UID 7 RFC822.SIZE 5)", (7, b""), id="nor are keywords"),
    pytest.param(b'(UID 7 RFC822.SIZE 5 INTERNALDATE " 1-Jan-2024 00:00:00 +0000")', (7, b""), id="no text"),
    pytest.param(b"(uid 7 Body[] {1}\r\na)", (7, b"a"), id="lower case"),
    pytest.param(b"(X-A (BODY[] {1}\r\na) UID 7)", (7, b""), id="text within a list"),
    pytest.param(b"(RFC822.HEADER {1}\r\na UID 7)", (7, b"a"), id="rfc822.header"),
]


@pytest.mark.parametrize(("items", "expected"), SHAPES)
def test_uid_and_octets_are_found_in_every_shape_of_answer(items: bytes, expected: Any) -> None:
    mailbox = Mailbox(1)
    mailbox.each = lambda number: b"* %d FETCH %s\r\n" % (number, items)
    with connected(mailbox) as client:
        (message,) = client.fetch_messages("1", "(BODY.PEEK[])")
        parent = client.fetch("1", "(BODY.PEEK[])")[1]
    assert ((message.uid, message.octets), message.data) == (expected, parent)


@pytest.mark.parametrize("parts", ["(FLAGS UID)", "(flags Uid)", "(UID FLAGS MODSEQ)", "FLAGS"])
def test_flags_alone_are_an_answer_where_nothing_else_was_asked_for(parts: str) -> None:
    mailbox = Mailbox(2)
    mailbox.each = lambda number: b"* %d FETCH (FLAGS (\\Seen) UID %d)\r\n" % (number, number)
    with connected(mailbox) as client:
        assert [message.uid for message in client.fetch_messages("1:*", parts)] == [1, 2]


@pytest.mark.parametrize(("message_set", "uid"), [("2:3", False), ("2:3", True), ("2:3,10:3000", True)])
def test_changed_flags_and_messages_nobody_asked_for_and_repetitions_are_no_answers(
    message_set: str, uid: bool
) -> None:
    mailbox = Mailbox(9)
    mailbox.each = lambda number: (
        b"* %d FETCH (FLAGS (\\Seen))\r\n" % number + mailbox.one(8) + mailbox.one(number) + mailbox.one(number)
    )
    with connected(mailbox) as client:
        found = [(message.number, message.octets) for message in client.fetch_messages(message_set, uid=uid)]
        assert found == [(2, text(2)), (3, text(3))]
        assert "FETCH" not in client.untagged_responses


def test_responses_in_between_reach_the_client() -> None:
    mailbox = Mailbox(2)
    mailbox.each = lambda number: (
        b"* 9 EXISTS\r\n" + answered(number) + b'* 4 EXPUNGE\r\n* LIST () "/" {3}\r\nabc\r\n* OK [ALERT] x\r\n'
    )
    with connected(mailbox) as client:
        messages = list(client.fetch_messages("1:2"))
        seen = client.untagged_responses
    assert [message.octets for message in messages] == [text(1), text(2)]
    assert (seen["EXISTS"], seen["EXPUNGE"], seen["ALERT"]) == ([b"2", b"9", b"9"], [b"4", b"4"], [b"", b""])
    assert seen["LIST"] == [(b'() "/" {3}', b"abc"), b""] * 2


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_the_next_messages_are_asked_for_before_the_first_have_arrived() -> None:
    def script(line: Line) -> None:
        mailbox = Mailbox(2000)
        mailbox.begin(line)
        waiting = [line.receive() for _ in range(4)]
        line.send(mailbox.reply(waiting.pop(0)))
        # The server does not go on before the client has asked for more.
        waiting.append(line.receive())
        for command in waiting:
            line.send(mailbox.reply(command))

    with connected(script) as client:
        assert [message.number for message in client.fetch_messages("1:*")] == list(range(1, 2001))


@pytest.mark.parametrize(
    ("exists", "expected"),
    [(256, [b"1:256"]), (257, [b"1:256", b"257"]), (1000, [b"1:256", b"257:512", b"513:768", b"769:1000"])],
)
def test_a_quarter_of_what_may_be_under_way_is_asked_for_at_a_time(exists: int, expected: list[bytes]) -> None:
    with connected(Mailbox(exists)) as client:
        assert sum(1 for _ in client.fetch_messages("1:*")) == exists
        assert fetched(client) == expected


def test_large_messages_are_asked_for_in_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pace._FIRST", 4)
    mailbox = Mailbox(64)
    mailbox.each = lambda number: b"* %d FETCH (BODY[] {%d}\r\n%s)\r\n" % (number, 1 << 19, bytes(1 << 19))
    with connected(mailbox) as client:
        assert sum(len(message.octets) for message in client.fetch_messages("1:*")) == 32 << 20
        assert max(len(numbers(each, 64)) for each in fetched(client)) == 2


def test_how_many_are_asked_for_follows_the_size_of_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pace._OCTETS", 400)
    mailbox = Mailbox(2500)
    mailbox.each = lambda number: (
        b"* %d FETCH (BODY[] {1}\r\na)\r\n" % number
        if number < 1500
        else b"* %d FETCH (BODY[] {100}\r\n%0100d)\r\n" % (number, number)
    )
    with connected(mailbox) as client:
        assert sum(1 for _ in client.fetch_messages("1:*")) == 2500
        assert [len(numbers(each, 2500)) for each in fetched(client)[-3:]] == [1, 1, 1]


def test_what_is_kept_is_not_asked_for_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._pace._FIRST", 4)
    mailbox = Mailbox(64)
    mailbox.each = lambda number: b"* %d FETCH (BODY[] {%d}\r\n%s)\r\n" % (number, 1 << 20, bytes(1 << 20))
    with connected(mailbox) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        client.noop()
        next(messages), next(messages)
        client.noop()
        assert fetched(client) == [b"1", b"2", b"3", b"4", b"5", b"6"]


@pytest.mark.parametrize(
    ("exists", "message_set"),
    [
        pytest.param(20_000, range(10_001, 20_001, 2), id="numbers"),
        pytest.param(1000, ",".join(f"{n}:{n}" for n in range(1, 9000, 2)), id="ranges, few of which are there"),
    ],
)
def test_no_command_line_is_longer_than_servers_have_to_take(exists: int, message_set: Any) -> None:
    with connected(Mailbox(exists)) as client:
        found = [message.uid for message in client.fetch_messages(message_set, uid=True)]
        longest = max(map(len, commands(client)))
    assert (found == list(range(found[0], exists, 2)), longest < 4100) == (True, True)


def test_numbers_that_are_named_are_asked_for_whether_they_are_there_or_not() -> None:
    # Otherwise the server could not say that they are wrong.
    with connected(Mailbox(3)) as client:
        list(client.fetch_messages("2:9"))
        assert fetched(client) == [b"2:9"]


def test_a_range_of_uids_is_divided_by_the_messages_that_are_there() -> None:
    mailbox = Mailbox(3000, shift=100_000)
    with connected(mailbox) as client:
        found = [message.uid for message in client.fetch_messages("1:100,100500:100600,102990:*", uid=True)]
        assert fetched(client) == [b"100500:100600,102990:103000"]
    assert found == [*range(100_500, 100_601), *range(102_990, 103_001)]


def test_a_wide_range_of_uids_costs_no_empty_commands() -> None:
    with connected(Mailbox(3, shift=4_000_000_000)) as client:
        assert [message.uid for message in client.fetch_messages("1:*", uid=True)] == [
            4000000001,
            4000000002,
            4000000003,
        ]
        assert fetched(client) == [b"1:*"]


def test_the_uids_of_a_large_folder_are_searched_for_in_pieces() -> None:
    with connected(Mailbox(60_000, shift=100_000)) as client:
        messages = client.fetch_messages("100000:*", "(UID)", uid=True)
        client.server.lines[0].sock.settimeout(TIMEOUT)
        first = next(messages)
        searches = [line for line in commands(client) if b"SEARCH" in line]
    assert first.uid == 100_001
    assert searches == [b"UID SEARCH 1:50000 UID 100000:*", b"UID SEARCH 50001:* UID 100000:*"]


@pytest.mark.parametrize("exists", [1999, 2000, 2001])
def test_the_last_piece_of_a_search_may_be_small(monkeypatch: pytest.MonkeyPatch, exists: int) -> None:
    monkeypatch.setattr("oauthmail._imap_numbers._SEARCHED", 1000)
    with connected(Mailbox(exists)) as client:
        assert sum(1 for _ in client.fetch_messages("1:*", uid=True)) == exists


def test_a_search_is_not_led_astray_by_messages_that_go_meanwhile() -> None:
    mailbox = Mailbox(60_000, shift=100_000)
    mailbox.before[b"SEARCH"] = b"* 1 EXPUNGE\r\n" * 7
    with connected(mailbox) as client:
        next(client.fetch_messages("1:*", "(UID)", uid=True))
        assert [line.split()[2] for line in commands(client) if b"SEARCH" in line] == [b"1:50000", b"49994:*"]


def test_a_search_that_is_refused_is_the_parents_error() -> None:
    mailbox = Mailbox(3000)
    mailbox.instead[b"SEARCH"] = b"TAG NO not today\r\n"
    with connected(mailbox) as client, pytest.raises(imaplib.IMAP4.error, match="not today"):
        next(client.fetch_messages("1:*", uid=True))


def test_numbers_without_a_message_do_not_hold_up_those_that_follow() -> None:
    with connected(Mailbox(1000, shift=5000)) as client:
        messages = client.fetch_messages(list(range(1, 7000)), uid=True)
        assert [message.uid for message in messages] == list(range(5001, 6001))


def test_a_server_that_invents_messages_is_not_listened_to_for_ever() -> None:
    mailbox = Mailbox(1000)
    mailbox.fetch = lambda message_set: b"".join(  # type: ignore[method-assign]  # more than there are
        b"* 1 FETCH (UID %d BODY[] {1}\r\na)\r\n" % uid for uid in range(1, 10_000)
    )
    with connected(mailbox) as client:
        assert len(list(client.fetch_messages("1:*", uid=True))) == 4096


def test_a_folder_of_impossible_size_is_no_error() -> None:
    mailbox = Mailbox(3)
    mailbox.before[b"NOOP"] = b"* " + b"9" * 5000 + b" EXISTS\r\n"
    with connected(mailbox) as client:
        assert client.noop() == ("OK", [b"done"])
        assert [message.number for message in client.fetch_messages("1:3")] == [1, 2, 3]


def test_messages_that_are_expunged_meanwhile_are_not_asked_for_at_the_end() -> None:
    mailbox = Mailbox(3000)
    with connected(mailbox) as client:
        messages = client.fetch_messages("1:*")
        first = next(messages).number
        mailbox.exists = 2990
        mailbox.before[b"NOOP"] = b"* 3000 EXPUNGE\r\n" * 10
        client.noop()
        assert [first, *(message.number for message in messages)] == list(range(1, 2991))
        assert [each.rpartition(b":")[2] for each in fetched(client)][-1] == b"2990"


# --- other commands in between ----------------------------------------------------------------------------------------


def test_another_command_goes_out_after_what_is_under_way_has_been_read() -> None:
    mailbox = Mailbox(3000)
    mailbox.before[b"STORE"] = b"* 1 FETCH (FLAGS (\\Deleted))\r\n"
    with connected(mailbox) as client:
        found = []
        for message in client.fetch_messages("1:*"):
            found.append(message.octets)
            if message.number % 300 == 1:
                assert client.store("1", "+FLAGS", "\\Deleted") == ("OK", [b"1 (FLAGS (\\Deleted))"])
    assert found == [text(number) for number in range(1, 3001)]


def test_what_is_kept_counts_however_many_commands_come_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._imap_reading._KEPT", 1000)
    mailbox = Mailbox(200)
    mailbox.each = lambda number: b"* %d FETCH (BODY[] {100}\r\n%0100d)\r\n" % (number, number)
    with connected(mailbox) as client:
        messages = client.fetch_messages("1:200")
        for _ in range(3):
            next(messages)
            client.noop()
        assert int(next(messages).octets) == 4
        # Nine messages were kept the first time, and then two in the place of those that had been taken.
        assert fetched(client)[:2] == [b"1:200", b"11:200"]
        client.noop()
        assert fetched(client)[2:] == [b"13:200"]


@pytest.mark.parametrize("uid", [False, True])
def test_what_is_too_much_to_keep_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch, uid: bool) -> None:
    monkeypatch.setattr("oauthmail._imap_reading._KEPT", 1000)
    with connected(Mailbox(200)) as client:
        found = []
        for message in client.fetch_messages("1:*", uid=uid):
            found.append(message.number)
            if message.number in (1, 50):
                client.noop()
        asked = sum(len(numbers(each, 200)) for each in fetched(client))
    assert (found, asked > 300) == (list(range(1, 201)), True)


def test_an_iteration_that_was_left_is_no_burden_for_what_follows() -> None:
    with connected(Mailbox(3000)) as client:
        for message in client.fetch_messages("1:*"):
            assert message.number == 1
            break
        assert client.noop() == ("OK", [b"done"])
        assert "FETCH" not in client.untagged_responses
        assert client.logout() == ("BYE", [b""])


def test_two_iterations_at_once_have_their_own_messages() -> None:
    with connected(Mailbox(3000)) as client:
        pairs = zip(client.fetch_messages("1:1500"), client.fetch_messages("1501:3000", uid=True), strict=True)
        found = [(one.number, other.uid) for one, other in pairs]
    assert found == [(number, number + 1500) for number in range(1, 1501)]


@pytest.mark.parametrize("leave", ["select", "examine"])
def test_an_iteration_does_not_go_on_in_another_folder(leave: str) -> None:
    mailbox = Mailbox(3000)
    mailbox.before[b"EXAMINE"] = b"* 3000 EXISTS\r\n"
    with connected(mailbox) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        (client.select if leave == "select" else lambda box: client.select(box, readonly=True))("Other")
        found: list[int] = []
        with pytest.raises(imaplib.IMAP4.error, match="another folder"):
            collect(messages, found)
    assert found == list(range(2, len(found) + 2))


def test_after_logout_come_the_messages_that_came_before_and_then_the_state_error() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        client.logout()
        found: list[int] = []
        with pytest.raises(imaplib.IMAP4.error, match="FETCH"):
            collect(messages, found)
    assert found == list(range(2, 1025))


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"TAG NO not today\r\n", r"FETCH command error: NO \[b'not today'\]"),
        (b"TAG BAD what\r\n", r"FETCH command error: BAD \[b'what'\]"),
    ],
)
def test_a_refusal_is_raised_after_the_messages_that_came(reply: bytes, error: str) -> None:
    mailbox = Mailbox(3000)
    mailbox.instead[b"FETCH"] = reply
    found: list[int] = []
    with connected(mailbox) as client:
        with pytest.raises(imaplib.IMAP4.error, match=error) as caught:
            collect(client.fetch_messages("1:*"), found)
        assert client.noop() == ("OK", [b"done"])
    assert (found, isinstance(caught.value, imaplib.IMAP4.abort)) == (list(range(1, 1025)), False)


def test_a_refusal_met_by_another_command_is_raised_by_the_iteration() -> None:
    mailbox = Mailbox(3)
    mailbox.instead[b"FETCH"] = b"TAG NO not today\r\n"
    with connected(mailbox) as client:
        messages = client.fetch_messages("1:3")
        next(messages)
        assert client.noop() == ("OK", [b"done"])
        assert [next(messages).number, next(messages).number] == [2, 3]
        with pytest.raises(imaplib.IMAP4.error, match="NO"):
            next(messages)


def test_exchanges_hidden_refusal_is_told_as_by_other_commands() -> None:
    mailbox = Mailbox(1)
    mailbox.instead[b"FETCH"] = b"TAG BAD User is authenticated but not connected.\r\n"
    mailbox.each = lambda number: b""
    with connected(mailbox) as client:
        client._oauth_user = ("XOAUTH2", "me@example.com")
        with pytest.raises(IMAPOAuthError):
            list(client.fetch_messages("1"))
        assert client.state == "LOGOUT"


def test_exchanges_hidden_refusal_is_told_to_another_command_in_between() -> None:
    mailbox = Mailbox(3)
    mailbox.instead[b"FETCH"] = b"TAG BAD User is authenticated but not connected.\r\n"
    with connected(mailbox) as client:
        client._oauth_user = ("XOAUTH2", "me@example.com")
        next(client.fetch_messages("1:3"))
        with pytest.raises(IMAPOAuthError):
            client.noop()


@pytest.mark.parametrize("reply", [b"NO", b"BAD"])
def test_of_several_refusals_the_first_is_raised(reply: bytes) -> None:
    def script(line: Line) -> None:
        Mailbox(3000).begin(line)
        tags = [line.receive().split()[0] for _ in range(4)]
        line.send(b"".join(b"%s %s refusal %d\r\n" % (tag, reply, place) for place, tag in enumerate(tags)))

    with connected(script) as client, pytest.raises(imaplib.IMAP4.error, match="refusal 0"):
        next(client.fetch_messages("1:*"))


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        pytest.param(b"* BYE going down\r\n", "going down", id="bye"),
        pytest.param(b"* 1 FETCH (BODY[] {99999999999}\r\nabc", "impossible size", id="literal of 93 GiB"),
        pytest.param(
            b"* 1 FETCH (BODY[] {" + b"9" * 5000 + b"}\r\nabc", "impossible size", id="literal of many digits"
        ),
        pytest.param(b"* 1 FETCH (BODY[] {1000000000}\r\nabc", "EOF", id="literal that does not come"),
        pytest.param(b"* 1 FETCH (BODY[] {5}\r\nabc", "EOF", id="half a literal"),
        pytest.param(b"* 1 FETCH (" + b"X {0}\r\n " * 2000 + b")\r\n", "more literals", id="many literals"),
        pytest.param(b"nonsense\r\n", "unexpected response", id="nonsense"),
        pytest.param(b"* 1 FETCH (BODY[] {1}\r\na)\n", "unterminated", id="no line end"),
        pytest.param(b"Z9 OK done\r\n", "unexpected response", id="an unknown tag"),
        pytest.param(b"", "EOF", id="nothing"),
    ],
)
def test_a_lost_or_senseless_line_ends_in_abort_and_closes_the_connection(octets: bytes, said: str) -> None:
    def script(line: Line) -> None:
        Mailbox(3).begin(line)
        line.answer(octets)

    with connected(script) as client:
        with pytest.raises(imaplib.IMAP4.abort, match=said):
            list(client.fetch_messages("1:3"))
        assert client.state == "LOGOUT"


@pytest.mark.parametrize("octets", [b"* 1 FETCH (FLAGS ())\r\n" * 200, (b"* OK " + b"x" * 2000 + b"\r\n") * 11])
def test_too_many_other_responses_end_in_abort(monkeypatch: pytest.MonkeyPatch, octets: bytes) -> None:
    monkeypatch.setattr("oauthmail._imap_reading._OTHERS", 20_000)
    mailbox = Mailbox(3)
    mailbox.before[b"FETCH"] = octets
    with connected(mailbox) as client, pytest.raises(imaplib.IMAP4.abort, match="more responses"):
        list(client.fetch_messages("1:3"))


def test_other_responses_between_messages_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthmail._imap_reading._OTHERS", 20_000)
    mailbox = Mailbox(30)
    mailbox.each = lambda number: b"* 1 FETCH (FLAGS ())\r\n" * 100 + answered(number)
    with connected(mailbox) as client:
        assert sum(1 for _ in client.fetch_messages("1:*")) == 30


def test_a_server_that_falls_silent_costs_the_timeout() -> None:
    def script(line: Line) -> None:
        Mailbox(3).begin(line)
        line.answer(answered(1) + b"* 2 FETCH (BODY[] {100}\r\nhalf")
        line.drain()

    with connected(script) as client:
        client.sock.settimeout(0.2)
        messages = client.fetch_messages("1:3")
        assert next(messages).number == 1
        with pytest.raises(TimeoutError):
            next(messages)
        assert client.state == "LOGOUT"


def test_a_search_without_an_answer_costs_the_timeout() -> None:
    def script(line: Line) -> None:
        Mailbox(3000).begin(line)
        line.answer(b"* SEARCH 1 2")
        line.drain()

    with connected(script) as client:
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            next(client.fetch_messages("1:*", uid=True))
        assert client.state == "LOGOUT"


def test_a_line_lost_at_any_octet_leaves_what_came_whole() -> None:
    whole = b"".join(answered(number) for number in (1, 2, 3)) + b"TAG OK done\r\n"
    ends = [sum(len(answered(number)) for number in range(1, last + 1)) for last in (1, 2, 3)]

    def cut(at: int) -> Script:
        def script(line: Line) -> None:
            Mailbox(3).begin(line)
            tag = line.receive().split()[0]
            line.send(whole.replace(b"TAG", tag)[:at])

        return script

    for at in range(len(whole)):
        found: list[int] = []
        with connected(cut(at)) as client, pytest.raises(imaplib.IMAP4.abort):
            collect(client.fetch_messages("1:3"), found)
        assert found == [number for number, end in enumerate(ends, 1) if end <= at]


def test_a_connection_that_the_caller_closes_ends_the_iteration() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        client.shutdown()
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            list(messages)


def test_a_line_lost_while_another_command_waits_is_told_to_both() -> None:
    def script(line: Line) -> None:
        Mailbox(3).begin(line)
        line.answer(answered(1) + answered(2) + b"* 3 FETCH (BODY[] {100}\r\nhalf")

    with connected(script) as client:
        messages = client.fetch_messages("1:3")
        next(messages)
        with pytest.raises(imaplib.IMAP4.abort):
            client.noop()
        assert next(messages).octets == text(2)
        with pytest.raises(imaplib.IMAP4.abort):
            next(messages)
        assert client.state == "LOGOUT"


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
        messages = client.fetch_messages("1:*")
        next(messages)
        client.sock = Unsendable(client.sock, BrokenPipeError("gone"))
        with pytest.raises(imaplib.IMAP4.abort, match="gone"):
            collect(messages, found)
        assert client.state == "LOGOUT"
    assert found == list(range(2, 1025))


def test_after_half_a_command_no_other_one_goes_out() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        client.sock, whole = Unsendable(client.sock, BrokenPipeError("gone")), client.sock
        for _ in range(300):
            next(messages)
        client.sock = whole
        with pytest.raises(imaplib.IMAP4.abort, match="gone"):
            client.noop()
        assert client.state == "LOGOUT"


def test_a_folder_that_becomes_read_only_ends_the_iteration_but_not_the_connection() -> None:
    mailbox = Mailbox(3000)
    mailbox.before[b"NOOP"] = b"* OK [READ-ONLY] now\r\n"
    with connected(mailbox) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        client.noop()
        found: list[int] = []
        with pytest.raises(imaplib.IMAP4.readonly):
            collect(messages, found)
        assert (found, client.state) == (list(range(2, 1025)), "SELECTED")


def test_an_interrupted_command_closes_the_connection() -> None:
    with connected(Mailbox(3000)) as client:
        client.sock = Unsendable(client.sock, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            next(client.fetch_messages("1:*"))
        assert client.state == "LOGOUT"


class Pieces(io.RawIOBase):
    """A socket whose octets arrive in pieces of given sizes."""

    def __init__(self, sock: Any, sizes: list[int]) -> None:
        self._sock, self._sizes = sock, sizes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def readable(self) -> bool:
        return True

    def recv(self, size: int) -> bytes:
        octets: bytes = self._sock.recv(min(size, self._sizes.pop() if self._sizes else size))
        return octets

    def readinto(self, buffer: Any) -> int:
        octets = self.recv(len(buffer))
        buffer[: len(octets)] = octets
        return len(octets)


def in_pieces(client: Any, sizes: list[int]) -> None:
    """Have a client read in pieces of given sizes."""
    if _OWN_BUFFER:
        client.sock = Pieces(client.sock, sizes)
    else:
        client.file.close()
        client.file = io.BufferedReader(Pieces(client.sock, sizes))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 70), max_size=60))
def test_it_does_not_matter_in_which_pieces_the_answers_arrive(sizes: list[int]) -> None:
    mailbox = Mailbox(8)
    mailbox.each = lambda number: answered(number, b"FLAGS () ", b" UID %d" % number) + b"* 1 EXPUNGE\r\n"
    with connected(mailbox) as client:
        in_pieces(client, list(sizes))
        found = [(message.uid, message.octets) for message in client.fetch_messages("1:8", uid=True)]
    assert found == [(number, text(number)) for number in range(1, 9)]


class Interrupted(Pieces):
    """A socket on which somebody who reads is interrupted."""

    def recv(self, size: int) -> bytes:
        raise KeyboardInterrupt


def test_an_iteration_whose_answers_another_command_could_not_read_does_not_end_as_if_it_were_complete() -> None:
    with connected(Mailbox(3000)) as client:
        messages = client.fetch_messages("1:*")
        next(messages)
        if _OWN_BUFFER:
            client.sock = Interrupted(client.sock, [])
        else:
            client.file.close()
            client.file = io.BufferedReader(Interrupted(client.sock, []))
        with pytest.raises(KeyboardInterrupt):
            client.noop()
        assert client.state == "LOGOUT"
        with pytest.raises(imaplib.IMAP4.abort, match="KeyboardInterrupt"):
            collect(messages, [])


# --- what people see --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [4, 5])
def test_debug_output_is_the_parents(capsys: pytest.CaptureFixture[str], level: int) -> None:
    shown = []
    for read in (lambda client: client.fetch("1:2", "BODY.PEEK[]"), lambda client: list(client.fetch_messages("1:2"))):
        with connected(Mailbox(2)) as client:
            capsys.readouterr()
            client.debug = 4
            read(client)
            shown.append(re.sub(r"(?m)^  [\d:.]+ |\b[A-Z]{4}\d+\b", "", capsys.readouterr().err))
    assert shown[0] == shown[1]


def test_the_log_has_the_last_lines() -> None:
    with connected(Mailbox(2)) as client:
        list(client.fetch_messages("1:2"))
        logged = [line for line, _ in sorted(client._cmd_log.values(), key=lambda entry: entry[1])]
    assert logged[-3:-1] == [f"< {b'* 2 FETCH (BODY[] {%d}' % len(text(2))!r}", "< b')'"]


def test_an_iteration_that_was_left_keeps_nothing() -> None:
    def script(line: Line) -> None:
        mailbox = Mailbox(200)
        mailbox.begin(line)
        tag = line.receive().partition(b" ")[0]
        for number in range(1, 201):
            line.send(b"* %d FETCH (BODY[] {100000}\r\n%0100000d)\r\n" % (number, number))
        line.send(tag + b" OK done\r\n")
        line.send(mailbox.reply(line.receive()))

    with connected(script) as client:
        next(client.fetch_messages("1:*"))
        tracemalloc.start()
        try:
            client.noop()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 2 << 20


def test_a_literal_that_does_not_come_takes_no_memory() -> None:
    mailbox = Mailbox(1)
    mailbox.each = lambda number: b"* 1 FETCH (BODY[] {1000000000}\r\nabc"
    mailbox.instead[b"FETCH"] = b""

    def script(line: Line) -> None:
        mailbox.begin(line)
        line.send(mailbox.reply(line.receive()))

    with connected(script) as client:
        tracemalloc.start()
        try:
            with pytest.raises(imaplib.IMAP4.abort):
                list(client.fetch_messages("1"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


def test_memory_stays_flat_for_a_hundred_thousand_messages() -> None:
    with connected(Mailbox(100_000)) as client:
        gc.collect()
        tracemalloc.start()
        try:
            count = sum(1 for _ in client.fetch_messages("1:*", "(UID FLAGS BODY.PEEK[])"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (count, peak < 8 << 20) == (100_000, True)


def test_an_appended_message_does_not_wait_for_an_acknowledgement() -> None:
    with connected(Mailbox(1)) as client:
        assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
