"""Messages over SMTP: what was sent is what arrives, whatever client sends it and however it is cut."""

from __future__ import annotations

import asyncio
import email.message
import email.policy
import itertools
import smtplib
import warnings
from collections.abc import Iterator

import aiosmtplib
import pytest
import smtpproto.auth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauthmail import SMTP, SMTP_SSL
from oauthmail.sandbox.personality import GENERIC, GMAIL, MICROSOFT, PERSONALITIES, YAHOO, Personality

from ..loops import closed_in_full
from ..scripted import TIMEOUT, Certificates
from .smtp_rig import OTHER, USER, Rig, running, xoauth2

with warnings.catch_warnings():
    # smtpproto 2.0.0 imports names by which anyio does not like to be called any more.
    warnings.simplefilter("ignore", DeprecationWarning)
    import smtpproto.client

LIMIT = 100_000

MESSAGE = b"From: sender@mail.test\r\nTo: bob@mail.test\r\nSubject: hello\r\n\r\nHello, Bob.\r\n"

MESSAGES = [
    pytest.param(MESSAGE, id="ordinary"),
    pytest.param(b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\nx.\r\n.", id="dots"),
    pytest.param("Subject: größer\r\n\r\nÄÖÜ € 日本\r\n".encode(), id="8bit"),
    pytest.param(b"Subject: all\r\n\r\n" + bytes(set(range(256)) - {10, 13}) + b"\r\n", id="every octet"),
    pytest.param(b"Subject: long\r\n\r\n" + b"x" * 50_000 + b"\r\n", id="long line"),
    pytest.param(b"Subject: many\r\n\r\n" + b"line\r\n" * 10_000, id="many lines"),
    pytest.param(b"\r\n", id="nothing"),
    pytest.param(b"Subject: bare CR\r\n\r\na\rb\r\n", id="bare CR"),
    pytest.param(b"Subject: trailing\r\n\r\nblank \t \r\n\r\n\r\n", id="trailing blanks"),
]


def ended(message: bytes) -> bytes:
    """Return *message* as clients complete it for DATA."""
    return message if message.endswith(b"\r\n") else message + b"\r\n"


@pytest.fixture(params=[False, True], ids=["STARTTLS", "implicit TLS"])
def rig(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Rig]:
    with running(certificates, implicit_tls=request.param, data_size_limit=LIMIT) as found:
        yield found


@pytest.fixture
def starttls(certificates: Certificates) -> Iterator[Rig]:
    with running(certificates, data_size_limit=LIMIT) as found:
        yield found


# --- by clients that are not ours ------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", MESSAGES)
def test_smtplib_sends_and_what_arrives_is_the_same(rig: Rig, message: bytes) -> None:
    with rig.smtplib() as client:
        client.ehlo()
        client.docmd("AUTH", f"XOAUTH2 {xoauth2(rig.state.issue(USER))}")
        client.sendmail("sender@mail.test", [OTHER, "carol@mail.test"], message, ["BODY=8BITMIME"])
    assert rig.inbox() == rig.inbox("carol@mail.test") == [ended(message)]


@pytest.mark.parametrize("address", ['"quoted part"@mail.test', "jörg@mail.test", "post@grüße.test"])
def test_smtplib_sends_to_unusual_addresses(rig: Rig, address: str) -> None:
    message = email.message.EmailMessage(policy=email.policy.SMTP.clone(utf8=True))
    message["From"], message["To"], message["Subject"] = USER, "Bob", "unusual"
    message.set_content("hello")
    with rig.smtplib() as client:
        client.ehlo()
        client.docmd("AUTH", f"XOAUTH2 {xoauth2(rig.state.issue(USER))}")
        client.sendmail(USER, [address], message.as_bytes(), ["SMTPUTF8", "BODY=8BITMIME"])
    assert rig.inbox(address) == [message.as_bytes()]


def test_smtplib_sends_an_internationalised_message_by_itself(rig: Rig) -> None:
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = USER, "jörg@mail.test", "größer"
    message.set_content("schön")
    with rig.smtplib() as client:
        client.ehlo()
        client.docmd("AUTH", f"XOAUTH2 {xoauth2(rig.state.issue(USER))}")
        client.send_message(message)
    assert rig.inbox("jörg@mail.test")[0].startswith(f"From: {USER}\r\nTo: jörg@mail.test\r\nSubject: gr".encode())


def test_aiosmtplib_sends(rig: Rig) -> None:
    token = rig.state.issue(USER)

    async def send() -> None:
        client = aiosmtplib.SMTP(
            hostname="localhost", port=rig.server.port, tls_context=rig.trust, use_tls=rig.implicit_tls, timeout=TIMEOUT
        )
        async with client:
            assert (await client.auth_xoauth2(USER, token)).code == 235
            await client.sendmail(USER, [OTHER], MESSAGE)

    asyncio.run(closed_in_full(send()))
    assert rig.inbox() == [MESSAGE]


def test_aiosmtplib_learns_of_a_refusal(rig: Rig) -> None:
    async def log_in() -> None:
        client = aiosmtplib.SMTP(
            hostname="localhost", port=rig.server.port, tls_context=rig.trust, use_tls=rig.implicit_tls, timeout=TIMEOUT
        )
        async with client:
            await client.auth_xoauth2(USER, "wrong")

    with pytest.raises(aiosmtplib.SMTPAuthenticationError, match=r"5\.7\.8"):
        asyncio.run(closed_in_full(log_in()))


class Authenticator(smtpproto.auth.OAuth2Authenticator):
    token = ""

    async def get_token(self) -> smtpproto.auth.JSONWebToken:
        return {"access_token": self.token, "expires_in": 3600}


def test_smtpproto_sends(starttls: Rig) -> None:
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = USER, OTHER, "hello"
    message.set_content("Hello, Bob.\n.\n")
    authenticator = Authenticator(USER)
    authenticator.token = starttls.state.issue(USER)
    # It checks the certificate for the address.
    client = smtpproto.client.AsyncSMTPClient(
        "localhost", starttls.server.port, ssl_context=starttls.trust, authenticator=authenticator, domain="client"
    )
    asyncio.run(closed_in_full(client.send_message(message)))
    assert starttls.inbox() == [message.as_bytes()]


def test_our_own_clients_send(rig: Rig) -> None:
    client: SMTP
    if rig.implicit_tls:
        client = SMTP_SSL("localhost", rig.server.port, timeout=TIMEOUT, context=rig.trust)
    else:
        client = SMTP("localhost", rig.server.port, timeout=TIMEOUT)
        client.starttls(context=rig.trust)
    with client:
        client.authenticate_oauth(USER, rig.state.issue(USER, length=3000))
        client.sendmail(USER, [OTHER], MESSAGE)
    assert rig.inbox() == [MESSAGE]


# --- MAIL, RCPT, DATA ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", MESSAGES)
def test_lines_arrive_as_they_were_sent(starttls: Rig, message: bytes) -> None:
    stuffed = ended(message).replace(b"\r\n.", b"\r\n..")
    with starttls.user() as raw:
        raw.begin()
        assert raw.command("DATA")[:4] == "354 "
        raw.send(stuffed + b".\r\n")
        assert raw.reply() == "250 2.0.0 OK"
    assert starttls.inbox() == [ended(message)]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("MAIL FROM:<>", "250 2.1.0"),
        ("mail from: <a@b.test>", "250 2.1.0"),
        ("MAIL FROM:a@b.test", "250 2.1.0"),
        ("MAIL FROM:<@relay.test,@other.test:a@b.test>", "250 2.1.0"),
        ('MAIL FROM:<"a b"@c.test> SIZE=100', "250 2.1.0"),
        ("MAIL FROM:<a@b.test> BODY=8BITMIME SMTPUTF8 SIZE=100 RET=HDRS ENVID=Q+3Dx AUTH=<>", "250 2.1.0"),
        ("MAIL FROM:<ä@b.test> SMTPUTF8", "250 2.1.0"),
        ("MAIL FROM:<ä@b.test>", "553 5.6.7"),
        ("MAIL FROM:<a@b.test> RET=SOME", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> RET=FULL RET=FULL", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> ENVID=a=b", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> NOTIFY=NEVER", "555 5.5.4"),
        ("MAIL FROM:<a@b.test> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@b.test> SIZE=100001", "552 5.3.4"),
        ("MAIL FROM:<a@b.test> SIZE=x", "501 5.5.4"),
        ("MAIL FROM:<a@b.test", "553 5.1.3"),
        ("MAIL FROM:<a b@c.test>", "553 5.1.3"),
        ("MAIL FROM:", "553 5.1.3"),
        ("MAIL", "501 5.5.4"),
        ("RCPT TO:<a@b.test>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
    ],
)
def test_a_message_begins_with(starttls: Rig, line: str, reply: str) -> None:
    with starttls.user() as raw:
        assert raw.command(line)[:9] == reply


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("RCPT TO:<a@b.test>", "250 2.1.5"),
        ("RCPT TO:<a@b.test> NOTIFY=NEVER", "250 2.1.5"),
        ("RCPT TO:<a@b.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bc@b.test", "250 2.1.5"),
        ("RCPT TO:<a@b.test> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        ("RCPT TO:<a@b.test> ORCPT=a@b.test", "501 5.5.4"),
        ("RCPT TO:<a@b.test> RET=FULL", "555 5.5.4"),
        ("RCPT TO:<a@refused.test>", "550 5.1.1"),
        ("RCPT TO:<a@Refused.Test>", "550 5.1.1"),
        ("RCPT TO:<ä@b.test>", "553 5.6.7"),
        ("RCPT TO:<a>", "553 5.1.3"),
        ("RCPT TO:<>", "553 5.1.3"),
        ("RCPT TO:", "553 5.1.3"),
        ("MAIL FROM:<a@b.test>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("DATA now", "503 5.5.1"),
    ],
)
def test_a_recipient_is(starttls: Rig, line: str, reply: str) -> None:
    with starttls.user() as raw:
        raw.command("MAIL FROM:<a@b.test>")
        assert raw.command(line)[:9] == reply


def test_what_is_asked_for_notifications_is_recorded(starttls: Rig) -> None:
    lines = ["MAIL FROM:<a@b.test> RET=HDRS ENVID=Qq314159", "RCPT TO:<a@b.test> NOTIFY=SUCCESS ORCPT=rfc822;A@b.test"]
    with starttls.user() as raw:
        assert [raw.command(line)[:3] for line in lines] == ["250", "250"]
    assert starttls.received()[-2:] == lines


def test_one_of_three_recipients_refused_leaves_the_others_their_mail(rig: Rig) -> None:
    with rig.smtplib() as client:
        client.ehlo()
        client.docmd("AUTH", f"XOAUTH2 {xoauth2(rig.state.issue(USER))}")
        refused = client.sendmail(USER, [OTHER, "x@refused.test", "carol@mail.test"], MESSAGE)
    assert refused == {"x@refused.test": (550, b"5.1.1 No such user here")}
    assert (rig.inbox(), rig.inbox("carol@mail.test"), rig.inbox("x@refused.test")) == ([MESSAGE], [MESSAGE], [])


def test_a_message_to_nobody_is_refused(rig: Rig) -> None:
    with rig.smtplib() as client:
        client.ehlo()
        client.docmd("AUTH", f"XOAUTH2 {xoauth2(rig.state.issue(USER))}")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail(USER, ["x@refused.test"], MESSAGE)


def test_a_recipient_named_twice_gets_one_copy(starttls: Rig) -> None:
    with starttls.user() as raw:
        raw.begin(OTHER, OTHER)
        raw.command("DATA")
        raw.command("hello\r\n.")
    assert starttls.inbox() == [b"hello\r\n"]


def test_a_message_that_is_too_large_is_refused_and_the_next_is_not(starttls: Rig) -> None:
    with starttls.user() as raw:
        raw.begin()
        raw.command("DATA")
        raw.send(b"x" * (LIMIT - 2) + b"\r\n\r\n.\r\n")
        assert raw.reply() == "552 5.3.4 Error: Too much mail data"
        raw.begin()
        raw.command("DATA")
        raw.send(b"x" * (LIMIT - 2) + b"\r\n.\r\n")
        assert raw.reply() == "250 2.0.0 OK"
    assert [len(message) for message in starttls.inbox()] == [LIMIT]


def test_rset_forgets_the_message(starttls: Rig) -> None:
    with starttls.user() as raw:
        raw.begin()
        assert raw.command("RSET") == "250 2.0.0 OK"
        assert raw.command("DATA")[:9] == "503 5.5.1"


@pytest.mark.parametrize("octets", [b"hello\r\n.\n", b"hello\n.\r\n", b"hello\n.\n", b"hello\r\n.\r", b"hello\r.\r\n"])
def test_only_a_dot_between_proper_line_ends_ends_a_message(starttls: Rig, octets: bytes) -> None:
    """What else a server takes for the end lets a message smuggle commands."""
    with starttls.user() as raw:
        raw.begin()
        raw.command("DATA")
        raw.send(octets + b"MAIL FROM:<mallory@mail.test>\r\n")
        raw.send(b"\r\n.\r\n")
        assert raw.reply() == "250 2.0.0 OK"
    assert b"mallory" in starttls.inbox()[0]


def test_commands_may_come_together(rig: Rig) -> None:
    with rig.user() as raw:
        raw.send(
            b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@refused.test>\r\nRCPT TO:<bob@mail.test>\r\nDATA\r\n"
            b"Subject: 1\r\n\r\n.\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@mail.test>\r\nDATA\r\nSubject: 2\r\n\r\n.\r\n"
            b"NOOP\r\nQUIT\r\n"
        )
        replies = [raw.reply()[:3] for _ in range(10)]
    assert replies == ["250", "550", "250", "354", "250", "250", "250", "354", "250", "250"]
    assert rig.inbox() == [b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n"]


def test_commands_may_come_octet_by_octet(starttls: Rig) -> None:
    with starttls.user() as raw:
        for octet in b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@mail.test>\r\nDATA\r\nhello\r\n.\r\n":
            raw.send(bytes([octet]))
        assert [raw.reply()[:3] for _ in range(4)] == ["250", "250", "354", "250"]


def test_commands_are_answered_after_the_client_has_said_all(starttls: Rig) -> None:
    with starttls.raw(tls=False) as raw:
        raw.send(b"EHLO client\r\nNOOP\r\nVRFY x\r\n")
        raw.sock.shutdown(1)
        assert [raw.reply()[:3] for _ in range(4)] == ["250", "250", "252", ""]


# --- BDAT (RFC 3030) -------------------------------------------------------------------------------------------------


def bdat(*chunks: bytes) -> bytes:
    """Return the commands for a message in *chunks*, the last of them marked."""
    last = len(chunks) - 1
    return b"".join(
        b"BDAT %d%s\r\n%s" % (len(chunk), b" LAST" * (number == last), chunk) for number, chunk in enumerate(chunks)
    )


@pytest.mark.parametrize("message", MESSAGES)
def test_a_chunk_arrives_as_it_was_sent(rig: Rig, message: bytes) -> None:
    with rig.user() as raw:
        raw.begin()
        raw.send(bdat(message))
        assert raw.reply() == "250 2.0.0 OK"
    assert rig.inbox() == [message]


def test_a_message_may_be_cut_anywhere(starttls: Rig) -> None:
    message = b"Subject: cut\r\n\r\n.\r\nQUIT\r\n"
    cuts = range(len(message) + 1)
    with starttls.user() as raw:
        for cut in cuts:
            raw.begin()
            raw.send(bdat(message[:cut], message[cut:]))
            assert (raw.reply(), raw.reply()) == (f"250 2.0.0 {cut} octets received", "250 2.0.0 OK")
    assert starttls.inbox() == [message] * len(cuts)


def test_chunks_may_come_with_everything_else(rig: Rig) -> None:
    with rig.user() as raw:
        raw.send(
            b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@mail.test>\r\n"
            + bdat(b"Subject: 1\r", b"\n\r\nRSET\r\n", b"")
            + b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@mail.test>\r\n"
            + bdat(b"2")
            + b"NOOP\r\n"
        )
        assert [raw.reply()[:3] for _ in range(9)] == ["250"] * 9
    assert rig.inbox() == [b"Subject: 1\r\n\r\nRSET\r\n", b"2"]


def test_chunks_may_come_octet_by_octet(starttls: Rig) -> None:
    with starttls.user() as raw:
        raw.begin()
        for octet in bdat(b"one\r", b"\ntwo\r\n"):
            raw.send(bytes([octet]))
        assert (raw.reply()[:3], raw.reply()[:3]) == ("250", "250")
    assert starttls.inbox() == [b"one\r\ntwo\r\n"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), message=st.binary(min_size=1, max_size=300).map(lambda octets: octets.replace(b"\n", b"\r\n")))
def test_any_message_may_be_cut_into_any_chunks(starttls: Rig, data: st.DataObject, message: bytes) -> None:
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=5))), len(message)]
    chunks = [message[start:end] for start, end in itertools.pairwise(cuts)]
    with starttls.user() as raw:
        raw.begin()
        raw.send(bdat(*chunks))
        assert [raw.reply()[:3] for _ in chunks] == ["250"] * len(chunks)
    assert starttls.inbox()[-1] == message


