"""The sandbox's IMAP server: logins, the session and its end, judged by imaplib, imapclient and imap_tools."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_tools import MailBox
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from oauthmail.sandbox.mailbox import MAX_MESSAGE
from oauthmail.sandbox.personality import GMAIL, MICROSOFT, YAHOO, Personality
from oauthmail.sandbox.state import fingerprint

from ..scripted import TIMEOUT, Certificates
from .mail_rig import HOST, MECHANISM_CASES, TLS_CASES, USER, Rig, mail_rig, rfc7628, xoauth2
from .mail_samples import SAMPLES


@pytest.fixture
def rig(certificates: Certificates) -> Iterator[Rig]:
    with mail_rig(certificates) as running:
        yield running


def one_step(client: Any, mechanism: str, payload: bytes, acknowledgement: bytes = b"") -> str:
    """Log in with an initial response, which imaplib's authenticate() does not send."""
    client.literal = imaplib._Authenticator(lambda challenge: acknowledgement).process
    encoded = base64.b64encode(payload).decode()
    status, _ = client._simple_command("AUTHENTICATE", mechanism, encoded)
    if status == "OK":
        client.state = "AUTH"
    return str(status)


class Raw:
    """A client that says what a test wrote down."""

    def __init__(self, rig: Rig, *, tls: bool = True) -> None:
        self.sock = socket.create_connection((HOST, rig.ports["imap", tls]), timeout=TIMEOUT)
        if tls:
            self.sock = rig.context.wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        self.greeting = self.file.readline()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.file.close()
        self.sock.close()

    def log_in(self, rig: Rig) -> None:
        encoded = base64.b64encode(xoauth2(rig.state.issue(USER)))
        assert self.ask(b"l AUTHENTICATE XOAUTH2 " + encoded)[-1].startswith(b"l OK")

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def until(self, start: bytes) -> list[bytes]:
        """Return lines up to the one that starts so, or the end of the connection."""
        lines = [self.file.readline()]
        while lines[-1] and not lines[-1].startswith(start):
            lines.append(self.file.readline())
        return [line.rstrip(b"\r\n") for line in lines]

    def ask(self, line: bytes) -> list[bytes]:
        """Send a command and return the lines of its answer."""
        self.send(line + b"\r\n")
        return self.until(line.split(b" ")[0] + b" ")


# --- logging in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", TLS_CASES)
@pytest.mark.parametrize("one_line", [pytest.param(True, id="sasl-ir"), pytest.param(False, id="two steps")])
@pytest.mark.parametrize("mechanism", MECHANISM_CASES)
def test_every_mechanism_opens_the_mailbox(rig: Rig, mechanism: str, one_line: bool, implicit: bool) -> None:
    rig.mailboxes.deliver(USER, b"x")
    client = rig.imap(implicit=implicit)
    payload = rig.payload(mechanism, "imap")
    if one_line:
        status = one_step(client, mechanism, payload)
    else:
        status, _ = client.authenticate(mechanism, lambda challenge: payload)
    assert (status, client.select()) == ("OK", ("OK", [b"1"]))
    client.logout()


def test_imapclient_logs_in(rig: Rig) -> None:
    with IMAPClient(HOST, rig.ports["imap", True], ssl_context=rig.context, timeout=TIMEOUT) as client:
        client.oauth2_login(USER, rig.state.issue(USER))
        assert client.select_folder("INBOX")[b"EXISTS"] == 0
    with IMAPClient(HOST, rig.ports["imap", False], ssl=False, timeout=TIMEOUT) as client:
        client.starttls(rig.context)
        client.oauthbearer_login(USER, rig.state.issue(USER))
        assert client.namespace().personal == (("", "/"),)


def test_imapclient_is_refused_and_may_try_again(rig: Rig) -> None:
    with IMAPClient(HOST, rig.ports["imap", True], ssl_context=rig.context, timeout=TIMEOUT) as client:
        with pytest.raises(LoginError, match="AUTHENTICATIONFAILED"):
            client.oauthbearer_login(USER, "nonsense")
        client.oauthbearer_login(USER, rig.state.issue(USER))
        assert client.noop()[0] == b"Noop completed"


