"""Servers that hang up, ramble or talk nonsense: every call ends in an exception of the standard library.

The table `PROTOCOLS` holds what the three protocols call the same things; the other hostile modules use it too.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import imaplib
import poplib
import smtplib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oauthmail import IMAP4, IMAP4_SSL, POP3, POP3_SSL, SMTP, SMTP_SSL, AuthenticationError

from .scripted import Line, Script, scripted

USER = "me@example.com"
TOKEN = "ya29.short-token_1"
# Too long for the command line of SMTP and POP3, so that it waits for the server's challenge.
LONG_TOKEN = "ya29." + "long-token_" * 60
TIMEOUT = 5.0
# Where client and server may end up waiting for each other.
SHORT = 0.2
MECHANISMS = ("XOAUTH2", "OAUTHBEARER", "XOAUTH", "OAUTH10A")
# Stands in a reply for the tag of the command that is answered.
TAG = b"<tag>"


@dataclass(frozen=True)
class Protocol:
    """What one protocol calls the things that all three have.

    Attributes:
        plain: the client class without TLS.
        secure: the client class with TLS from the start.
        upgrade: the method that starts TLS.
        context: what the classes call their TLS context.
        failures: what the standard library's class raises for everything a server or a network does.
        greeting: what the server says first.
        go: the challenge that asks for the initial response.
        challenge: what stands before a challenge's base64.
        accepted: the reply to a good login.
        refused: what stands before a refusal's text.
        upgrading: the reply that begins TLS.
        not_upgrading: the reply that refuses to.
    """

    name: str
    plain: type[Any]
    secure: type[Any]
    upgrade: str
    context: str
    failures: tuple[type[Exception], ...]
    greeting: bytes
    go: bytes
    challenge: bytes
    accepted: bytes
    refused: bytes
    upgrading: bytes
    not_upgrading: bytes

    def offer(self, mechanisms: Sequence[str] = MECHANISMS, *, tls: bool = True, at_once: bool = False) -> bytes:
        """Return the answer to EHLO, CAPABILITY or CAPA."""
        names = " ".join(mechanisms)
        if self.name == "smtp":
            return f"250-mail.example\r\n{'250-STARTTLS' if tls else '250-HELP'}\r\n250 AUTH {names}\r\n".encode()
        if self.name == "pop":
            return f"+OK\r\nSASL {names}\r\n{'STLS' if tls else 'TOP'}\r\n.\r\n".encode()
        words = ["* CAPABILITY IMAP4rev1", *(f"AUTH={name}" for name in mechanisms)]
        words += ["STARTTLS"] * tls + ["SASL-IR"] * at_once
        return " ".join(words).encode() + b"\r\n" + TAG + b" OK done\r\n"

    def login(self, *, at_once: bool) -> tuple[bytes, ...]:
        """Return the replies of a login that is refused as OAuth servers do, greeting and all."""
        first = (self.greeting, self.offer(at_once=at_once))
        reason = self.challenge + base64.b64encode(b'{"status":"400"}') + b"\r\n"
        return (*first, *(() if at_once else (self.go,)), reason, self.refused + b"no\r\n")

    def connect(self, port: int, timeout: float | None = TIMEOUT) -> Any:
        """Return a client without TLS."""
        return self.plain("127.0.0.1", port, timeout=timeout, **self.arguments)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the constructor needs so as not to look up this machine's name."""
        return {"local_hostname": "client.example"} if self.name == "smtp" else {}

    def close(self, client: Any) -> None:
        """Close the client's socket, whatever state it is in."""
        with contextlib.suppress(OSError):
            client.shutdown() if self.name == "imap" else client.close()