def test_a_message_of_nothing_may_end(starttls: Rig) -> None:
    with starttls.user() as raw:
        raw.begin()
        assert raw.command("BDAT 0 LAST") == "250 2.0.0 OK"
    assert starttls.inbox() == [b""]


@pytest.mark.parametrize(
    ("before", "reply"),
    [
        pytest.param([], "503 5.5.1", id="no MAIL"),
        pytest.param(["MAIL FROM:<a@b.test>"], "503 5.5.1", id="no RCPT"),
        pytest.param(["MAIL FROM:<a@b.test>", "RCPT TO:<x@refused.test>"], "503 5.5.1", id="nobody"),
    ],
)
def test_a_chunk_out_of_place_is_read_and_refused(starttls: Rig, before: list[str], reply: str) -> None:
    with starttls.user() as raw:
        for line in before:
            raw.command(line)
        raw.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        assert (raw.reply()[:9], raw.reply()) == (reply, "250 2.0.0 OK")


@pytest.mark.parametrize("tls", [False, True])
def test_a_chunk_of_a_stranger_is_read_and_refused(starttls: Rig, tls: bool) -> None:
    with starttls.raw(tls=tls) as raw:
        raw.command("EHLO client")
        raw.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        assert (raw.reply()[:9], raw.reply()) == ("530 5.7.0", "250 2.0.0 OK")


