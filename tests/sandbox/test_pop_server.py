"""The sandbox's POP3 server, judged by poplib."""

from __future__ import annotations

import base64
import contextlib
import poplib
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauthmail.sandbox.personality import GMAIL, MICROSOFT
from oauthmail.sandbox.state import fingerprint

from ..scripted import TIMEOUT, Certificates
from .mail_rig import HOST, MECHANISM_CASES, TLS_CASES, USER, Rig, mail_rig, xoauth2
from .mail_samples import SAMPLES


@pytest.fixture
def rig(certificates: Certificates) -> Iterator[Rig]:
    with mail_rig(certificates) as running:
        yield running


def command(client: poplib.POP3, line: str) -> bytes:
    """Send a line and return the answer; poplib has no AUTH."""
    return client._shortcmd(line)  # type: ignore[attr-defined, no-any-return]


def log_in(client: poplib.POP3, mechanism: str, payload: bytes, *, one_line: bool = False) -> bytes:
    encoded = base64.b64encode(payload).decode()
    if one_line:
        return command(client, f"AUTH {mechanism} {encoded}")
    assert command(client, f"AUTH {mechanism}") == b"+ "
    return command(client, encoded)


def logged_in(rig: Rig) -> poplib.POP3:
    client = rig.pop()
    log_in(client, "XOAUTH2", xoauth2(rig.state.issue(USER)))
    return client


# --- logging in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", TLS_CASES)
@pytest.mark.parametrize("one_line", [pytest.param(True, id="one line"), pytest.param(False, id="two steps")])
@pytest.mark.parametrize("mechanism", MECHANISM_CASES)
def test_every_mechanism_opens_the_mailbox(rig: Rig, mechanism: str, one_line: bool, implicit: bool) -> None:
    rig.mailboxes.deliver(USER, b"12345")
    client = rig.pop(implicit=implicit)
    reply = log_in(client, mechanism, rig.payload(mechanism, "pop"), one_line=one_line)
    assert (reply, client.stat()) == (b"+OK Logged in.", (1, 5))
    client.quit()


@pytest.mark.parametrize(
    ("mechanism", "acknowledgement"), [("XOAUTH2", ""), ("OAUTHBEARER", "AQ=="), ("XOAUTH", ""), ("OAUTH10A", "AQ==")]
)
def test_after_a_refusal_another_login_works(rig: Rig, mechanism: str, acknowledgement: str) -> None:
    client = rig.pop()
    good = rig.payload(mechanism, "pop")
    bad = good.replace(b"Bearer ", b"Bearer x").replace(b'oauth_signature="', b'oauth_signature="x')
    challenge = log_in(client, mechanism, bad)
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        command(client, acknowledgement)
    assert b'"status"' in base64.b64decode(challenge.removeprefix(b"+ "))
    assert log_in(client, mechanism, rig.payload(mechanism, "pop")).startswith(b"+OK")
    client.quit()


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        pytest.param("AUTH PLAIN", r"\[AUTH\] That mechanism", id="unknown mechanism"),
        pytest.param("AUTH XOAUTH2 ???", "not base64", id="not base64"),
        pytest.param("AUTH XOAUTH2 =", r"\[AUTH\] Auth", id="nothing"),
        pytest.param("USER alice", r"\[AUTH\] Auth", id="user"),
        pytest.param("PASS secret", r"\[AUTH\] Auth", id="password"),
        pytest.param("STAT", "Unknown command", id="too early"),
        pytest.param("STLS", "TLS is on", id="stls twice"),
        pytest.param("", "Unknown command", id="nothing at all"),
    ],
)
def test_what_does_not_log_in_is_refused(rig: Rig, line: str, reply: str) -> None:
    client = rig.pop()
    with pytest.raises(poplib.error_proto, match=reply):
        command(client, line)
    client.quit()


def test_an_exchange_can_be_cancelled(rig: Rig) -> None:
    client = rig.pop()
    command(client, "AUTH XOAUTH2")
    with pytest.raises(poplib.error_proto, match="cancelled"):
        command(client, "*")
    client.quit()