PROTOCOLS = [
    Protocol(
        name="smtp",
        plain=SMTP,
        secure=SMTP_SSL,
        upgrade="starttls",
        context="context",
        failures=(smtplib.SMTPException, OSError),
        greeting=b"220 mail.example\r\n",
        go=b"334 \r\n",
        challenge=b"334 ",
        accepted=b"235 2.7.0 welcome\r\n",
        refused=b"535 5.7.8 ",
        upgrading=b"220 go ahead\r\n",
        not_upgrading=b"454 4.7.0 not now\r\n",
    ),
    Protocol(
        name="imap",
        plain=IMAP4,
        secure=IMAP4_SSL,
        upgrade="starttls",
        context="ssl_context",
        failures=(imaplib.IMAP4.error, OSError),
        greeting=b"* OK mail.example\r\n",
        go=b"+ \r\n",
        challenge=b"+ ",
        accepted=TAG + b" OK welcome\r\n",
        refused=TAG + b" NO ",
        upgrading=TAG + b" OK go ahead\r\n",
        not_upgrading=TAG + b" NO not now\r\n",
    ),
    Protocol(
        name="pop",
        plain=POP3,
        secure=POP3_SSL,
        upgrade="stls",
        context="context",
        failures=(poplib.error_proto, OSError),
        greeting=b"+OK mail.example\r\n",
        go=b"+ \r\n",
        challenge=b"+ ",
        accepted=b"+OK welcome\r\n",
        refused=b"-ERR ",
        upgrading=b"+OK go ahead\r\n",
        not_upgrading=b"-ERR not now\r\n",
    ),
]
each_protocol = pytest.mark.parametrize("protocol", [pytest.param(found, id=found.name) for found in PROTOCOLS])
SMTP_, IMAP_, POP_ = PROTOCOLS


def play(line: Line, replies: Sequence[bytes]) -> None:
    """Send the first reply, then one for each line received."""
    tag = b"?"
    for number, reply in enumerate(replies):
        if number:
            words = line.receive().split()
            tag = words[0] if len(words) > 1 else tag
        line.send(reply.replace(TAG, tag))


def playing(*replies: bytes) -> Script:
    """Return a script that sends *replies* and hangs up."""
    return lambda line: play(line, replies)


def hangs_up(line: Line) -> bool:
    """Tell whether the client closes the connection without another octet."""
    try:
        return line.sock.recv(1) == b""
    except ConnectionError:
        return True


@contextlib.contextmanager
def connection(protocol: Protocol, port: int, timeout: float | None = TIMEOUT) -> Iterator[Any]:
    """Give a client without TLS and close it; whatever happened, it must not hang afterwards."""
    client = protocol.connect(port, timeout)
    try:
        yield client
    finally:
        try:
            still_answers_or_fails(protocol, client)
        finally:
            protocol.close(client)


def still_answers_or_fails(protocol: Protocol, client: Any) -> None:
    """Use the client once more: that may fail as the standard library does, and at once."""
    began = time.monotonic()
    with contextlib.suppress(*protocol.failures):
        client.noop()
    assert time.monotonic() - began < TIMEOUT / 2


def is_closed(client: Any) -> bool:
    """Tell whether the client has let go of its connection."""
    return client.sock is None or client.sock.fileno() == -1


@pytest.fixture(autouse=True, scope="module")
def quick_collections() -> Iterator[None]:
    """Keep what was there before out of the many collections that `leaks_nothing` makes."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def leaks_nothing() -> Iterator[None]:
    """Hold each test to its own threads and sockets; an unclosed socket's ResourceWarning fails the test it is of."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


# --- hanging up ---------------------------------------------------------------------------------------------------

HANG_UPS = [
    pytest.param(protocol, at_once, said, half, id=f"{protocol.name}-{'1' if at_once else '2'}-{said}{'h' * half}")
    for protocol in PROTOCOLS
    for at_once in (True, False)
    for said in range(len(protocol.login(at_once=at_once)))
    for half in (False, True)
]


@pytest.mark.parametrize(("protocol", "at_once", "said", "half"), HANG_UPS)
def test_a_server_that_hangs_up_ends_the_login_as_the_standard_library_does(
    protocol: Protocol, at_once: bool, said: int, half: bool
) -> None:
    replies = protocol.login(at_once=at_once)

    def hang_up(line: Line) -> None:
        # Having read the last command: octets left unread would turn the end of the line into a reset.
        play(line, [*replies[:said], replies[said][:2] if half else b""])

    with (
        scripted(hang_up) as server,
        pytest.raises(protocol.failures) as caught,
        connection(protocol, server.port) as client,
    ):
        client.authenticate_oauth(USER, TOKEN if at_once else LONG_TOKEN, allow_insecure=True)
    assert not isinstance(caught.value, AuthenticationError)