def test_imap_tools_logs_in_and_reads(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, SAMPLES["attachments"])
    box = MailBox(HOST, rig.ports["imap", True], ssl_context=rig.context, timeout=TIMEOUT)
    with box.xoauth2(USER, rig.state.issue(USER)) as mailbox:
        messages = list(mailbox.fetch())
    assert [(message.text, [file.filename for file in message.attachments]) for message in messages] == [
        ("Grüße aus dem Text\r\n", ["bild.png", "täbelle.csv"])
    ]


@pytest.mark.parametrize("one_line", [pytest.param(True, id="sasl-ir"), pytest.param(False, id="two steps")])
@pytest.mark.parametrize(
    ("mechanism", "acknowledgement"),
    [("XOAUTH2", b""), ("OAUTHBEARER", b"\x01"), ("XOAUTH", b""), ("OAUTH10A", b"\x01")],
)
def test_after_a_refusal_another_login_works(rig: Rig, mechanism: str, acknowledgement: bytes, one_line: bool) -> None:
    client = rig.imap()
    good = rig.payload(mechanism, "imap")
    bad = good.replace(b"Bearer ", b"Bearer x").replace(b'oauth_signature="', b'oauth_signature="x')
    answers = iter([bad, acknowledgement])
    with pytest.raises(imaplib.IMAP4.error, match=r"\[AUTHENTICATIONFAILED\]"):
        client.authenticate(mechanism, lambda challenge: next(answers))
    assert one_step(client, mechanism, bad, acknowledgement) == "NO"
    assert one_step(client, mechanism, rig.payload(mechanism, "imap")) == "OK"
    client.logout()


@pytest.mark.parametrize(
    ("mechanism", "challenge"),
    [
        ("XOAUTH2", b'{"status": "401", "schemes": "bearer", "scope": "mail"}'),
        ("OAUTHBEARER", b'"openid-configuration": "http://127.0.0.1/.well-known/openid-configuration"'),
    ],
)
def test_the_challenge_before_a_refusal_says_why(rig: Rig, mechanism: str, challenge: bytes) -> None:
    payload = xoauth2("bad") if mechanism == "XOAUTH2" else rfc7628("Bearer bad")
    seen: list[bytes] = []

    def answer(received: bytes) -> bytes:
        seen.append(received)
        return payload if len(seen) == 1 else b""

    client = rig.imap()
    with pytest.raises(imaplib.IMAP4.error):
        client.authenticate(mechanism, answer)
    client.logout()
    assert challenge in seen[1]


@pytest.mark.parametrize("step", [1, 2])
def test_an_exchange_can_be_cancelled(rig: Rig, step: int) -> None:
    client = rig.imap()
    answers = iter([xoauth2("bad"), None] if step == 2 else [None])
    with pytest.raises(imaplib.IMAP4.error, match="BAD"):
        client.authenticate("OAUTHBEARER" if step == 1 else "XOAUTH2", lambda challenge: next(answers))
    assert one_step(client, "XOAUTH2", rig.payload("XOAUTH2", "imap")) == "OK"
    client.logout()


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        pytest.param(b"a AUTHENTICATE PLAIN", b"a NO [CANNOT]", id="unknown mechanism"),
        pytest.param(b"a AUTHENTICATE", b"a BAD Expected", id="no mechanism"),
        pytest.param(b"a AUTHENTICATE XOAUTH2 ???", b"a BAD That is not base64", id="not base64"),
        pytest.param(b"a AUTHENTICATE XOAUTH2 =", b"a NO [AUTHENTICATIONFAILED]", id="nothing"),
        pytest.param(b"a LOGIN alice secret", b"a NO [AUTHENTICATIONFAILED]", id="password"),
        pytest.param(b"a LOGIN {5+}\r\nalice {6+}\r\nsecret", b"a NO [AUTHENTICATIONFAILED]", id="literal password"),
        pytest.param(b"a LOGIN {5+}\r\nalice {9999+}", b"* BYE", id="large literal"),
        pytest.param(b"a LOGIN {9999}", b"a NO [TOOBIG]", id="large literal that waits"),
        pytest.param(b"a SELECT INBOX", b"a BAD Log in first", id="too early"),
        pytest.param(b"a STARTTLS", b"a BAD TLS is on", id="starttls twice"),
        pytest.param(b"a NONSENSE", b"a BAD Unknown command", id="unknown command"),
        pytest.param(b"a", b"* BAD Expected a tag", id="tag only"),
        pytest.param(b"", b"* BAD Expected a tag", id="empty"),
        pytest.param(b"\xff\x00 NOOP", b"* BAD Expected a tag", id="no tag"),
    ],
)
def test_what_does_not_log_in_is_refused(rig: Rig, line: bytes, reply: bytes) -> None:
    with Raw(rig) as client:
        client.send(line + b"\r\n")
        assert client.file.readline().startswith(reply)


