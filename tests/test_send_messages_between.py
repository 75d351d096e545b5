"""What else happens around a run of send_messages: other commands meanwhile, bad messages, large ones, iterables."""

from __future__ import annotations

import email.message
import pickle
import smtplib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from oauthmail import SMTP, SendCancelled, SendInterrupted, SendResult
from oauthmail.bulk import Unfinished

from .conversation import BOTH, HangUp, Rules
from .test_send_messages_as_parent import MODES, message, sent_once_each
from .wire import Wire, connected

PIPELINED = [("PIPELINING",), BOTH]
each_mode = pytest.mark.parametrize("features", MODES, ids=" ".join)
each_pipelined = pytest.mark.parametrize("features", PIPELINED, ids=" ".join)


def subjects(rules: Rules) -> list[int]:
    return [int(each.octets.split()[1]) for each in rules.delivered]


def messages(count: int, first: int = 0) -> list[tuple[str, list[str], bytes]]:
    return [message(number) for number in range(first, first + count)]


def large(number: int, size: int) -> tuple[str, list[str], bytes]:
    sender, recipients, octets = message(number)
    return sender, recipients, octets + b"0123456789abcdef\r\n" * (size // 18)


# --- other commands meanwhile -------------------------------------------------------------------------------------


@each_mode
@pytest.mark.parametrize(
    ("command", "reply"),
    [
        pytest.param(lambda client: client.noop(), (250, b"2.0.0 ok"), id="noop"),
        pytest.param(lambda client: client.rset(), (250, b"2.0.0 ok"), id="rset"),
        pytest.param(lambda client: client.quit(), (221, b"bye"), id="quit"),
        pytest.param(lambda client: client.ehlo()[0], 250, id="ehlo"),
        pytest.param(lambda client: client.sendmail(*message(99)), {}, id="sendmail"),
        pytest.param(lambda client: client.verify("ada"), (252, b"perhaps"), id="vrfy"),
    ],
)
def test_a_command_in_the_middle_of_a_run_gets_its_own_reply(
    features: Sequence[str], command: Callable[[SMTP], object], reply: object
) -> None:
    rules = Rules(features, lambda line: b"252 perhaps\r\n" if line.startswith(b"vrfy") else None)
    with connected(SMTP, Wire(rules, arriving=[7])) as client:
        run = client.send_messages(messages(20), window=5)
        next(run)
        assert command(client) == reply


@each_mode
def test_a_run_goes_on_behind_another_command(features: Sequence[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules, arriving=[7])) as client:
        run = client.send_messages(messages(20), window=5)
        indexes = []
        for each in run:
            indexes.append(each.index)
            client.noop()

    assert (indexes, subjects(rules)) == (list(range(20)), list(range(20)))


@each_mode
def test_two_runs_on_one_connection_take_turns(features: Sequence[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules, arriving=[7])) as client:
        first = client.send_messages(messages(20), window=5)
        second = client.send_messages(messages(20, 20), window=3)
        taken = [
            (one.index, one.accepted, other.index, other.accepted) for one, other in zip(first, second, strict=True)
        ]

    assert taken == [(number, True, number, True) for number in range(20)]
    assert sorted(subjects(rules)) == list(range(40))
    assert sent_once_each(rules.delivered)


@each_mode
def test_an_iterable_may_use_the_client(features: Sequence[str]) -> None:
    rules = Rules(features)
    said = []

    def using(client: SMTP) -> Iterator[Any]:
        for number in range(10):
            said.append(client.noop())
            client.sendmail(*message(100 + number))
            yield message(number)

    with connected(SMTP, Wire(rules, arriving=[11])) as client:
        results = [each.accepted for each in client.send_messages(using(client))]

    assert results == [True] * 10
    assert said == [(250, b"2.0.0 ok")] * 10
    assert sorted(subjects(rules)) == [*range(10), *range(100, 110)]


@each_mode
@pytest.mark.parametrize("all_of_it", [True, False], ids=["to its end", "in part"])
def test_an_iterable_may_hold_a_run_of_its_own_on_the_client(features: Sequence[str], all_of_it: bool) -> None:
    rules = Rules(features)
    inner: list[SendResult] = []

    def using(client: SMTP) -> Iterator[Any]:
        for number in range(6):
            run = client.send_messages(messages(5, 100 + 10 * number))
            inner.extend(run if all_of_it else [next(run)])
            yield message(number) if number != 3 else "no message"

    with connected(SMTP, Wire(rules, arriving=[11])) as client:
        outer = []
        for each in client.send_messages(using(client)):
            outer.append(each.accepted)
            assert client.noop() == (250, b"2.0.0 ok")

    assert outer == [True, True, True, False, True, True]
    assert all(each.accepted for each in inner)
    assert sent_once_each(rules.delivered)
    assert {*subjects(rules)} >= {0, 1, 2, 4, 5}


@each_mode
def test_a_run_that_was_left_does_not_touch_a_later_connection(features: Sequence[str]) -> None:
    first, later = Rules(features), Rules(features)
    with connected(SMTP, Wire(first), Wire(later)) as client:
        next(client.send_messages(messages(20), window=2))
        client.quit()
        client.connect("server.example", 587)
        client.sendmail(*message(30))

    assert subjects(later) == [30]


@each_mode
@pytest.mark.parametrize("close", [lambda client: client.close(), lambda client: client.quit()], ids=["close", "quit"])
def test_a_run_ends_with_its_ledger_when_somebody_closes_the_client(
    features: Sequence[str], close: Callable[[SMTP], object]
) -> None:
    rules = Rules(features)
    source = iter(messages(50))
    accepted: list[int] = []
    with connected(SMTP, Wire(rules)) as client:
        run = client.send_messages(source, window=4)
        accepted.append(next(run).index)
        close(client)
        with pytest.raises(SendInterrupted) as stopped:
            accepted.extend(each.index for each in run)
    left = len(list(source))

    told = [*accepted, *(each.index for each in (*stopped.value.in_doubt, *stopped.value.unsent))]
    assert told == list(range(50 - left))
    assert {*accepted} <= {*subjects(rules)} <= {*accepted, *(each.index for each in stopped.value.in_doubt)}


@each_mode
def test_stop_takes_no_more_messages_and_loses_no_result(features: Sequence[str]) -> None:
    rules = Rules(features)
    source = iter(messages(50))
    with connected(SMTP, Wire(rules, arriving=[9])) as client:
        run: Any = client.send_messages(source, window=4)
        accepted = [next(run).index]
        run.stop()
        accepted.extend(each.index for each in run)

    assert accepted == subjects(rules) == list(range(50 - len(list(source))))


@each_mode
def test_a_run_that_has_ended_stays_ended(features: Sequence[str]) -> None:
    with connected(SMTP, Wire(Rules(features))) as client:
        run = client.send_messages(messages(3))
        list(run)
        assert list(run) == []


# --- iterables ----------------------------------------------------------------------------------------------------


@each_mode
@pytest.mark.parametrize("window", [1, 2, 7, 1000])
def test_the_iterable_is_read_no_further_than_the_window(features: Sequence[str], window: int) -> None:
    read = 0
    ahead = []

    def counted() -> Iterator[Any]:
        nonlocal read
        for each in messages(60):
            read += 1
            yield each

    with connected(SMTP, Wire(Rules(features), arriving=[0, 40, 0, 3, 200])) as client:
        for taken, _ in enumerate(client.send_messages(counted(), window=window)):
            ahead.append(read - taken)

    assert max(ahead) <= window
    assert read == 60


@each_mode
def test_nothing_is_sent_for_nothing(features: Sequence[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules)) as client:
        assert list(client.send_messages([])) == []

    assert rules.lines == [b"ehlo client.example"]


@each_mode
@pytest.mark.parametrize("kind", [ValueError, smtplib.SMTPServerDisconnected, StopAsyncIteration, SystemExit])
def test_an_exception_of_the_iterable_comes_behind_the_results(
    features: Sequence[str], kind: type[BaseException]
) -> None:
    def failing() -> Iterator[Any]:
        yield from messages(5)
        raise kind("no more")

    accepted: list[int] = []
    with connected(SMTP, Wire(Rules(features), arriving=[5])) as client:
        run = client.send_messages(failing())
        with pytest.raises(kind, match="no more"):
            accepted.extend(each.index for each in run)
        assert client.noop() == (250, b"2.0.0 ok")

    assert accepted == list(range(5))


@each_mode
def test_ctrl_c_in_the_iterable_ends_in_the_ledger_behind_the_results(features: Sequence[str]) -> None:
    def interrupted() -> Iterator[Any]:
        yield from messages(5)
        raise KeyboardInterrupt

    accepted: list[int] = []
    with connected(SMTP, Wire(Rules(features), arriving=[5])) as client:
        run = client.send_messages(interrupted())
        with pytest.raises(SendCancelled) as stopped:
            accepted.extend(each.index for each in run)

    assert accepted == list(range(5))
    assert (stopped.value.accepted, stopped.value.in_doubt, stopped.value.unsent) == ((range(5),), (), ())


@each_mode
def test_a_message_that_an_iterable_gives_behind_the_end_of_the_connection_is_named(features: Sequence[str]) -> None:
    wire = Wire(Rules(features))

    def closing(client: SMTP) -> Iterator[Any]:
        yield from messages(3)
        wire.conversation.ended = True
        try:
            client.noop()
        except smtplib.SMTPServerDisconnected:
            yield message(3)

    accepted: list[int] = []
    with connected(SMTP, wire) as client:
        run = client.send_messages(closing(client))
        with pytest.raises(SendInterrupted) as stopped:
            accepted.extend(each.index for each in run)

    told = [*accepted, *(each.index for each in (*stopped.value.in_doubt, *stopped.value.unsent))]
    assert told == [0, 1, 2, 3]


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_of_no_message_is_refused(window: int) -> None:
    with connected(SMTP, Wire(Rules())) as client, pytest.raises(ValueError, match="window"):
        client.send_messages([], window=window)


# --- messages -----------------------------------------------------------------------------------------------------

BAD: list[Any] = [
    pytest.param(("@\r\n", ["b@example.org"], b"x"), ValueError, id="line end in the sender"),
    pytest.param(("a@example.org", ["b@example.org", "@\n"], b"x"), ValueError, id="line end in a recipient"),
    pytest.param(("a@example.org", ["b@example.org"], "text"), TypeError, id="text"),
    pytest.param(("a@example.org", ["b@example.org"]), TypeError, id="two of three"),
    pytest.param(None, TypeError, id="nothing"),
    pytest.param(("é@example.org", ["b@example.org"], b"x"), UnicodeEncodeError, id="sender outside ASCII"),
    pytest.param(("a@example.org", ["é@example.org"], b"x"), UnicodeEncodeError, id="recipient outside ASCII"),
    pytest.param(("a@example.org", [], b"x"), smtplib.SMTPRecipientsRefused, id="no recipients"),
    pytest.param(("a@example.org", None, b"x"), TypeError, id="no list of recipients"),
    pytest.param((None, ["b@example.org"], b"x"), TypeError, id="no sender"),
]


@each_mode
@pytest.mark.parametrize(("bad", "error"), BAD)
def test_a_message_that_cannot_be_sent_does_not_disturb_the_others(
    features: Sequence[str], bad: Any, error: type[Exception]
) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules, arriving=[13])) as client:
        results = list(client.send_messages([message(0), message(1), bad, message(3), bad]))

    assert [each.accepted for each in results] == [True, True, False, True, False]
    assert [type(each.error) for each in results if each.error] == [error, error]
    assert [(each.refused, each.reply) for each in results if each.error] == [({}, None)] * 2
    assert subjects(rules) == [0, 1, 3]
    assert sent_once_each(rules.delivered)