@each_protocol
@pytest.mark.parametrize("at_once", [True, False], ids=["one line", "two lines"])
@pytest.mark.parametrize("left", [1, 2, 3])
def test_a_login_that_was_cut_off_leaves_the_client_closed(protocol: Protocol, at_once: bool, left: int) -> None:
    replies = protocol.login(at_once=at_once)
    with (
        scripted(playing(*replies[:-left] if left < 3 else replies[:2], b"")) as server,
        connection(protocol, server.port) as client,
    ):
        with contextlib.suppress(*protocol.failures):
            client.authenticate_oauth(USER, TOKEN if at_once else LONG_TOKEN, allow_insecure=True)
        assert is_closed(client)


@each_protocol
def test_closing_a_client_whose_login_was_cut_off_does_not_hide_why(protocol: Protocol) -> None:
    with scripted(playing(*protocol.login(at_once=True)[:2], b"")) as server:
        client = protocol.connect(server.port)
        try:
            # IMAP4 has a close() that means something else.
            closing = client if protocol.name == "imap" else contextlib.closing(client)
            with pytest.raises(protocol.failures) as caught, closing:
                client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        finally:
            protocol.close(client)
    assert "descriptor" not in str(caught.value)


@each_protocol
def test_a_server_that_hangs_up_during_a_retry_leaves_the_refusal_standing(protocol: Protocol) -> None:
    tokens = iter([TOKEN, f"{TOKEN}-renewed"])
    with (
        scripted(playing(*protocol.login(at_once=True), b"")) as server,
        connection(protocol, server.port) as client,
        pytest.raises(AuthenticationError),
    ):
        client.authenticate_oauth(USER, lambda: next(tokens), allow_insecure=True)


# --- rambling -----------------------------------------------------------------------------------------------------


@each_protocol
@pytest.mark.parametrize("at_once", [True, False], ids=["one line", "two lines"])
@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"eyJzdGF0dXMiOiI0MDAifQ==", id="json"),
        pytest.param(b"not base64!", id="junk"),
    ],
)
def test_endless_challenges_are_left_after_a_few_lines(protocol: Protocol, at_once: bool, challenge: bytes) -> None:
    packets: list[bytes] = []

    def challenge_for_ever(line: Line) -> None:
        play(line, [protocol.greeting, protocol.offer(at_once=at_once)])
        while packet := line.sock.recv(1 << 16):
            packets.append(packet)
            line.send(protocol.challenge + challenge + b"\r\n")

    with scripted(challenge_for_ever) as server, connection(protocol, server.port) as client:
        with pytest.raises(protocol.failures):
            client.authenticate_oauth(USER, TOKEN if at_once else LONG_TOKEN, allow_insecure=True)
        assert is_closed(client)
    # The command, the payload on a line of its own, the answer to the first challenge, the cancellation.
    assert len(packets) <= (3 if at_once else 4)


LONG_LINE = b"x" * ((1 << 20) + 1)


@each_protocol
@pytest.mark.parametrize("place", range(5), ids=["greeting", "offer", "go", "challenge", "refusal"])
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "cut off"])
def test_a_line_of_a_megabyte_is_no_login(protocol: Protocol, place: int, ended: bool) -> None:
    replies = list(protocol.login(at_once=False))
    words = replies[place].rstrip(b"\r\n")
    replies[place] = words + LONG_LINE + (b"\r\n" if ended else b"")
    began = time.monotonic()
    with (
        scripted(playing(*replies[: place + 1])) as server,
        pytest.raises(protocol.failures),
        connection(protocol, server.port) as client,
    ):
        client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)
    assert time.monotonic() - began < TIMEOUT


