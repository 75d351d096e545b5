"""Single messages over SMTP: what smtplib's sendmail does, in fewer round trips."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

import pytest

from oauthmail import SMTP

from .submission import BOTH, TIMEOUT, Policy, Submission

SENDER = "ada@example.org"
RECIPIENT = "bob@example.org"
MESSAGE = b"Subject: test\r\n\r\nHello,\r\n.\r\n..\r\nworld\r\n"
PIPELINING = ("PIPELINING", "SIZE 1000000")
CHUNKING = ("CHUNKING", "SIZE 1000000")


def send(
    server: Submission, recipients: str | Sequence[str] = RECIPIENT, message: bytes | str = MESSAGE
) -> dict[str, tuple[int, bytes]]:
    with SMTP("127.0.0.1", server.port, "client.example", timeout=TIMEOUT) as client:
        client.ehlo()
        server.turns = 0
        return client.sendmail(SENDER, recipients, message)


def refuses(verb: bytes, reply: bytes) -> Policy:
    """Return a policy that answers commands which begin with *verb* with *reply*."""
    return lambda line: reply if line.upper().startswith(verb.upper()) else None


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize(
    ("features", "turns"),
    [
        pytest.param(PIPELINING, 2, id="PIPELINING"),
        pytest.param(BOTH, 1, id="PIPELINING and CHUNKING"),
    ],
)
def test_a_message_takes_few_round_trips_whatever_the_number_of_recipients(
    features: Sequence[str], turns: int, count: int
) -> None:
    with Submission(features) as server:
        send(server, [f"user{number}@example.org" for number in range(count)])
        # QUIT is one more.
        server.wait()

    assert server.turns == turns + 1


@pytest.mark.parametrize(
    "features", [(), PIPELINING, CHUNKING, BOTH], ids=lambda features: " ".join(features) or "none"
)
def test_the_message_arrives_as_it_was(features: Sequence[str]) -> None:
    with Submission(features) as server:
        send(server)

    assert [each.octets for each in server.delivered] == [MESSAGE]


@pytest.mark.parametrize(
    ("features", "verb", "error"),
    [
        (features, verb, error)
        for features in (PIPELINING, CHUNKING, BOTH)
        for verb, error in (
            (b"MAIL", smtplib.SMTPSenderRefused),
            (b"RCPT", smtplib.SMTPRecipientsRefused),
            (b"BDAT" if "CHUNKING" in features else b"DATA", smtplib.SMTPDataError),
            *([] if "CHUNKING" in features else [(b".", smtplib.SMTPDataError)]),
        )
    ],
)
def test_a_refusal_is_the_parents_and_leaves_the_connection_fit_for_another_message(
    features: Sequence[str], verb: bytes, error: type[smtplib.SMTPException]
) -> None:
    with (
        Submission(features, policy=refuses(verb, b"550 5.7.1 no\r\n")) as server,
        SMTP("127.0.0.1", server.port, "client.example", timeout=TIMEOUT) as client,
    ):
        with pytest.raises(error):
            client.sendmail(SENDER, RECIPIENT, MESSAGE)
        server.policy = lambda line: None
        client.sendmail(SENDER, RECIPIENT, MESSAGE)

    assert [each.octets for each in server.delivered] == [MESSAGE]


def test_a_refused_recipient_is_returned_and_the_others_get_the_message() -> None:
    with Submission(policy=refuses(b"rcpt TO:<no@", b"550 5.1.1 nobody\r\n")) as server:
        refused = send(server, ["no@example.org", RECIPIENT])

    assert refused == {"no@example.org": (550, b"5.1.1 nobody")}
    assert server.delivered[0].recipients == [b"<bob@example.org>"]


def test_pipelining_can_be_switched_off() -> None:
    class Slow(SMTP):
        pipelining = False

    with Submission() as server:
        with Slow("127.0.0.1", server.port, timeout=TIMEOUT) as client:
            client.ehlo()
            server.turns = 0
            client.sendmail(SENDER, RECIPIENT, MESSAGE)
        server.wait()

    assert server.turns == len(["MAIL", "RCPT", "DATA", "message", "QUIT"])


@pytest.mark.parametrize("name", ["mail", "rcpt", "data", "send", "docmd", "putcmd", "getreply"])
def test_a_subclass_that_overrides_a_step_is_asked_for_it(name: str) -> None:
    called = []

    def step(self: SMTP, *args: object) -> object:
        called.append(name)
        return getattr(smtplib.SMTP, name)(self, *args)

    own = type("Own", (SMTP,), {name: step})
    with Submission() as server, own("127.0.0.1", server.port, timeout=TIMEOUT) as client:
        client.ehlo()
        called.clear()
        client.sendmail(SENDER, RECIPIENT, MESSAGE)

    assert called
