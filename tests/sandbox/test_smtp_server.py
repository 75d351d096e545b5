"""The SMTP server up to the login: greetings, TLS, AUTH, limits, faults, the record, and its end."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import json
import logging
import smtplib
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauthmail import OAuth1Credentials
from oauthmail.sandbox.personality import GMAIL, MICROSOFT, PERSONALITIES, YAHOO, Personality
from oauthmail.sandbox.state import OAuth1Token, fingerprint
from oauthmail.sasl import build

from ..scripted import Certificates
from .smtp_rig import DISCOVERY, OTHER, USER, Raw, Rig, b64, oauthbearer, running, xoauth2

MASTER = "250-localhost\n250-PIPELINING\n250-SIZE 33554432\n"
EXTENSIONS = "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250-DSN\n250-SMTPUTF8\n250 CHUNKING"


@pytest.fixture(params=[False, True], ids=["STARTTLS", "implicit TLS"])
def rig(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Rig]:
    with running(certificates, implicit_tls=request.param) as found:
        yield found


@pytest.fixture
def plain(certificates: Certificates) -> Iterator[Rig]:
    with running(certificates) as found:
        yield found


@pytest.fixture(autouse=True)
def _asyncio_has_nothing_to_complain_about(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def one_payload(token: str, mechanism: str, rig: Rig) -> str:
    """Return what our own clients would send; OAuth 1.0a needs signing."""
    if mechanism == "XOAUTH2":
        return xoauth2(token)
    if mechanism == "OAUTHBEARER":
        return oauthbearer(token)
    rig.state.oauth1_clients["client"] = "client secret"
    rig.state.oauth1_tokens["token"] = OAuth1Token("token secret", USER, "client")
    credentials = OAuth1Credentials("client", "client secret", "token", "token secret")
    identity = f"https://mail.test/b/{USER}/smtp/" if mechanism == "XOAUTH" else USER
    exchange = build(mechanism, identity, credentials, host="localhost", port=25, nonce="n", timestamp=int(time.time()))
    return base64.b64encode(exchange.initial_response).decode()


# --- hello -----------------------------------------------------------------------------------------------------------


def test_starttls_and_no_login_is_offered_before_tls(plain: Rig) -> None:
    with plain.raw(tls=False) as raw:
        assert raw.command("EHLO client") == f"{MASTER}250-STARTTLS\n{EXTENSIONS}"


def test_logins_and_no_starttls_are_offered_within_tls(rig: Rig) -> None:
    with rig.raw() as raw:
        assert raw.command("EHLO client") == f"{MASTER}250-AUTH XOAUTH2 OAUTHBEARER XOAUTH OAUTH10A\n{EXTENSIONS}"


@pytest.mark.parametrize("personality", [GMAIL, MICROSOFT, YAHOO], ids=lambda each: each.name)
def test_a_provider_greets_and_offers_as_it_does(certificates: Certificates, personality: Personality) -> None:
    with running(certificates, personality) as rig, Raw(rig.server.port) as raw:
        assert raw.reply() == f"220 {personality.greetings['smtp']}"
        raw.command("EHLO client")
        raw.command("STARTTLS")
        raw.wrap(rig.trust)
        offered = [line[4:] for line in raw.command("EHLO client").split("\n")[1:]]
    assert [line.split()[0] for line in offered] == list(personality.extensions)
    assert f"AUTH {' '.join(personality.mechanisms['smtp'])}" in offered


def test_helo_gets_one_line_and_no_extensions(rig: Rig) -> None:
    with rig.raw() as raw:
        assert raw.command("HELO client") == "250 localhost"
        assert raw.command(f"AUTH XOAUTH2 {xoauth2('x')}")[:9] == "503 5.5.1"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("EHLO", "501 5.5.4"),
        ("HELO", "501 5.5.4"),
        ("STARTTLS now", "501 5.5.4"),
        ("AUTH XOAUTH2", "530 5.7.0"),
        ("AUTH XOAUTH2 eA==", "530 5.7.0"),
        ("MAIL FROM:<a@b.test>", "530 5.7.0"),
        ("RCPT TO:<a@b.test>", "530 5.7.0"),
        ("DATA", "530 5.7.0"),
        ("VRFY alice", "252 2.5.0"),
        ("EXPN staff", "502 5.5.1"),
        ("NOOP", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("QUIT now", "501 5.5.4"),
        ("", "500 5.5.2"),
        ("XYZZY", "500 5.5.2"),
        ("\xe9", "500 5.5.2"),
    ],
)
def test_before_tls_a_command_gets(plain: Rig, line: str, reply: str) -> None:
    with plain.raw(tls=False) as raw:
        raw.command("EHLO client")
        raw.send(line.encode("latin-1") + b"\r\n")
        assert raw.reply()[:9] == reply


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b.test>", "RCPT TO:<a@b.test>", "DATA"])
def test_a_greeting_comes_first(rig: Rig, line: str) -> None:
    with rig.raw() as raw:
        assert raw.command(line)[:9] == "503 5.5.1"


def test_mail_is_for_those_who_have_logged_in(rig: Rig) -> None:
    with rig.raw() as raw:
        raw.command("EHLO client")
        assert raw.command("MAIL FROM:<a@b.test>") == "530 5.7.0 Authentication required"


def test_quit_gets_an_answer_and_the_end(rig: Rig) -> None:
    with rig.raw() as raw:
        assert (raw.command("QUIT"), raw.reply()) == ("221 2.0.0 Bye", "")


# --- STARTTLS --------------------------------------------------------------------------------------------------------


def test_plain_text_behind_starttls_is_thrown_away(plain: Rig) -> None:
    with plain.raw(tls=False) as raw:
        raw.command("EHLO client")
        raw.send(b"STARTTLS\r\nMAIL FROM:<mallory@mail.test>\r\n")
        assert raw.reply() == "220 2.0.0 Ready to start TLS"
        raw.wrap(plain.trust)
        assert raw.command("NOOP") == "250 2.0.0 OK"
    assert plain.received()[-1] == "NOOP"
    assert "MAIL FROM:<mallory@mail.test>" not in plain.received()


def test_the_first_greeting_is_forgotten_with_tls(plain: Rig) -> None:
    with plain.raw() as raw:
        assert raw.command("MAIL FROM:<a@b.test>")[:9] == "503 5.5.1"


def test_a_second_starttls_is_refused(rig: Rig) -> None:
    with rig.raw() as raw:
        raw.command("EHLO client")
        assert raw.command("STARTTLS")[:9] == "503 5.5.1"


def test_what_comes_with_the_handshake_is_not_lost(plain: Rig) -> None:
    """A TLS 1.3 client may send its first command in one packet with the end of the handshake."""
    with plain.raw(tls=False) as raw:
        raw.command("EHLO client")
        raw.command("STARTTLS")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = plain.trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.send(outgoing.read())
                incoming.write(raw.sock.recv(1 << 16))
        tls.write(b"NOOP\r\n")
        raw.send(outgoing.read())
        assert read_through(tls, incoming, raw) == b"250 2.0.0 OK\r\n"


def read_through(tls: ssl.SSLObject, incoming: ssl.MemoryBIO, raw: Raw) -> bytes:
    while True:
        try:
            return tls.read(1 << 16)
        except ssl.SSLWantReadError:
            incoming.write(raw.sock.recv(1 << 16))


@pytest.mark.parametrize("octets", [b"EHLO client\r\n", b"\x16\x03\x01\x00\x05hello", b""])
def test_a_handshake_that_fails_ends_the_connection_and_nothing_else(rig: Rig, octets: bytes) -> None:
    with Raw(rig.server.port) as raw:
        if not rig.implicit_tls:
            raw.reply()
            raw.command("EHLO client")
            raw.command("STARTTLS")
        raw.send(octets)
        raw.sock.shutdown(1)
        while raw.sock.recv(1 << 16):
            pass
    with rig.raw() as raw:
        assert raw.command("NOOP") == "250 2.0.0 OK"


# --- AUTH ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER", "XOAUTH", "OAUTH10A"])
@pytest.mark.parametrize("steps", [1, 2])
def test_smtplib_logs_in(rig: Rig, mechanism: str, steps: int) -> None:
    payload = one_payload(rig.state.issue(USER), mechanism, rig)
    with rig.smtplib() as client:
        client.ehlo()
        if steps == 1:
            reply = client.docmd("AUTH", f"{mechanism} {payload}")
        else:
            assert client.docmd("AUTH", mechanism.lower()) == (334, b"")
            reply = client.docmd(payload)
        assert reply == (235, b"2.7.0 Logged in.")


@pytest.mark.parametrize(
    ("mechanism", "challenge"),
    [
        ("XOAUTH2", {"status": "401", "schemes": "bearer", "scope": "mail"}),
        ("OAUTHBEARER", {"status": "invalid_token", "scope": "mail", "openid-configuration": DISCOVERY}),
    ],
)
@pytest.mark.parametrize(
    ("acknowledgement", "reply"),
    [
        pytest.param("", "535 5.7.8 Authentication failed.", id="empty line"),
        pytest.param("AQ==", "535 5.7.8 Authentication failed.", id="RFC 7628's"),
        pytest.param("*", "501 5.7.0 Authentication aborted", id="cancelled"),
    ],
)
def test_a_refusal_waits_for_the_acknowledgement(
    rig: Rig, mechanism: str, challenge: dict[str, str], acknowledgement: str, reply: str
) -> None:
    payload = xoauth2("wrong") if mechanism == "XOAUTH2" else oauthbearer("wrong")
    with rig.raw() as raw:
        raw.command("EHLO client")
        said = raw.command(f"AUTH {mechanism} {payload}")
        assert (said[:4], json.loads(base64.b64decode(said[4:]))) == ("334 ", challenge)
        assert raw.command(acknowledgement) == reply
        raw.log_in(rig.state.issue(USER))


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        pytest.param(["AUTH"], "501 5.5.4", id="no mechanism"),
        pytest.param(["AUTH XOAUTH2 eA== eA=="], "501 5.5.4", id="too much"),
        pytest.param(["AUTH PLAIN AGEAYg=="], "504 5.5.4", id="passwords"),
        pytest.param(["AUTH XOAUTH2 !"], "501 5.5.2", id="no base64"),
        pytest.param(["AUTH XOAUTH2 eA="], "501 5.5.2", id="cut base64"),
        pytest.param(["AUTH XOAUTH2 ="], "535 5.7.8", id="empty initial response"),
        pytest.param([f"AUTH XOAUTH2 {b64('hello')}"], "535 5.7.8", id="malformed"),
        pytest.param(["AUTH XOAUTH2", "*"], "501 5.7.0", id="cancelled"),
        pytest.param(["AUTH XOAUTH2", "!"], "501 5.5.2", id="no base64 in two steps"),
        pytest.param(["AUTH XOAUTH2", ""], "535 5.7.8", id="empty in two steps"),
    ],
)
def test_a_login_that_is_no_login_gets(rig: Rig, lines: list[str], reply: str) -> None:
    with rig.raw() as raw:
        raw.command("EHLO client")
        assert [raw.command(line) for line in lines][-1][:9] == reply
        raw.log_in(rig.state.issue(USER))


def test_a_second_login_is_a_bad_sequence(rig: Rig) -> None:
    token = rig.state.issue(USER)
    with rig.raw() as raw:
        raw.log_in(token)
        assert raw.command(f"AUTH XOAUTH2 {xoauth2(token)}") == "503 5.5.1 Already authenticated"


def test_a_login_survives_another_greeting(rig: Rig) -> None:
    with rig.user() as raw:
        raw.command("EHLO client")
        assert raw.command("MAIL FROM:<a@b.test>")[:3] == "250"


@pytest.mark.parametrize("personality", PERSONALITIES.values(), ids=PERSONALITIES)
def test_a_provider_refuses_as_it_does(certificates: Certificates, personality: Personality) -> None:
    with running(certificates, personality) as rig, rig.raw() as raw:
        raw.command("EHLO client")
        said = raw.command(f"AUTH XOAUTH2 {xoauth2('wrong')}")
        if personality.challenges:
            assert said[:4] == "334 "
            said = raw.command("")
        expected = {
            "generic": "535 5.7.8 Authentication failed.",
            "gmail": "535-5.7.8 Username and Password not accepted. For more information, go to\n"
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp",
            "microsoft": "535 5.7.3 Authentication unsuccessful [SANDBOX.outlook.office365.com]",
            "yahoo": "535 5.7.0 (#MBR1212) Incorrect username or password.",
        }
        assert said == expected[personality.name]


def test_gmail_challenges_with_status_400(certificates: Certificates) -> None:
    with running(certificates, GMAIL) as rig, rig.raw() as raw:
        raw.command("EHLO client")
        said = raw.command(f"AUTH XOAUTH2 {xoauth2('wrong')}")
        # As recorded from Gmail.
        assert said == (
            "334 eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="
        )


# --- lengths ---------------------------------------------------------------------------------------------------------

CASES = [pytest.param(each, id=name) for name, each in PERSONALITIES.items()]


def line_of(length: int, prefix: str) -> str:
    """Return a line that has *length* octets with its end."""
    return prefix + "A" * (length - len(prefix) - 2)


@pytest.mark.parametrize("personality", CASES)
def test_the_longest_command_line_is_read_and_one_octet_more_is_refused(
    certificates: Certificates, personality: Personality
) -> None:
    limit = personality.command_limits["smtp"]
    too_long = personality.too_long["smtp"]
    assert too_long is not None
    with running(certificates, personality) as rig, rig.raw() as raw:
        assert raw.command(line_of(limit, "NOOP ")) == "250 2.0.0 OK"
        assert raw.command(line_of(limit + 1, "NOOP ")) == too_long.replace("\r\n", "\n")
        assert raw.command("NOOP") == "250 2.0.0 OK"
        assert rig.received()[-2:] == [f"[a line of more than {limit} octets]", "NOOP"]


@pytest.mark.parametrize("personality", CASES)
def test_the_longest_answer_is_read_and_one_octet_more_is_refused(
    certificates: Certificates, personality: Personality
) -> None:
    limit = personality.response_limits["smtp"]
    too_long = personality.too_long["smtp"]
    assert too_long is not None
    with running(certificates, personality) as rig, rig.raw() as raw:
        raw.command("EHLO client")
        raw.command("AUTH XOAUTH2")
        # It is no base64, or no login, but it is read.
        assert raw.command(line_of(limit, ""))[:3] in ("501", "535")
        raw.command("AUTH XOAUTH2")
        assert raw.command(line_of(limit + 1, "")) == too_long.replace("\r\n", "\n")
        raw.log_in(rig.state.issue(USER))


def test_a_line_beyond_every_buffer_is_refused_all_the_same(plain: Rig) -> None:
    with plain.user() as raw:
        raw.send(b"NOOP " + b"A" * (5 << 20) + b"\r\nNOOP\r\n")
        assert (raw.reply(), raw.reply()) == ("500 5.5.2 Line too long", "250 2.0.0 OK")


def test_a_long_token_goes_in_two_steps_only(rig: Rig) -> None:
    token = rig.state.issue(USER, length=5000)
    with rig.raw() as raw:
        raw.command("EHLO client")
        assert raw.command(f"AUTH XOAUTH2 {xoauth2(token)}") == "500 5.5.2 Line too long"
        assert raw.command("AUTH XOAUTH2") == "334 "
        assert raw.command(xoauth2(token))[:3] == "235"


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_temporary_failure_comes_without_a_challenge(rig: Rig) -> None:
    token = rig.state.issue(USER)
    rig.state.fault("temporary", service="smtp")
    with rig.raw() as raw:
        raw.command("EHLO client")
        assert raw.command(f"AUTH XOAUTH2 {xoauth2(token)}") == "454 4.7.0 Temporary authentication failure."
        raw.log_in(token)


def test_a_dropped_connection_closes_in_place_of_the_next_answer(rig: Rig) -> None:
    with rig.raw() as raw:
        rig.state.fault("drop", service="smtp")
        assert raw.command("NOOP") == ""
    with rig.raw() as raw:
        assert raw.command("NOOP") == "250 2.0.0 OK"


def test_smtplib_sees_a_dropped_connection(rig: Rig) -> None:
    client = rig.smtplib()
    client.ehlo()
    rig.state.fault("drop", service="smtp")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.docmd("AUTH", f"XOAUTH2 {xoauth2(rig.state.issue(USER))}")


def test_a_slow_answer_comes_late(rig: Rig) -> None:
    with rig.raw() as raw:
        rig.state.fault("slow", service="smtp", number=30)
        raw.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            raw.command("NOOP")
    # That the server closes within this test shows that nothing waits for the answer any more.


def test_only_one_answer_is_slow(rig: Rig) -> None:
    with rig.raw() as raw:
        rig.state.fault("slow", service="smtp", number=0.001)
        assert (raw.command("NOOP"), rig.state.faults) == ("250 2.0.0 OK", [])


def test_a_shorter_line_length_is_a_fault_that_happens_to_long_lines(rig: Rig) -> None:
    rig.state.fault("line_length", service="smtp", number=100)
    with rig.raw() as raw:
        assert raw.command("NOOP") == "250 2.0.0 OK"
        assert raw.command(line_of(101, "NOOP ")) == "500 5.5.2 Line too long"
        assert raw.command(line_of(101, "NOOP ")) == "250 2.0.0 OK"


def test_faults_of_other_services_do_not_happen_here(rig: Rig) -> None:
    for kind in ("drop", "slow", "line_length", "temporary"):
        rig.state.fault(kind, service="imap", number=20)
    with rig.user() as raw:
        assert raw.command(line_of(101, "NOOP ")) == "250 2.0.0 OK"


def test_microsoft_says_that_smtp_is_switched_off(certificates: Certificates) -> None:
    with running(certificates, MICROSOFT) as rig, rig.raw() as raw:
        rig.state.fault("smtp_disabled", service="smtp")
        raw.command("EHLO client")
        said = raw.command(f"AUTH XOAUTH2 {xoauth2(rig.state.issue(USER))}")
        assert said.startswith("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled")


# --- the record ------------------------------------------------------------------------------------------------------


def test_every_line_is_recorded_with_fingerprints_for_payloads(plain: Rig) -> None:
    token = plain.state.issue(USER)
    with plain.raw() as raw:
        raw.command("EHLO client")
        raw.command(f"auth XOAUTH2 {xoauth2('wrong token')}")
        raw.command("")
        raw.command("AUTH XOAUTH2")
        raw.command(xoauth2(token))
        raw.begin()
        raw.command("DATA")
        raw.command("Subject: not recorded\r\n\r\nnor this\r\n.")
        raw.begin()
        raw.send(b"BDAT 6 LAST\r\nchunk\n")
        raw.reply()
        raw.command("QUIT")
    assert plain.received() == [
        "EHLO client",
        "STARTTLS",
        "EHLO client",
        f"auth XOAUTH2 <fingerprint {fingerprint('wrong token')}>",
        "",
        "AUTH XOAUTH2",
        f"<fingerprint {fingerprint(token)}>",
        "MAIL FROM:<sender@mail.test>",
        f"RCPT TO:<{OTHER}>",
        "DATA",
        "MAIL FROM:<sender@mail.test>",
        f"RCPT TO:<{OTHER}>",
        "BDAT 6 LAST",
        "QUIT",
    ]


@pytest.mark.parametrize(
    "line", ["{}", "AUTH {}", "AUTH XOAUTH {} {}", "AUTH  XOAUTH2  {}", " AUTH XOAUTH2 {}", "X AUTH {}", "AUTH\tX {}"]
)
def test_a_payload_in_a_wrong_place_is_not_recorded(rig: Rig, line: str) -> None:
    payload = xoauth2("secret-token-of-some-length")
    with rig.raw() as raw:
        raw.command("EHLO client")
        raw.command(line.replace("{}", payload))
    assert payload not in "\n".join(rig.received())


def test_connections_are_told_apart(rig: Rig) -> None:
    for _ in range(2):
        with rig.raw(tls=False) as raw:
            raw.command("NOOP")
    assert [line.connection for line in rig.state.lines] == [1, 2]


def test_the_log_shows_no_token(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = rig.state.issue(USER)
    payload = xoauth2(token)
    with rig.raw() as raw:
        raw.command("EHLO client")
        for lines in (
            [f"AUTH XOAUTH2 {xoauth2('wrong')}", ""],
            ["AUTH XOAUTH2", f"!{payload}"],
            [f"AUTH XOAUTH2 !{payload}"],
            [f"AUTH  PLAIN {payload}"],
            [payload],
            [token],
            ["AUTH XOAUTH2", payload],
            [f"NOOP {token}"],
            [f"VRFY {token}"],
        ):
            for line in lines:
                raw.command(line)
    shown = [record.getMessage() for record in caplog.records if record.name == "mail.log"]
    assert shown != []
    assert [line for line in shown if token in line or payload in line] == []


# --- many clients, and the end ---------------------------------------------------------------------------------------


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


def test_nothing_is_left_when_it_closes(certificates: Certificates) -> None:
    threads, open_files = threading.active_count(), descriptors()
    for implicit_tls in (False, True):
        with running(certificates, implicit_tls=implicit_tls) as rig:
            for _ in range(3):
                rig.user().sock.close()
    assert (threading.active_count(), descriptors()) == (threads, open_files)


@pytest.mark.parametrize("implicit_tls", [False, True])
def test_clients_that_stay_are_sent_away(certificates: Certificates, implicit_tls: bool) -> None:
    threads, open_files = threading.active_count(), descriptors()
    with running(certificates, implicit_tls=implicit_tls) as rig:
        in_data, in_chunk, in_login, idle, silent = rig.user(), rig.user(), rig.raw(), rig.raw(), Raw(rig.server.port)
        in_data.begin()
        in_data.command("DATA")
        in_chunk.begin()
        in_chunk.send(b"BDAT 100\r\nhalf")
        in_login.command("EHLO client")
        in_login.command("AUTH XOAUTH2")
        half_way = Raw(rig.server.port)
        half_way.send(b"\x16\x03\x01")
    for raw in (in_data, in_chunk, in_login, idle, silent, half_way):
        with raw, contextlib.suppress(OSError):
            while raw.reply():
                pass
    assert (threading.active_count(), descriptors()) == (threads, open_files)


def test_it_listens_on_loopback_and_no_longer_when_closed(plain: Rig) -> None:
    plain.server.close()
    with pytest.raises(ConnectionRefusedError):
        Raw(plain.server.port)


def test_fifty_clients_log_in_at_once(rig: Rig) -> None:
    token = rig.state.issue(USER)
    barrier = threading.Barrier(50)

    def client(_: int) -> str:
        barrier.wait(30)
        with rig.raw() as raw:
            raw.log_in(token)
            raw.begin()
            raw.command("DATA")
            return raw.command("Subject: hello\r\n\r\n.")

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert set(pool.map(client, range(50))) == {"250 2.0.0 OK"}
    assert len(rig.inbox()) == 50


def test_two_hundred_logins_in_a_row_leave_nothing(rig: Rig) -> None:
    token = rig.state.issue(USER)
    rig.user().sock.close()
    threads = threading.active_count()
    for _ in range(200):
        with rig.raw() as raw:
            raw.log_in(token)
            assert raw.command("QUIT")[:3] == "221"
    assert threading.active_count() == threads


BEGINNINGS = """EHLO|HELO|HELP|VRFY|NOOP|RSET|BDAT|DATA|STARTTLS|AUTH|AUTH XOAUTH2|MAIL|MAIL FROM:|MAIL FROM:<|
MAIL FROM:<a@b.test>|RCPT|RCPT TO:|RCPT TO:<|RCPT TO:<a@b.test>""".replace("\n", "").encode()
LINES = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=40).map(str.encode),
    st.tuples(st.sampled_from(BEGINNINGS.split(b"|")), st.sampled_from([b"", b" "]), st.binary(max_size=40)).map(
        b"".join
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=8))
def test_no_junk_kills_the_server(plain: Rig, lines: list[bytes]) -> None:
    with plain.user() as raw, contextlib.suppress(ConnectionError, ssl.SSLError):
        raw.send(b"".join(line + b"\r\n" for line in lines))
        # Ends what junk may have begun: a message, a login, a chunk.
        raw.send(b"\r\n.\r\n*\r\n" + b"QUIT\r\n" * 4)
    with plain.raw(tls=False) as raw:
        assert raw.command("NOOP") == "250 2.0.0 OK"
    plain.state.lines.clear()