@each_protocol
def test_a_long_refusal_makes_a_short_message(protocol: Protocol) -> None:
    # As long as each parent class takes; SMTP replies may have any number of lines.
    lines = {"smtp": (b"535-" + b"x" * 8000 + b"\r\n") * 100, "imap": b"", "pop": b""}[protocol.name]
    text = b"y" * {"smtp": 8000, "imap": 900_000, "pop": 2000}[protocol.name]
    refusal = lines + protocol.refused + text + b"\r\n"
    with (
        scripted(playing(*protocol.login(at_once=True)[:2], refusal)) as server,
        connection(protocol, server.port) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("number", [2000, 20_000])
def test_thousands_of_untagged_imap_responses_are_no_login(number: int) -> None:
    replies = [*IMAP_.login(at_once=True)[:2], b"* 1 EXISTS\r\n" * number + IMAP_.accepted]
    with scripted(playing(*replies)) as server, connection(IMAP_, server.port) as client:
        with pytest.raises(imaplib.IMAP4.abort):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        assert is_closed(client)


def test_a_few_untagged_imap_responses_do_no_harm() -> None:
    replies = [*IMAP_.login(at_once=True)[:2], b"* 1 EXISTS\r\n* OK [ALERT] hello\r\n" * 50 + IMAP_.accepted]
    with scripted(playing(*replies)) as server, connection(IMAP_, server.port) as client:
        assert client.authenticate_oauth(USER, TOKEN, allow_insecure=True)[0] == "OK"


@pytest.mark.parametrize("timeout", [None, TIMEOUT], ids=["no timeout", "timeout"])
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(b"9" * 5000, id="more digits than int takes"),
        pytest.param(b"9" * 30, id="more than an index"),
        pytest.param(b"9" * 16, id="more than there is memory"),
        pytest.param(b"100", id="cut off"),
    ],
)
def test_an_imap_literal_of_any_size_is_no_login(size: bytes, timeout: float | None) -> None:
    replies = [*IMAP_.login(at_once=True)[:2], b"* OK {" + size + b"}\r\nfew octets"]
    with (
        scripted(playing(*replies)) as server,
        pytest.raises(IMAP_.failures),
        connection(IMAP_, server.port, timeout) as client,
    ):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)


HUGE_LITERAL = b"* OK {" + b"9" * 5000 + b"}\r\n"


def test_an_impossible_literal_is_no_imap_greeting() -> None:
    with scripted(playing(HUGE_LITERAL)) as server, pytest.raises(IMAP_.failures):
        IMAP_.connect(server.port)


def test_an_impossible_literal_is_no_answer_to_starttls() -> None:
    with (
        scripted(playing(*IMAP_.login(at_once=True)[:2], HUGE_LITERAL)) as server,
        connection(IMAP_, server.port) as client,
    ):
        with pytest.raises(IMAP_.failures):
            client.starttls()
        assert is_closed(client)


def test_an_impossible_literal_is_no_list_of_imap_capabilities() -> None:
    with (
        scripted(playing(*IMAP_.login(at_once=True)[:2], IMAP_.accepted, HUGE_LITERAL)) as server,
        connection(IMAP_, server.port) as client,
    ):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        with pytest.raises(IMAP_.failures):
            client.capability()


@pytest.mark.parametrize("timeout", [None, TIMEOUT], ids=["no timeout", "timeout"])
def test_an_imap_server_that_says_bye_is_not_waited_for(timeout: float | None) -> None:
    silence = threading.Event()

    def bye(line: Line) -> None:
        play(line, [*IMAP_.login(at_once=True)[:2], b"* BYE overloaded\r\n"])
        # Without a timeout only the server's own end would end a client that goes on waiting.
        silence.wait(2)

    with scripted(bye) as server, connection(IMAP_, server.port, timeout) as client:
        began = time.monotonic()
        with pytest.raises(imaplib.IMAP4.abort, match="overloaded"):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        waited = time.monotonic() - began
        silence.set()
    assert waited < 1


# --- talking nonsense ---------------------------------------------------------------------------------------------