def test_nothing_is_offered_or_taken_in_the_clear(rig: Rig) -> None:
    with Raw(rig, tls=False) as client:
        assert client.ask(b"a CAPABILITY")[0].endswith(b" STARTTLS LOGINDISABLED")
        assert b"AUTH=" not in client.greeting
        assert client.ask(b"b AUTHENTICATE XOAUTH2 eA==") == [
            b"b NO [PRIVACYREQUIRED] Logins need TLS: say STARTTLS first"
        ]
        assert client.ask(b"c LOGIN a b")[0].startswith(b"c NO [PRIVACYREQUIRED]")


def test_what_is_pipelined_behind_starttls_is_thrown_away(rig: Rig) -> None:
    with Raw(rig, tls=False) as client:
        client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
        assert client.until(b"a ") == [b"a OK Begin TLS negotiation now"]
        with rig.context.wrap_socket(client.sock, server_hostname="localhost") as tls:
            tls.sendall(b"c NOOP\r\n")
            assert tls.recv(1000) == b"c OK Noop completed\r\n"


def test_capabilities_come_with_the_greeting_and_the_login(rig: Rig) -> None:
    with Raw(rig) as client:
        assert b"[CAPABILITY IMAP4rev1 SASL-IR LITERAL+ " in client.greeting
        encoded = base64.b64encode(xoauth2(rig.state.issue(USER)))
        reply = client.ask(b"a AUTHENTICATE XOAUTH2 " + encoded)[-1]
    assert b"a OK [CAPABILITY IMAP4rev1 " in reply
    assert b"AUTH=" not in reply


@pytest.mark.parametrize(
    ("personality", "refusal"),
    [
        pytest.param(GMAIL, r"NO \[AUTHENTICATIONFAILED\] Invalid credentials \(Failure\)", id="gmail"),
        pytest.param(MICROSOFT, "NO AUTHENTICATE failed.", id="microsoft"),
        pytest.param(YAHOO, r"NO \[AUTHENTICATIONFAILED\] AUTHENTICATE Invalid", id="yahoo"),
    ],
)
def test_a_refusal_sounds_like_the_provider(certificates: Certificates, personality: Personality, refusal: str) -> None:
    with mail_rig(certificates, personality) as rig:
        client = rig.imap()
        answers = iter([xoauth2("bad"), b""])
        with pytest.raises(imaplib.IMAP4.error, match=refusal.removeprefix("NO ")):
            client.authenticate("XOAUTH2", lambda challenge: next(answers))
        with pytest.raises(imaplib.IMAP4.error, match=refusal.removeprefix("NO ")):
            client.login(USER, "password")
        client.logout()