def test_nothing_is_offered_or_taken_in_the_clear(rig: Rig) -> None:
    client = poplib.POP3(HOST, rig.ports["pop", False], timeout=TIMEOUT)
    assert "SASL" not in client.capa()
    with pytest.raises(poplib.error_proto, match="STLS first"):
        command(client, "AUTH XOAUTH2")
    client.quit()


def test_what_is_pipelined_behind_stls_is_thrown_away(rig: Rig) -> None:
    with socket.create_connection((HOST, rig.ports["pop", False]), timeout=TIMEOUT) as sock:
        sock.recv(1000)
        sock.sendall(b"STLS\r\nCAPA\r\n")
        assert sock.recv(1000).startswith(b"+OK")
        with rig.context.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"QUIT\r\n")
            assert tls.recv(1000) == b"+OK Bye\r\n"


def test_the_outage_of_the_authorization_server_has_its_own_code(rig: Rig) -> None:
    rig.state.fault("temporary", service="pop")
    client = rig.pop()
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
        log_in(client, "XOAUTH2", xoauth2(rig.state.issue(USER)))
    client.quit()


def test_the_record_shows_no_secrets(rig: Rig) -> None:
    client = rig.pop()
    token = rig.state.issue(USER)
    for line in (f"PASS {token}", token, "USER alice"):
        with pytest.raises(poplib.error_proto):
            command(client, line)
    log_in(client, "XOAUTH2", xoauth2(token), one_line=True)
    client.quit()
    shown = f"<fingerprint {fingerprint(token)}>"
    assert list(rig.state.received("pop")) == ["PASS [redacted]", shown, "USER alice", f"AUTH XOAUTH2 {shown}", "QUIT"]


# --- messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in SAMPLES if name != "no end"])
def test_a_message_is_read_octet_by_octet(rig: Rig, name: str) -> None:
    rig.mailboxes.deliver(USER, SAMPLES[name])
    client = logged_in(rig)
    _, lines, _ = client.retr(1)
    client.quit()
    assert b"".join(line + b"\r\n" for line in lines) == SAMPLES[name]


def test_top_returns_the_header_and_some_lines(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, b"Subject: x\r\n\r\none\r\n.two\r\nthree\r\n")
    client = logged_in(rig)
    assert [client.top(1, count)[1] for count in (0, 2, 9)] == [
        [b"Subject: x", b""],
        [b"Subject: x", b"", b"one", b".two"],
        [b"Subject: x", b"", b"one", b".two", b"three"],
    ]
    client.quit()


def test_list_and_uidl_number_the_messages(rig: Rig) -> None:
    for octets in (b"1", b"22", b"333"):
        rig.mailboxes.deliver(USER, octets)
    client = logged_in(rig)
    client.dele(2)
    validity = rig.mailboxes.folder(USER, "INBOX").uid_validity
    assert client.list()[1] == [b"1 1", b"3 3"]
    assert command(client, "LIST 3") == b"+OK 3 3"
    assert client.uidl()[1] == [f"1 {validity}.1".encode(), f"3 {validity}.3".encode()]
    assert client.uidl(1) == f"+OK 1 {validity}.1".encode()
    client.quit()


def test_messages_go_at_quit(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, b"1")
    rig.mailboxes.deliver(USER, b"2")
    client = logged_in(rig)
    client.dele(1)
    client.quit()
    assert [message.octets for message in rig.mailboxes.messages(USER)] == [b"2"]


@pytest.mark.parametrize("takes_back", [pytest.param(True, id="rset"), pytest.param(False, id="line breaks")])
def test_messages_stay_without_quit(rig: Rig, takes_back: bool) -> None:
    rig.mailboxes.deliver(USER, b"1")
    client = logged_in(rig)
    client.dele(1)
    if takes_back:
        client.rset()
        client.quit()
    client.close()
    assert len(rig.mailboxes.messages(USER)) == 1