def test_chunks_that_are_too_large_are_read_and_refused_until_rset(starttls: Rig) -> None:
    with starttls.user() as raw:
        raw.begin()
        raw.send(bdat(b"x" * LIMIT, b"y" * LIMIT) + b"BDAT 1 LAST\r\nzMAIL FROM:<a@b.test>\r\nRSET\r\n")
        replies = [raw.reply()[:9] for _ in range(5)]
        raw.begin()
        raw.send(bdat(b"x" * LIMIT))
        replies.append(raw.reply()[:9])
    assert replies == ["250 2.0.0", "552 5.3.4", "503 5.5.1", "503 5.5.1", "250 2.0.0", "250 2.0.0"]
    assert starttls.inbox() == [b"x" * LIMIT]


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b.test>", "RCPT TO:<a@b.test>", "DATA"])
def test_between_chunks_come_only_chunks(starttls: Rig, line: str) -> None:
    with starttls.user() as raw:
        raw.begin()
        raw.send(b"BDAT 1\r\nx")
        raw.reply()
        assert raw.command(line)[:9] == "503 5.5.1"
        assert raw.command("NOOP") == "250 2.0.0 OK"
        raw.send(bdat(b"y"))
        assert raw.reply() == "250 2.0.0 OK"
    assert starttls.inbox() == [b"xy"]


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -1 LAST", "BDAT 1 FIRST", "BDAT 1 LAST LAST", "BDAT 1.5"])
def test_a_chunk_without_a_length_ends_the_connection(starttls: Rig, line: str) -> None:
    with starttls.user() as raw:
        raw.begin()
        assert (raw.command(line)[:9], raw.reply()) == ("501 5.5.4", "")