def test_the_record_shows_no_secrets(rig: Rig) -> None:
    token = rig.state.issue(USER)
    encoded = base64.b64encode(xoauth2(token))
    with Raw(rig) as client:
        client.ask(b"a LOGIN alice " + token.encode())
        client.ask(b'b LOGIN "al ice" {3+}\r\npwd')
        client.ask(b"c AUTHENTICATE PLAIN " + encoded)
        client.ask(b"d " + encoded)
        client.ask(b"e AUTHENTICATE XOAUTH2 " + encoded)
        client.ask(b"f ID NIL")
    assert list(rig.state.received("imap")) == [
        "a LOGIN alice [redacted]",
        'b LOGIN "al ice" [redacted]',
        f"c AUTHENTICATE PLAIN <fingerprint {fingerprint(token)}>",
        f"d <fingerprint {fingerprint(token)}>",
        f"e AUTHENTICATE XOAUTH2 <fingerprint {fingerprint(token)}>",
        "f ID NIL",
    ]


# --- faults -------------------------------------------------------------------------------------------------------


def test_an_outage_is_said_without_a_challenge(rig: Rig) -> None:
    rig.state.fault("temporary", service="imap")
    client = rig.imap()
    with pytest.raises(imaplib.IMAP4.error, match=r"\[UNAVAILABLE\]"):
        client.authenticate("XOAUTH2", lambda challenge: rig.payload("XOAUTH2", "imap"))
    client.logout()


def test_authenticated_but_not_connected(rig: Rig) -> None:
    rig.state.fault("not_connected", service="imap")
    with Raw(rig) as client:
        client.log_in(rig)
        assert client.ask(b"a SELECT INBOX") == [b"a BAD User is authenticated but not connected."]
        assert client.until(b"nothing") == [b"* BYE Connection closed. 14", b""]


def test_a_dropped_line_is_an_abort(rig: Rig) -> None:
    client = rig.imap()
    rig.state.fault("drop", service="imap")
    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()
    client.shutdown()


def test_slow_answers_take_their_time_but_do_not_hold_up_the_end(certificates: Certificates) -> None:
    with mail_rig(certificates) as rig, Raw(rig) as client:
        rig.state.fault("slow", service="imap", number=0.2)
        start = time.monotonic()
        client.ask(b"a NOOP")
        assert time.monotonic() - start >= 0.2
        rig.state.fault("slow", service="imap", number=600)
        client.send(b"b NOOP\r\n")
    assert time.monotonic() - start < TIMEOUT


def test_the_length_of_lines_can_be_cut(rig: Rig) -> None:
    rig.state.fault("line_length", service="imap", number=100)
    with Raw(rig) as client:
        assert client.ask(b"a NOOP") == [b"a OK Noop completed"]
        assert client.ask(b"b AUTHENTICATE XOAUTH2 " + b"x" * 100) == [b""]
    with Raw(rig) as client:
        assert client.ask(b"b AUTHENTICATE XOAUTH2 " + b"x" * 100)[-1].startswith(b"b NO")


@pytest.mark.parametrize(
    ("personality", "reply"),
    [
        pytest.param(GMAIL, [b"* BAD Command line too long", b""], id="gmail"),
        pytest.param(MICROSOFT, [b"* BYE Connection is closed. 13", b""], id="microsoft"),
    ],
)
def test_a_line_that_is_too_long_is_answered_as_the_provider_does(
    certificates: Certificates, personality: Personality, reply: list[bytes]
) -> None:
    with mail_rig(certificates, personality) as rig, Raw(rig) as client:
        assert client.ask(b"a NOOP " + b"x" * 300_000) == reply


# --- the session --------------------------------------------------------------------------------------------------


def test_commands_may_come_all_at_once(rig: Rig) -> None:
    with Raw(rig) as client:
        client.log_in(rig)
        client.send(b"a SELECT INBOX\r\nb NOOP\r\nc APPEND INBOX {3+}\r\nabc\r\nd FETCH 1 (UID)\r\ne LOGOUT\r\n")
        lines = client.until(b"nothing")
    assert [line.split(b" ")[:2] for line in lines if line[:2] in (b"a ", b"b ", b"c ", b"d ", b"e ")] == [
        [tag, b"OK"] for tag in (b"a", b"b", b"c", b"d", b"e")
    ]