def letter(**fields: str) -> email.message.EmailMessage:
    found = email.message.EmailMessage()
    found["Subject"] = "7"
    for name, value in fields.items():
        found[name] = value
    found.set_content("Hello\n")
    return found


@each_mode
def test_message_objects_go_to_bcc_without_saying_so(features: Sequence[str]) -> None:
    rules = Rules(features)
    to = letter(From="ada@example.org", To="bob@example.org", Bcc="eve@example.org")
    with connected(SMTP, Wire(rules)) as client:
        list(client.send_messages([to]))

    assert rules.delivered[0].recipients == [b"<bob@example.org>", b"<eve@example.org>"]
    assert b"eve" not in rules.delivered[0].octets
    assert to["Bcc"] == "eve@example.org"


@each_mode
def test_message_objects_without_an_envelope_are_results(features: Sequence[str]) -> None:
    twice = letter(From="ada@example.org", To="bob@example.org")
    twice["Resent-Date"] = "Thu, 1 Jan 1970 17:42:00 +0000"
    twice["Resent-Date"] = "Thu, 2 Jan 1970 17:42:00 +0000"
    abroad = letter(From="ada@example.org", To="bób@example.org")
    nobody = letter(From="ada@example.org")
    with connected(SMTP, Wire(Rules((*features, "SIZE 9")))) as client:
        client.ehlo()
        client.esmtp_features.pop("smtputf8", None)
        results = list(client.send_messages([twice, abroad, nobody]))

    assert [type(each.error) for each in results] == [
        ValueError,
        smtplib.SMTPNotSupportedError,
        smtplib.SMTPRecipientsRefused,
    ]