def test_a_chunk_that_breaks_off_is_no_message(certificates: Certificates) -> None:
    with running(certificates) as rig:
        with rig.user() as raw:
            raw.begin()
            raw.send(b"BDAT 100 LAST\r\nhalf")
        with rig.user() as raw:
            assert raw.command("NOOP") == "250 2.0.0 OK"
        assert rig.inbox() == []


def test_a_binary_message_is_taken_where_it_is_offered_and_goes_by_bdat(certificates: Certificates) -> None:
    message = b"Subject: binary\r\n\r\n\0" + b"x" * 2000
    with running(certificates, MICROSOFT) as rig, rig.user() as raw:
        replies = [
            raw.command(line)[:9]
            for line in ("MAIL FROM:<a@b.test> BODY=BINARYMIME", "RCPT TO:<bob@mail.test>", "DATA")
        ]
        raw.send(bdat(message))
        replies.append(raw.reply()[:9])
        raw.begin()
        replies.append(raw.command("DATA")[:3])
    assert (replies, rig.inbox()) == (["250 2.1.0", "250 2.1.5", "503 5.5.1", "250 2.0.0", "354"], [message])


# --- the quick ways of our own clients --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("personality", "verbs", "binary"),
    [
        pytest.param(GENERIC, ["MAIL", "RCPT", "BDAT"], False, id="generic"),
        pytest.param(GMAIL, ["MAIL", "RCPT", "BDAT"], False, id="gmail"),
        pytest.param(MICROSOFT, ["MAIL", "RCPT", "BDAT"], True, id="microsoft"),
        pytest.param(YAHOO, ["MAIL", "RCPT", "DATA"], False, id="yahoo"),
    ],
)
def test_a_message_takes_the_quickest_way_that_a_provider_has(
    certificates: Certificates, personality: Personality, verbs: list[str], binary: bool
) -> None:
    message = b"Subject: long\r\n\r\n" + b"x" * 2000 + b"\r\n.\r\n"
    with running(certificates, personality) as rig:
        with SMTP("localhost", rig.server.port, timeout=TIMEOUT) as client:
            client.starttls(context=rig.trust)
            client.authenticate_oauth(USER, rig.state.issue(USER))
            client.sendmail(USER, [OTHER], message)
        received = [line.upper().split() for line in rig.received()]
    assert [verb for verb, *_ in received if verb in ("MAIL", "RCPT", "DATA", "BDAT")] == verbs
    assert any("BODY=BINARYMIME" in words for words in received) is binary
    assert rig.inbox() == [message]


@pytest.mark.parametrize("personality", PERSONALITIES.values(), ids=PERSONALITIES)
def test_many_messages_arrive_but_for_those_that_are_refused(
    certificates: Certificates, personality: Personality
) -> None:
    messages = [b"Subject: %d\r\n\r\nHello\r\n.\r\nworld\r\n" % number for number in range(300)]
    everybody = [[OTHER if number % 10 else "nobody@refused.test"] for number in range(300)]
    with running(certificates, personality) as rig, SMTP("localhost", rig.server.port, timeout=TIMEOUT) as client:
        client.starttls(context=rig.trust)
        client.authenticate_oauth(USER, rig.state.issue(USER))
        results = list(client.send_messages(zip(itertools.repeat(USER), everybody, messages, strict=False)))
    accepted = [number for number in range(300) if number % 10]
    assert [result.index for result in results if result.accepted] == accepted
    assert rig.inbox() == [messages[number] for number in accepted]