def test_a_literal_waits_for_the_server(rig: Rig) -> None:
    with Raw(rig) as client:
        client.log_in(rig)
        client.send(b"a STATUS {5}\r\n")
        assert client.file.readline().startswith(b"+ ")
        client.send(b"INBOX (MESSAGES)\r\n")
        assert client.until(b"a ")[0] == b'* STATUS "INBOX" (MESSAGES 0)'


def test_a_message_that_is_too_large_is_refused_before_it_is_sent(rig: Rig) -> None:
    with Raw(rig) as client:
        client.log_in(rig)
        assert client.ask(b"a APPEND INBOX {%d}" % (2 * MAX_MESSAGE))[0].startswith(b"a NO [TOOBIG]")
        assert client.ask(b"b NOOP") == [b"b OK Noop completed"]


@pytest.mark.parametrize("tool", ["raw", "imapclient"])
def test_idle_wakes_up_for_a_delivery(rig: Rig, tool: str) -> None:
    if tool == "raw":
        with Raw(rig) as client:
            client.log_in(rig)
            client.ask(b"a SELECT INBOX")
            client.send(b"b IDLE\r\n")
            assert client.until(b"+ ") == [b"+ Waiting"]
            rig.mailboxes.deliver(USER, b"x")
            assert client.until(b"* 1 R") == [b"* 1 EXISTS", b"* 1 RECENT"]
            client.send(b"DONE\r\n")
            assert client.until(b"b ") == [b"b OK Idle completed"]
        return
    with IMAPClient(HOST, rig.ports["imap", True], ssl_context=rig.context, timeout=TIMEOUT) as known:
        known.oauth2_login(USER, rig.state.issue(USER))
        known.select_folder("INBOX")
        known.idle()
        rig.mailboxes.deliver(USER, b"x")
        assert known.idle_check(timeout=TIMEOUT)[0] == (1, b"EXISTS")
        assert known.idle_done()[0] == b"Idle completed"


def test_idle_ends_with_done_and_nothing_else(rig: Rig) -> None:
    with Raw(rig) as client:
        client.log_in(rig)
        client.send(b"a IDLE\r\nNONSENSE\r\n")
        assert client.until(b"a ") == [b"+ Waiting", b"a BAD Expected DONE"]


def test_other_sessions_are_told_of_changes(rig: Rig) -> None:
    for _ in range(3):
        rig.mailboxes.deliver(USER, b"x")
    with Raw(rig) as one, Raw(rig) as other:
        for client in (one, other):
            client.log_in(rig)
            client.ask(b"a SELECT INBOX")
        one.ask(b"b STORE 1,2 +FLAGS.SILENT (\\Deleted)")
        assert other.ask(b"c NOOP")[:2] == [
            b"* 1 FETCH (UID 1 FLAGS (\\Deleted))",
            b"* 2 FETCH (UID 2 FLAGS (\\Deleted))",
        ]
        assert one.ask(b"d EXPUNGE")[:2] == [b"* 1 EXPUNGE", b"* 1 EXPUNGE"]
        rig.mailboxes.deliver(USER, b"y")
        # After SEARCH the numbers must stand, and the message that came has the next one.
        assert other.ask(b"e SEARCH ALL") == [b"* SEARCH 3", b"* 4 EXISTS", b"* 1 RECENT", b"e OK Search completed"]
        assert other.ask(b"f FETCH 1 (UID)") == [b"f NO [EXPUNGEISSUED] Some of the messages are gone"]
        assert other.ask(b"g NOOP")[:2] == [b"* 1 EXPUNGE", b"* 1 EXPUNGE"]


def test_only_the_first_session_calls_a_message_recent(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, b"x")
    with Raw(rig) as one, Raw(rig) as other, Raw(rig) as last:
        for client in (one, other, last):
            client.log_in(rig)
        assert b"* 1 RECENT" in one.ask(b"a EXAMINE INBOX")
        assert b"* 1 RECENT" in other.ask(b"a SELECT INBOX")
        assert b"* 0 RECENT" in last.ask(b"a SELECT INBOX")