@each_mode
def test_addresses_outside_ascii_do_not_change_how_the_next_message_is_sent(features: Sequence[str]) -> None:
    rules = Rules((*features, "SMTPUTF8"))
    abroad = letter(From="ada@example.org", To="bób@example.org")
    sent: list[Any] = [abroad, ("a@example.org", ["é@example.org"], b"x"), abroad]
    with connected(SMTP, Wire(rules)) as client:
        results = list(client.send_messages(sent))

    assert [type(each.error) for each in results] == [type(None), UnicodeEncodeError, type(None)]
    assert [line.lower() for line in rules.lines if line.startswith(b"rcpt")] == [
        "rcpt to:<bób@example.org>".encode()
    ] * 2


@each_mode
def test_one_recipient_may_be_plain_text(features: Sequence[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules)) as client:
        list(client.send_messages([("a@example.org", "bob@example.org", b"x\r\n")]))

    assert rules.delivered[0].recipients == [b"<bob@example.org>"]


@each_mode
def test_line_ends_of_files_become_those_of_mail(features: Sequence[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules)) as client:
        list(client.send_messages([("a@example.org", "bob@example.org", b"Subject: 1\n\n.\na\n")]))

    assert rules.delivered[0].octets == b"Subject: 1\r\n\r\n.\r\na\r\n"