@each_protocol
@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"not base64!", id="prose"),
        pytest.param(b'{"status":"400"}', id="json not in base64"),
        pytest.param(b"A", id="one character"),
        pytest.param(b"QUJD=QUJD", id="padding in the middle"),
        pytest.param(b"====", id="padding alone"),
        pytest.param(b"QUJDR", id="cut off"),
        pytest.param(b"QU JD", id="blank"),
        pytest.param(b"QUJD\0", id="nul"),
        pytest.param(b"\xff\xfe\x80", id="octets"),
        pytest.param("ÄÖÜ".encode(), id="utf-8"),
    ],
)
def test_a_challenge_that_is_not_base64_cancels_the_login(protocol: Protocol, challenge: bytes) -> None:
    replies = list(protocol.login(at_once=True))
    replies[2] = protocol.challenge + challenge + b"\r\n"
    with (
        scripted(playing(*replies)) as server,
        connection(protocol, server.port) as client,
        pytest.raises(AuthenticationError),
    ):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
    assert server.received[2] == b"*"


@each_protocol
@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0\0\0", id="nul"),
        pytest.param(b"[" * 3000, id="deep"),
        pytest.param(b'{"status":' + b"9" * 500 + b"}", id="many digits"),
        pytest.param(b'{"status":1e999,"scope":NaN}', id="no number"),
        pytest.param(b'{"status":"\\ud800\\u0000\\u001b[2J","scope":"{user}{0}"}', id="characters"),
        pytest.param(b'{"status":{"a":1},"scope":["b"],"schemes":true}', id="types"),
        pytest.param(b'["status"]', id="list"),
        pytest.param(b"\xff\xfe{\0", id="utf-16"),
        pytest.param(b'{"mechanism":"x","__class__":"y","secrets":"z"}', id="names"),
    ],
)
def test_no_reason_for_a_refusal_hides_the_refusal(protocol: Protocol, reason: bytes) -> None:
    replies = list(protocol.login(at_once=False))
    challenge = base64.b64encode(reason)[:1980] if protocol.name == "pop" else base64.b64encode(reason)
    replies[3] = protocol.challenge + challenge + b"\r\n"
    with (
        scripted(playing(*replies)) as server,
        connection(protocol, server.port) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)
    assert str(caught.value).isprintable()


@each_protocol
def test_control_characters_of_a_refusal_do_not_reach_the_message(protocol: Protocol) -> None:
    text = b"no \0\x1b]0;title\x07\x1b[2J\x7f\xc2\x9b31m\xe2\x80\xaetxt\r twice"
    replies = [*protocol.login(at_once=True)[:2], protocol.refused + text + b"\r\n"]
    with (
        scripted(playing(*replies)) as server,
        connection(protocol, server.port) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
    assert f"{caught.value}{caught.value.server_reply}{caught.value.hint}".isprintable()


NONSENSE = [
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
    pytest.param(b"\x15\x03\x01\x00\x02\x02\x46", id="tls alert"),
    pytest.param(b"\r\n", id="empty line"),
    pytest.param(b"\n", id="line feed"),
    pytest.param(b"\0\r\n", id="nul"),
    pytest.param(b"\xff\xfe\xfd \x80\r\n", id="octets"),
    pytest.param(b"235\0welcome", id="nul behind a code"),
    pytest.param(b"-1 x\r\n", id="negative"),
    pytest.param(b"99999999999 OK\r\n", id="number"),
    pytest.param(b"+\r\n", id="plus"),
    pytest.param(b"*\r\n", id="star"),
    pytest.param(b"* BAD\r\n", id="bad"),
    pytest.param(b"* CAPABILITY \xff\xfe\r\n", id="capabilities in octets"),
    pytest.param(b"* CAPABILITY {3}\r\nabc\r\n", id="capabilities in a literal"),
    pytest.param(b"* PREAUTH hello\r\n", id="preauth"),
    pytest.param(b"A1 OK welcome\r\n", id="tag"),
    pytest.param(TAG + b" MAYBE welcome\r\n", id="tagged word"),
    pytest.param(TAG + b"\r\n", id="bare tag"),
    pytest.param(b"250-no end\r\n" * 50, id="continued"),
    pytest.param(b"+OK\r\nSASL \xff\xfe\r\n\r\n.\r\n", id="capa in octets"),
]


@each_protocol
@pytest.mark.parametrize("place", range(5), ids=["greeting", "offer", "go", "challenge", "refusal"])
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_fails_as_the_standard_library_does(protocol: Protocol, place: int, nonsense: bytes) -> None:
    replies = [*protocol.login(at_once=False)[:place], nonsense]
    # Nonsense for one protocol can be good manners in another: a greeting, or nothing unexpected.
    with (
        scripted(playing(*replies)) as server,
        contextlib.suppress(*protocol.failures),
        connection(protocol, server.port, SHORT) as client,
    ):
        client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)


