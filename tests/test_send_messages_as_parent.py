"""Each of many messages comes to what smtplib's sendmail makes of it alone, whatever becomes of those beside it."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail import SMTP, SendInterrupted, SendResult

from .conversation import Delivered, Rules
from .scenarios import GO, GOODBYE, OK, Plan, Said, Scenario, refusing, scenarios
from .wire import Wire, connected

MODES = [("SIZE 1000000",), ("PIPELINING",), ("CHUNKING",), ("PIPELINING", "CHUNKING")]
NO = Said(b"550 5.7.1 no\r\n")
OUT_OF_PLACE = Said(b"503 5.5.1 MAIL first\r\n")
each_mode = pytest.mark.parametrize("features", MODES, ids=" ".join)
many = settings(max_examples=120, deadline=None)
packets = st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any)


def message(number: int, recipients: int = 1) -> tuple[str, list[str], bytes]:
    names = [f"r{place}-{number}@example.org" for place in range(recipients)]
    return f"m{number}@example.org", names, b"Subject: %d\r\n\r\nHello,\r\n.\r\nworld\r\n" % number


def messages(plan: Sequence[Scenario]) -> Iterator[tuple[str, list[str], bytes]]:
    return (message(number, len(scenario.recipients)) for number, scenario in enumerate(plan))


def in_order(scenario: Scenario) -> Scenario:
    """Return the same from a server that does not go on with DATA where there is no sender."""
    return replace(scenario, data=OUT_OF_PLACE) if scenario.mail.code != 250 and scenario.data.code == 354 else scenario


def alone(number: int, scenario: Scenario, features: Sequence[str]) -> tuple[object, list[Delivered]]:
    """Return what smtplib makes of a message on a connection of its own, and what is delivered then."""
    if "CHUNKING" in features:
        scenario = replace(scenario, data=GO)
    rules = Rules((), scenario.policy())
    with connected(smtplib.SMTP, Wire(rules)) as client:
        try:
            return client.sendmail(*message(number, len(scenario.recipients))), rules.delivered
        except smtplib.SMTPException as error:
            return (type(error), error.args), rules.delivered


def come_to(result: SendResult) -> object:
    return result.refused if result.error is None else (type(result.error), result.error.args)


def sent_once_each(delivered: Sequence[Delivered]) -> bool:
    """Tell whether every message was delivered from its own sender to its own recipients alone, and once."""
    subjects = [int(each.octets.split()[1]) for each in delivered]
    senders = [int(each.sender[2:].partition(b"@")[0]) for each in delivered]
    recipients = [{int(name.partition(b"-")[2].partition(b"@")[0]) for name in each.recipients} for each in delivered]
    return subjects == senders and [{each} for each in subjects] == recipients and len({*subjects}) == len(subjects)


@each_mode
@pytest.mark.parametrize("hoards", [False, True], ids=["forgets", "hoards"])
@many
@given(plan=st.lists(scenarios(refusing).map(in_order), max_size=6), arriving=packets, window=st.integers(1, 8))
def test_every_message_comes_to_what_it_comes_to_alone(
    features: Sequence[str], hoards: bool, plan: list[Scenario], arriving: list[int], window: int
) -> None:
    rules = Rules(features, hoards=hoards)
    with connected(SMTP, Wire(rules, arriving=arriving)) as client:
        client.ehlo()
        rules.policy = Plan(plan).policy
        results = list(client.send_messages(messages(plan), window=window))

    parent = [alone(number, scenario, features) for number, scenario in enumerate(plan)]
    assert [come_to(each) for each in results] == [result for result, _ in parent]
    assert rules.delivered == [each for _, delivered in parent for each in delivered]


@each_mode
@pytest.mark.parametrize("hoards", [False, True], ids=["forgets", "hoards"])
@many
@given(plan=st.lists(scenarios(refusing).map(in_order), max_size=4))
def test_a_message_behind_a_run_does_not_join_one_that_was_refused(
    features: Sequence[str], hoards: bool, plan: list[Scenario]
) -> None:
    rules = Rules(features, hoards=hoards)
    behind = message(len(plan))
    with connected(SMTP, Wire(rules)) as client:
        client.ehlo()
        rules.policy = Plan([*plan, Scenario()]).policy
        list(client.send_messages(messages(plan)))
        client.sendmail(*behind)

    assert sent_once_each(rules.delivered)
    assert rules.delivered[-1].octets == behind[2]


def ledger(run: Iterator[SendResult], accepted: list[int], refused: list[int]) -> SendInterrupted | None:
    try:
        for each in run:
            (accepted if each.accepted else refused).append(each.index)
    except SendInterrupted as stop:
        return stop
    return None


@each_mode
@pytest.mark.parametrize("hoards", [False, True], ids=["forgets", "hoards"])
@many
@given(
    plan=st.lists(scenarios(), max_size=6),
    # Not a server that refuses RSET and goes on: it keeps the envelope, and what is on its way already joins that.
    resets=st.lists(st.sampled_from([OK] * 6 + [GOODBYE]), min_size=8, max_size=8),
    arriving=packets,
    window=st.integers(1, 8),
    deaf=st.none() | st.integers(100, 900),
)
def test_whatever_the_server_says_every_message_is_accounted_for(
    features: Sequence[str],
    hoards: bool,
    plan: list[Scenario],
    resets: list[Said],
    arriving: list[int],
    window: int,
    deaf: int | None,
) -> None:
    if hoards and len(features) > 1:
        # A server that keeps what it is told to forget, with the next message on its way, is beyond help.
        resets = [OK] * len(resets)
    rules = Rules(features, hoards=hoards)
    source = messages(plan)
    accepted: list[int] = []
    refused: list[int] = []
    with connected(SMTP, Wire(rules, arriving=arriving, deaf=deaf)) as client:
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            client.ehlo()
        rules.policy = Plan(plan, lambda number: resets[number % len(resets)]).policy
        stop = ledger(client.send_messages(source, window=window), accepted, refused)
        closed = client.sock is None
    in_doubt = [each.index for each in stop.in_doubt] if stop else []
    unsent = [each.index for each in stop.unsent] if stop else []
    delivered = {int(each.octets.split()[1]) for each in rules.delivered}
    left = len(list(source))

    assert sorted([*accepted, *refused, *in_doubt, *unsent]) == list(range(len(plan) - left))
    assert in_doubt == sorted(in_doubt)
    assert unsent == sorted(unsent)
    assert set(accepted) <= delivered <= {*accepted, *in_doubt}
    assert sent_once_each(rules.delivered)
    if stop:
        assert [*accepted] == [index for span in stop.accepted for index in span]
        assert closed
        assert all(each.message == message(each.index, len(plan[each.index].recipients)) for each in stop.in_doubt)