@each_mode
@pytest.mark.parametrize("size", [1_200_000, 5_000_000, 9_000_000])
def test_large_messages_take_their_turn_among_small_ones(features: Sequence[str], size: int) -> None:
    rules = Rules([each for each in features if "SIZE" not in each])
    sent = [message(0), message(1), large(2, size), message(3), large(4, size), message(5)]
    with connected(SMTP, Wire(rules, taking=[1 << 20, 77_777])) as client:
        results = list(client.send_messages(sent))

    assert [each.accepted for each in results] == [True] * 6
    assert [each.octets for each in rules.delivered] == [octets for _, _, octets in sent]


@each_mode
@pytest.mark.parametrize("hoards", [False, True])
def test_a_large_message_does_not_join_a_refused_one(features: Sequence[str], hoards: bool) -> None:
    rules = Rules([each for each in features if "SIZE" not in each], hoards=hoards)
    ends = iter([b"550 no\r\n", None, None])
    rules.policy = lambda line: next(ends) if line == b"." or line.endswith(b"LAST") else None
    with connected(SMTP, Wire(rules)) as client:
        results = list(client.send_messages([message(0), large(1, 5_000_000), message(2)]))

    assert [each.accepted for each in results] == [False, True, True]
    assert sent_once_each(rules.delivered)


@each_mode
def test_a_message_may_have_hundreds_of_recipients(features: Sequence[str]) -> None:
    rules = Rules(features)
    rules.policy = lambda line: b"550 5.1.1 nobody\r\n" if line.lower().startswith(b"rcpt to:<r7-") else None
    with connected(SMTP, Wire(rules, arriving=[999])) as client:
        results = list(client.send_messages([message(0), message(1, 300), message(2, 600), message(3)]))

    assert [list(each.refused) for each in results] == [[], ["r7-1@example.org"], ["r7-2@example.org"], []]
    assert [len(each.recipients) for each in rules.delivered] == [1, 299, 599, 1]
    assert sent_once_each(rules.delivered)


@each_mode
def test_methods_of_a_subclass_are_asked_and_what_they_tell_is_told(features: Sequence[str]) -> None:
    asked = []

    class Own(SMTP):
        def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
            asked.append(recip)
            return super().rcpt(recip, options)

    rules = Rules(features)
    rules.policy = lambda line: (
        b"550 5.1.1 nobody\r\n" if line.lower().startswith((b"rcpt to:<r0-", b"rcpt to:<r1-0")) else None
    )
    with connected(Own, Wire(rules)) as client:
        results = list(client.send_messages([message(0, 2), message(1, 2), message(2, 3)]))

    nobody = (550, b"5.1.1 nobody")
    assert len(asked) == 7
    assert [each.refused for each in results] == [
        {"r0-0@example.org": nobody, "r1-0@example.org": nobody},
        {"r0-1@example.org": nobody},
        {"r0-2@example.org": nobody},
    ]
    assert [each.accepted for each in results] == [False, True, True]