# --- many, and the end --------------------------------------------------------------------------------------------


def test_fifty_clients_at_once(rig: Rig) -> None:
    rig.mailboxes.deliver(USER, SAMPLES["attachments"])

    def read(number: int) -> Any:
        client: Any = rig.logged_in()
        client.append("INBOX", None, None, b"x%d" % number)
        octets = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
        client.logout()
        return octets

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(read, range(50))) == {SAMPLES["attachments"]}
    assert len(rig.mailboxes.messages(USER)) == 51


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112


def test_two_hundred_logins_leave_no_thread_and_no_socket(certificates: Certificates) -> None:
    threads, files, most = threading.active_count(), _open_files(), 0
    with mail_rig(certificates) as rig:
        for _ in range(200):
            rig.logged_in(select=False).logout()
            most = max(most, threading.active_count())
    assert (threading.active_count(), _open_files()) == (threads, files)
    assert most < threads + 20


def test_closing_ends_connections_in_every_state(certificates: Certificates) -> None:
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        with mail_rig(certificates) as rig:
            # One that never begins its handshake, one at the prompt, one inside of IDLE, one inside of a literal.
            silent = socket.create_connection((HOST, rig.ports["imap", True]))
            stack.callback(silent.close)
            clients = [stack.enter_context(Raw(rig)) for _ in range(3)]
            clients[1].log_in(rig)
            clients[1].send(b"a IDLE\r\n")
            clients[1].until(b"+")
            clients[2].send(b"a LOGIN {3}\r\n")
            clients[2].until(b"+")
        assert threading.active_count() == threads


# --- junk ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_lived(certificates: Certificates) -> Iterator[Rig]:
    with mail_rig(certificates) as running:
        running.mailboxes.deliver(USER, SAMPLES["forwarded"])
        yield running


VOCABULARY = r"""
FETCH STORE SEARCH COPY MOVE UID SELECT EXAMINE STATUS LIST LSUB CREATE DELETE RENAME APPEND EXPUNGE CLOSE ID ENABLE
NAMESPACE CHECK NOOP SUBSCRIBE ALL FULL FAST FLAGS BODY[ BODY.PEEK[ ] HEADER.FIELDS HEADER TEXT MIME 1 1.2 1:* * 2,3:4 0
4294967296 <0.1> <1.0> ( ) NOT OR SINCE 1-Feb-2026 31-Feb-2026 UNSEEN FROM CHARSET UTF-8 KEYWORD LARGER INBOX Sent ""
NIL "a\"b" "open \Seen \Recent +FLAGS -FLAGS.SILENT ENVELOPE BODYSTRUCTURE % *a*b RFC822 MESSAGES
"""
WORDS = [*VOCABULARY.split(), "{3+}\r\nabc", "{0+}\r\n", '"01-Jan-2026 00:00:00 +9999"', " "]


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).flatmap(
            lambda words: st.sampled_from([" ".join(words), "".join(words), words[0] + " " + "".join(words[1:])])
        ),
        max_size=12,
    )
)
def test_no_command_ends_the_server(long_lived: Rig, lines: list[str]) -> None:
    with Raw(long_lived) as client:
        client.log_in(long_lived)
        client.send(b"s SELECT INBOX\r\n" + b"".join(b"t " + line.encode() + b"\r\n" for line in lines))
        # The first ends a literal that a line may have opened with its last word.
        client.send(b"\r\nz NOOP\r\n")
        assert client.until(b"z ")[-1] == b"z OK Noop completed"


@settings(max_examples=60, deadline=None)
@given(junk=st.lists(st.binary(max_size=80), max_size=10))
def test_no_octets_end_the_server(long_lived: Rig, junk: list[bytes]) -> None:
    with Raw(long_lived) as client, contextlib.suppress(OSError):
        client.send(b"\r\n".join(junk) + b"\r\n")
        client.sock.shutdown(socket.SHUT_WR)
    with Raw(long_lived) as client:
        assert client.ask(b"z NOOP") == [b"z OK Noop completed"]