@pytest.mark.parametrize(
    "line", ["RETR 2", "RETR 0", "RETR x", "TOP 1", "TOP 1 -1", "DELE", "LIST 9", "UIDL 99999999999"]
)
def test_messages_that_are_not_there_are_an_error(rig: Rig, line: str) -> None:
    rig.mailboxes.deliver(USER, b"1")
    client = logged_in(rig)
    with pytest.raises(poplib.error_proto):
        command(client, line)
    client.quit()


def test_commands_may_come_all_at_once(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, b"1\r\n")
    client = logged_in(rig)
    client.sock.sendall(b"NOOP\r\nSTAT\r\nRETR 1\r\nQUIT\r\n")
    with client.sock.makefile("rb") as file:
        assert file.read().split(b"\r\n") == [b"+OK", b"+OK 1 3", b"+OK 3 octets", b"1", b".", b"+OK Bye", b""]
    client.close()


# --- personalities and faults -------------------------------------------------------------------------------------


def test_microsoft_hangs_up_on_the_one_line_form(certificates: Certificates) -> None:
    with mail_rig(certificates, MICROSOFT) as rig:
        client = rig.pop()
        with pytest.raises(poplib.error_proto, match=r"Protocol error\. Connection is closed\. 10"):
            log_in(client, "XOAUTH2", b"x", one_line=True)
        with pytest.raises(poplib.error_proto, match="EOF"):
            client.noop()
        client.close()


def test_microsoft_refuses_without_a_challenge(certificates: Certificates) -> None:
    with mail_rig(certificates, MICROSOFT) as rig:
        client = rig.pop()
        with pytest.raises(poplib.error_proto, match="unknown user name or bad password"):
            log_in(client, "XOAUTH2", xoauth2("nonsense"))
        client.quit()


def test_a_line_that_is_too_long_is_answered_as_the_provider_does(certificates: Certificates) -> None:
    with mail_rig(certificates, GMAIL) as rig:
        client = rig.pop()
        with pytest.raises(poplib.error_proto, match="line too long"):
            command(client, "x" * 300_000)
        client.close()


def test_the_length_of_lines_can_be_cut(rig: Rig) -> None:
    rig.state.fault("line_length", service="pop", number=255)
    client = rig.pop()
    assert client.capa()["SASL"]
    with pytest.raises((poplib.error_proto, OSError)):
        log_in(client, "XOAUTH2", xoauth2("x" * 300), one_line=True)
    client.close()


def test_a_dropped_line_ends_in_nothing(rig: Rig) -> None:
    client = rig.pop()
    rig.state.fault("drop", service="pop")
    with pytest.raises(poplib.error_proto, match="EOF"):
        client.noop()
    client.close()


def test_slow_answers_take_their_time_but_do_not_hold_up_the_end(certificates: Certificates) -> None:
    with mail_rig(certificates) as rig, contextlib.closing(rig.pop()) as client:
        rig.state.fault("slow", service="pop", number=0.2)
        start = time.monotonic()
        client.capa()
        assert time.monotonic() - start >= 0.2
        rig.state.fault("slow", service="pop", number=600)
        client.sock.sendall(b"CAPA\r\n")
    assert time.monotonic() - start < TIMEOUT


@pytest.fixture(scope="module")
def long_lived(certificates: Certificates) -> Iterator[Rig]:
    with mail_rig(certificates) as running:
        running.mailboxes.deliver(USER, SAMPLES["attachments"])
        yield running


WORDS = st.sampled_from(
    ["CAPA", "TOP", "RETR", "LIST", "UIDL", "AUTH", "XOAUTH2", "*", "=", "1", "0", "-1", "STAT", "RSET"]
)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(st.one_of(st.binary(max_size=60), st.lists(WORDS, max_size=4).map(lambda w: " ".join(w).encode())))
)
def test_no_line_ends_the_server(long_lived: Rig, lines: list[bytes]) -> None:
    client = logged_in(long_lived)
    client.sock.sendall(b"".join(line + b"\r\n" for line in lines) + b"\r\nQUIT\r\nQUIT\r\n")
    with client.sock.makefile("rb") as file:
        answers = file.read()
    client.close()
    assert answers.endswith((b"+OK Bye\r\n", b"-ERR [AUTH] Authentication failed.\r\n"))