@pytest.mark.parametrize("hoards", [False, True])
def test_methods_of_a_subclass_leave_no_envelope_to_the_next_message(hoards: bool) -> None:
    class Own(SMTP):
        def data(self, msg: Any) -> tuple[int, bytes]:
            return super().data(msg)

    rules = Rules(("PIPELINING",), hoards=hoards)
    starts = iter([b"550 5.7.1 no\r\n", None, None])
    rules.policy = lambda line: next(starts) if line[:4].upper() == b"DATA" else None
    with connected(Own, Wire(rules)) as client:
        results = list(client.send_messages(messages(2)))
        client.sendmail(*message(2))

    assert [each.accepted for each in results] == [False, True]
    assert sent_once_each(rules.delivered)


@pytest.mark.parametrize(
    ("features", "verb"),
    [
        pytest.param(features, verb, id=f"{' '.join(features)} {verb.decode()}")
        for features in MODES
        for verb in (b"MAIL", b"RCPT", *([b"BDAT"] if "CHUNKING" in features else [b"DATA", b"."]))
    ],
)
@pytest.mark.parametrize("size", [0, 5_000_000], ids=["small", "large"])
def test_a_message_refused_with_421_is_unsent_whatever_its_size(
    features: Sequence[str], verb: bytes, size: int
) -> None:
    rules = Rules([each for each in features if "SIZE" not in each])
    count = 0

    def closing(line: bytes) -> bytes | None:
        nonlocal count
        count += line[:4].upper() == b"MAIL"
        if count == 3 and line[:4].upper() == verb:
            raise HangUp(b"421 4.3.2 shutting down\r\n")
        return None

    rules.policy = closing
    accepted: list[int] = []
    with connected(SMTP, Wire(rules)) as client:
        run = client.send_messages([large(number, size) for number in range(5)], window=3)
        with pytest.raises(SendInterrupted, match="shutting down") as stopped:
            accepted.extend(each.index for each in run)

    assert accepted == [0, 1]
    assert stopped.value.unsent[0].index == 2
    assert stopped.value.in_doubt == ()
    assert subjects(rules) == [0, 1]


# --- how it is told -----------------------------------------------------------------------------------------------

TOLD = (range(3), range(4, 5)), (Unfinished(5, message(5)), Unfinished(6, b"x")), (Unfinished(8, None),)


@pytest.mark.parametrize("kind", [SendInterrupted, SendCancelled])
def test_the_ledger_survives_pickling(kind: type[Any]) -> None:
    found = pickle.loads(pickle.dumps(kind("gone", *TOLD)))
    assert (type(found), found.args, found.accepted, found.in_doubt, found.unsent) == (kind, ("gone",), *TOLD)


@pytest.mark.parametrize("kind", [SendInterrupted, SendCancelled])
def test_the_ledger_is_told_in_numbers_and_without_the_messages(kind: type[Any]) -> None:
    assert str(kind("gone", *TOLD)) == (
        "gone; of the messages read so far 4 accepted, 2 in doubt (index 5 to 6), 1 not sent (index 8)"
    )


def test_results_survive_pickling() -> None:
    rules = Rules(policy=lambda line: b"550 5.7.1 no\r\n" if line.lower().startswith(b"mail from:<m1") else None)
    with connected(SMTP, Wire(rules)) as client:
        sent: list[Any] = [message(0), message(1), None, ("é@example.org", "b", b"")]
        results = list(client.send_messages(sent))
    found = pickle.loads(pickle.dumps(results))

    assert [(each.index, each.refused, each.reply, repr(each.error)) for each in found] == [
        (each.index, each.refused, each.reply, repr(each.error)) for each in results
    ]


@pytest.mark.parametrize(
    ("kind", "parents"),
    [(SendInterrupted, (smtplib.SMTPServerDisconnected, OSError)), (SendCancelled, (KeyboardInterrupt,))],
)
def test_who_catches_what_smtplib_raises_catches_these(kind: type[Any], parents: tuple[type[Any], ...]) -> None:
    assert all(issubclass(kind, parent) for parent in parents)