WORDS = "* |+ |+OK|-ERR |235 |235-|334 |535 |421 |4.7.0|1|-1| OK | NO | BAD | BYE |CAPABILITY|AUTH=XOAUTH2|[ALERT]|{3}"
SIGNS = "[|]|{|}| |.|..|=|AQ==|eyJzdGF0dXMiOiI0MDAifQ==|\t|\r|\n|\r\n|\0|\xff"
FRAGMENTS = st.sampled_from([TAG, b"x" * 600, *(word.encode("latin-1") for word in f"{WORDS}|{SIGNS}".split("|"))])


@each_protocol
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(noise=st.lists(st.lists(FRAGMENTS, max_size=8).map(b"".join), max_size=4), place=st.integers(0, 4))
@example(noise=[b"* OK {3}\r\nabc"], place=3)
def test_noise_fails_as_the_standard_library_does(protocol: Protocol, noise: list[bytes], place: int) -> None:
    replies = [*protocol.login(at_once=False)[:place], *(reply + b"\r\n" for reply in noise)]
    with (
        scripted(playing(*replies)) as server,
        contextlib.suppress(*protocol.failures),
        connection(protocol, server.port, SHORT) as client,
    ):
        client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)


def test_capabilities_that_are_not_ascii_do_not_break_a_client_that_is_logged_in() -> None:
    replies = [
        *IMAP_.login(at_once=True)[:2],
        IMAP_.accepted,
        b"* CAPABILITY IMAP4rev1 \xff\r\n" + TAG + b" OK done\r\n",
    ]
    with scripted(playing(*replies)) as server, connection(IMAP_, server.port) as client:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        assert "IMAP4REV1" in client.capabilities


def test_looking_at_capabilities_leaves_a_literal_to_the_command_it_is_for() -> None:
    replies = [*IMAP_.login(at_once=True)[:2], IMAP_.accepted, IMAP_.offer()]
    with scripted(playing(*replies)) as server, connection(IMAP_, server.port) as client:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.literal = b"text"
        assert "IMAP4REV1" in client.capabilities
        assert client.literal == b"text"


def test_capabilities_can_be_looked_at_after_logging_out() -> None:
    replies = [*IMAP_.login(at_once=True)[:2], IMAP_.accepted, b"* BYE bye\r\n" + TAG + b" OK bye\r\n"]
    with scripted(playing(*replies)) as server, connection(IMAP_, server.port) as client:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.logout()
        assert isinstance(client.capabilities, tuple)


# --- and afterwards -----------------------------------------------------------------------------------------------


@each_protocol
def test_a_refused_client_can_be_used_again(protocol: Protocol) -> None:
    replies = [*protocol.login(at_once=True), protocol.accepted]
    with scripted(playing(*replies)) as server, connection(protocol, server.port) as client:
        with pytest.raises(AuthenticationError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)


def test_an_smtp_client_that_was_cut_off_can_connect_again() -> None:
    cut_off = playing(*SMTP_.login(at_once=True)[:2], b"")
    accepting = playing(*SMTP_.login(at_once=True)[:2], SMTP_.accepted)
    with scripted(cut_off, accepting) as server, connection(SMTP_, server.port) as client:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.connect("127.0.0.1", server.port)
        # A new connection begins with EHLO, whatever the last one knew.
        assert client.authenticate_oauth(USER, TOKEN, allow_insecure=True)[0] == 235


@each_protocol
def test_a_client_closed_by_its_own_token_source_fails_as_the_standard_library_does(protocol: Protocol) -> None:
    with scripted(playing(*protocol.login(at_once=True)[:2], b"")) as server:
        client = protocol.connect(server.port)

        def token() -> str:
            protocol.close(client)
            return TOKEN

        with pytest.raises(protocol.failures):
            client.authenticate_oauth(USER, token, allow_insecure=True)
