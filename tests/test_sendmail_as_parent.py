"""Whatever a server answers, sendmail does what smtplib's does, and leaves the connection as smtplib leaves it.

The parent talks to a server without extensions, ours to one with PIPELINING, CHUNKING or both; both say the same.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oauthmail import SMTP

from .conversation import Delivered, Rules
from .scenarios import GO, GONE, GOODBYE, HALF, JUNK, OK, STAYING, Said, Scenario, scenarios, without_halves
from .test_secrets import audited, hook
from .wire import Wire, connected

__all__ = ["audited", "hook"]

SENDER = "ada@example.org"
MESSAGE = b"Subject: test\r\n\r\nHello,\r\n.\r\n..\r\nworld\r\n"
MODES = [("PIPELINING",), ("CHUNKING",), ("PIPELINING", "CHUNKING")]
NO = Said(b"550 5.7.1 no\r\n")
each_mode = pytest.mark.parametrize("features", MODES, ids=" ".join)
many = settings(max_examples=250, deadline=None)


@dataclass
class Outcome:
    """What a call of sendmail came to.

    Attributes:
        result: what it returned, or the class and arguments of what it raised.
        closed: whether it left no connection.
        in_step: whether a command behind it gets its own reply; True of a connection that is closed on either side.
        delivered: by the server.
        origin: what the exception was raised from, if it was.
    """

    result: object
    closed: bool
    in_step: bool
    delivered: list[Delivered]
    origin: BaseException | None = None


def outcome(
    kind: type[Any], features: Sequence[str], scenario: Scenario, arriving: Sequence[int] = (65536,)
) -> Outcome:
    rules = Rules(("SIZE 1000000", *features))
    wire = Wire(rules, arriving=arriving)
    client = connected(kind, wire)
    client.ehlo()
    rules.policy = scenario.policy()
    recipients = [f"user{number}@example.org" for number in range(len(scenario.recipients))]
    origin = None
    result: object
    try:
        result = client.sendmail(SENDER, recipients, MESSAGE)
    except smtplib.SMTPServerDisconnected as error:
        # Its text tells whether reading or writing failed first.
        result, origin = type(error), error.__cause__
    except smtplib.SMTPException as error:
        result, origin = (type(error), error.args), error.__cause__
    closed = client.sock is None
    in_step = True
    if not closed:
        rules.policy = lambda line: b"250 the reply to noop\r\n" if line == b"noop" else None
        try:
            in_step = client.noop() == (250, b"the reply to noop")
        except smtplib.SMTPServerDisconnected:
            in_step = wire.conversation.ended
        client.close()
    return Outcome(result, closed, in_step, rules.delivered, origin)


def refused_first(scenario: Scenario) -> int:
    """Return after how many replies smtplib has made up its mind against the message; a large number for never."""
    if scenario.mail.code != 250:
        return 1
    for place, said in enumerate(scenario.recipients, 2):
        if said.code == 421:
            return place
    if all(said.code not in (250, 251) for said in scenario.recipients):
        return 1 + len(scenario.recipients)
    return 1 << 30


def expected(scenario: Scenario, features: Sequence[str]) -> tuple[Outcome, bool]:
    """Return what smtplib comes to, changed where ours differs by design, and whether ours may be closed besides."""
    # BDAT is answered once.
    scenario = replace(scenario, data=GO) if "CHUNKING" in features else scenario
    # 1. Half a reply in front of the end of the connection is none; smtplib takes "250 2.0.0 o" for a success.
    scenario = without_halves(scenario)
    parent = outcome(smtplib.SMTP, (), scenario)
    replies = [scenario.mail, *scenario.recipients, *([scenario.data] if "CHUNKING" not in features else [])]
    answered = refused_first(scenario)
    # 2. Where RSET is refused, the server may keep the envelope for the next message: ours closes the connection.
    kept = scenario.reset.code != 250
    if answered > len(replies) and not any(said.ends for said in replies[:-1]) and scenario.data.code not in (0, 354):
        # 3. Where DATA is refused, smtplib leaves the envelope to the next message. Ours sends RSET, closes on 421.
        parent.closed = scenario.data.code == 421 or (not scenario.data.ends and not scenario.reset.octets)
        return parent, kept or scenario.data.ends
    if "PIPELINING" not in features:
        return parent, kept
    # 4. What comes behind the reply that decides is on its way already: the connection may end there, and ours knows.
    behind = [*replies[answered:], scenario.final]
    # 5. A server that goes on with DATA without a sender cannot be told that there is no message.
    adrift = "CHUNKING" not in features and scenario.data.code == 354 and scenario.mail.code != 250
    return parent, kept or adrift or any(said.ends or said.code == 421 for said in behind)


def check(features: Sequence[str], scenario: Scenario, arriving: Sequence[int] = (65536,)) -> None:
    parent, may_be_closed = expected(scenario, features)
    ours = outcome(SMTP, features, scenario, arriving)

    said_goodbye = [said.code for said in scenario.recipients].count(421) > 0
    if "CHUNKING" in features and "PIPELINING" in features and said_goodbye and ours.delivered:
        # 6. By the time a recipient is answered with 421 the message is with the server, and it has taken it.
        assert isinstance(ours.result, dict)
        return
    assert ours.result == parent.result
    assert ours.delivered == parent.delivered
    assert ours.closed == parent.closed or (ours.closed and may_be_closed)
    assert ours.in_step


@each_mode
@many
@given(scenario=scenarios())
@example(scenario=Scenario(recipients=(STAYING, OK)))
@example(scenario=Scenario(recipients=(OK, STAYING), final=NO))
@example(scenario=Scenario(mail=NO, recipients=(GONE,)))
@example(scenario=Scenario(data=STAYING))
@example(scenario=Scenario(mail=NO, data=GO))
@example(scenario=Scenario(recipients=(NO, NO), final=JUNK))
@example(scenario=Scenario(final=HALF))
@example(scenario=Scenario(final=NO, reset=GOODBYE))
def test_sendmail_comes_to_what_smtplib_comes_to(features: Sequence[str], scenario: Scenario) -> None:
    check(features, scenario)


@each_mode
@many
@given(scenario=scenarios(), arriving=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_it_does_not_matter_how_replies_are_cut_into_packets(
    features: Sequence[str], scenario: Scenario, arriving: list[int]
) -> None:
    check(features, scenario, arriving)


@each_mode
def test_all_that_is_sent_is_shown_to_audit_hooks_as_by_smtplib(features: Sequence[str], audited: list[str]) -> None:
    rules = Rules(features)
    with connected(SMTP, Wire(rules)) as client:
        client.ehlo()
        audited.clear()
        client.sendmail(SENDER, "bob@example.org", MESSAGE)
    shown = "".join(event for event in audited if event.startswith("smtplib.send"))

    assert all(part in shown for part in ("mail from:<ada@", "rcpt to:<bob@", "Hello,"))
    assert ("BDAT" in shown) == ("CHUNKING" in features)
