"""IMAP logins as the server sees them: the commands it receives for each thing it may say (RFC 9051, RFC 4959)."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import pickle
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from oauthmail import (
    IMAP4,
    IMAP4_SSL,
    CredentialsError,
    IMAPMechanismError,
    IMAPOAuthError,
    InsecureConnectionError,
    MechanismError,
    OAuth1Credentials,
)

from .scripted import TIMEOUT, Certificates, Line, Script, ScriptedServer, scripted

USER = "user@example.com"
TOKEN = "ya29.EXAMPLE-token_1"
# user=user@example.com^Aauth=Bearer ya29.EXAMPLE-token_1^A^A, in the format of Google's XOAUTH2 page.
XOAUTH2 = b"dXNlcj11c2VyQGV4YW1wbGUuY29tAWF1dGg9QmVhcmVyIHlhMjkuRVhBTVBMRS10b2tlbl8xAQE="
# {"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}, as Gmail sends it.
GMAIL = b"eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="

AT_ONCE = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2] ready\r\n"
TWO_STEPS = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2] ready\r\n"
BEARER_ONLY = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] ready\r\n"
PASSWORDS_ONLY = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] ready\r\n"
SILENT = b"* OK ready\r\n"
ACCEPTED = b"TAG OK Logged in\r\n"
REFUSED = b"TAG NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n"
CHALLENGE = b"+ " + GMAIL + b"\r\n"
NOT_CONNECTED = b"User is authenticated but not connected."

LOGIN = b"AUTHENTICATE XOAUTH2 " + XOAUTH2
URL = "https://mail.google.com/mail/b/user@example.com/imap/"


def capability(*names: str) -> bytes:
    """Return the answer to a CAPABILITY command."""
    return f"* CAPABILITY {' '.join(('IMAP4rev1', *names))}\r\nTAG OK done\r\n".encode()


def answer(line: Line, *replies: bytes) -> None:
    """Answer each line with the next reply, in which TAG stands for the tag of the latest command."""
    tag = b""
    for reply in replies:
        received = line.receive()
        if b" " in received:
            tag = received.split()[0]
        line.send(reply.replace(b"TAG", tag))


def says(greeting: bytes, *replies: bytes) -> Script:
    """Return a script that greets and answers each line with the next reply."""

    def script(line: Line) -> None:
        line.send(greeting)
        answer(line, *replies)
        line.drain()

    return script


def says_after_starttls(context: ssl.SSLContext, greeting: bytes, done: bytes, *replies: bytes) -> Script:
    """Return a script that says *done* to STARTTLS, holds the handshake and then answers with *replies*."""

    def script(line: Line) -> None:
        line.send(greeting)
        answer(line, done)
        line.starttls(context)
        answer(line, *replies)
        line.drain()

    return script


@contextlib.contextmanager
def closing(client: IMAP4) -> Iterator[None]:
    """Close the connection without LOGOUT, however far it is closed already."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            client.shutdown()


@contextlib.contextmanager
def connected(greeting: bytes, *replies: bytes) -> Iterator[tuple[IMAP4, ScriptedServer]]:
    """Connect without TLS to a server that gives *replies*."""
    with scripted(says(greeting, *replies)) as server:
        client = IMAP4("127.0.0.1", server.port, timeout=TIMEOUT)
        with closing(client):
            yield client, server


def commands(server: ScriptedServer) -> list[bytes]:
    """Return the lines the server received, commands without their tags."""
    return [line.partition(b" ")[2] or line for line in server.received]


def log_in(greeting: bytes, *replies: bytes, user: str = USER, mechanism: str | None = None) -> list[bytes]:
    """Log in and return what the server received."""
    with connected(greeting, *replies) as (client, server):
        client.authenticate_oauth(user, TOKEN, mechanism=mechanism, allow_insecure=True)
    return commands(server)


def be_refused(greeting: bytes, *replies: bytes) -> tuple[IMAPOAuthError, list[bytes]]:
    """Try to log in and return the refusal and what the server received."""
    with connected(greeting, *replies) as (client, server), pytest.raises(IMAPOAuthError) as caught:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
    return caught.value, commands(server)


# --- the initial response ---------------------------------------------------------------------------------------------


def test_a_login_costs_one_command_if_the_greeting_tells_capabilities() -> None:
    assert log_in(AT_ONCE, ACCEPTED) == [LOGIN]


def test_imap4rev2_takes_the_initial_response_with_the_command() -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 AUTH=XOAUTH2] ready\r\n"

    assert log_in(greeting, ACCEPTED) == [LOGIN]


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"+ \r\n", id="empty"),
        pytest.param(b"+\r\n", id="bare plus"),
        pytest.param(b"+ go ahead\r\n", id="text"),
        pytest.param(b"+ OAUTHBEARER supported\r\n", id="text that decodes"),
        pytest.param(b"* OK still there\r\n+ \r\n", id="after an untagged response"),
    ],
)
def test_a_server_without_sasl_ir_is_sent_the_response_in_a_second_step(challenge: bytes) -> None:
    assert log_in(TWO_STEPS, challenge, ACCEPTED) == [b"AUTHENTICATE XOAUTH2", XOAUTH2]


@pytest.mark.parametrize(
    ("greeting", "replies"),
    [
        pytest.param(AT_ONCE, [CHALLENGE, REFUSED], id="at once"),
        pytest.param(TWO_STEPS, [b"+ \r\n", CHALLENGE, REFUSED], id="two steps"),
    ],
)
def test_every_command_and_answer_travels_in_one_packet(greeting: bytes, replies: list[bytes]) -> None:
    with connected(greeting, *replies) as (client, server), pytest.raises(IMAPOAuthError):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    line = server.lines[0]
    assert line.packets == [received + b"\r\n" for received in line.received]


def test_user_names_travel_as_utf_8() -> None:
    (command,) = log_in(AT_ONCE, ACCEPTED, user="jörg@example.com")

    message = f"user=jörg@example.com\x01auth=Bearer {TOKEN}\x01\x01".encode()
    assert base64.b64decode(command.split()[2]) == message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_oauthbearer_names_host_and_port_of_the_connection(host: str) -> None:
    with scripted(says(BEARER_ONLY, ACCEPTED)) as server:
        client = IMAP4(host, server.port, timeout=TIMEOUT)
        with closing(client):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    message = f"n,a={USER},\x01host={host}\x01port={server.port}\x01auth=Bearer {TOKEN}\x01\x01"
    assert commands(server) == [b"AUTHENTICATE OAUTHBEARER " + base64.b64encode(message.encode())]


def test_a_long_token_travels_at_once_too() -> None:
    with connected(AT_ONCE, ACCEPTED) as (client, server):
        client.authenticate_oauth(USER, "t" * 5000, allow_insecure=True)

    assert [len(line.split()) for line in commands(server)] == [3]


# --- the choice of mechanism ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param("AUTH=OAUTHBEARER AUTH=XOAUTH2", b"XOAUTH2", id="both"),
        pytest.param("AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH", b"OAUTHBEARER", id="XOAUTH is not for a token"),
        pytest.param("auth=xoauth2", b"XOAUTH2", id="lower case"),
    ],
)
def test_the_best_offered_mechanism_is_used(names: str, expected: bytes) -> None:
    (command,) = log_in(f"* OK [CAPABILITY IMAP4rev1 SASL-IR {names}] hi\r\n".encode(), ACCEPTED)

    assert command.split()[1] == expected


@pytest.mark.parametrize(
    ("mechanism", "expected"),
    [pytest.param("OAUTHBEARER", b"OAUTHBEARER", id="as it is"), pytest.param("xoauth2", b"XOAUTH2", id="lower case")],
)
@pytest.mark.parametrize("greeting", [pytest.param(AT_ONCE, id="yes"), pytest.param(PASSWORDS_ONLY, id="not offered")])
def test_a_named_mechanism_is_used_offered_or_not(greeting: bytes, mechanism: str, expected: bytes) -> None:
    (command,) = log_in(greeting, ACCEPTED, mechanism=mechanism)

    assert command.split()[1] == expected


@pytest.mark.parametrize(
    ("user", "credentials", "mechanism"),
    [
        pytest.param(USER, TOKEN, "XOAUTH", id="mechanism of the other family"),
        pytest.param(URL, OAuth1Credentials("k", "s"), "XOAUTH2", id="mechanism of the other family, signed"),
        pytest.param(USER, TOKEN, "PLAIN", id="mechanism without OAuth"),
        pytest.param("", TOKEN, None, id="empty user"),
        pytest.param("user@example.com\r\nA2 LOGOUT", TOKEN, None, id="command in the user"),
        pytest.param(5, TOKEN, None, id="no user"),
        pytest.param(USER, TOKEN + "\n", None, id="line end in the token"),
        pytest.param(USER, "Bearer " + TOKEN, None, id="Bearer in front"),
        pytest.param(USER, '{"access_token":"x"}', None, id="JSON"),
        pytest.param(USER, None, None, id="no token"),
    ],
)
def test_unusable_arguments_raise_before_any_byte(user: Any, credentials: object, mechanism: str | None) -> None:
    with connected(AT_ONCE) as (client, server), pytest.raises(CredentialsError):
        client.authenticate_oauth(user, credentials, mechanism=mechanism, allow_insecure=True)

    assert server.received == []


@pytest.mark.parametrize("kind", [IMAPMechanismError, MechanismError, imaplib.IMAP4.error])
def test_no_usable_mechanism_names_what_is_offered(kind: type[Exception]) -> None:
    with connected(PASSWORDS_ONLY) as (client, server), pytest.raises(kind, match="LOGIN, PLAIN"):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received == []


def test_a_connection_without_usable_mechanism_stays_usable() -> None:
    with connected(PASSWORDS_ONLY, b"TAG OK done\r\n") as (client, _):
        with pytest.raises(IMAPMechanismError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        reply = client.noop()

    assert reply == ("OK", [b"done"])


# --- capabilities -----------------------------------------------------------------------------------------------------


def test_capability_is_asked_once_if_the_greeting_tells_none() -> None:
    received = log_in(SILENT, capability("SASL-IR", "AUTH=XOAUTH2"), ACCEPTED)

    assert received == [b"CAPABILITY", LOGIN]


@pytest.mark.parametrize(
    "accepted",
    [
        pytest.param(b"TAG OK [CAPABILITY IMAP4rev1 MOVE] Logged in\r\n", id="in the tagged OK"),
        pytest.param(b"* CAPABILITY IMAP4rev1 MOVE\r\nTAG OK Logged in\r\n", id="untagged"),
    ],
)
def test_capabilities_told_with_the_login_replace_the_earlier_ones(accepted: bytes) -> None:
    with connected(AT_ONCE, accepted) as (client, server):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        capabilities = client.capabilities

    assert (capabilities, commands(server)) == (("IMAP4REV1", "MOVE"), [LOGIN])


def test_capabilities_are_asked_for_after_a_login_that_tells_none_when_somebody_looks() -> None:
    with connected(AT_ONCE, ACCEPTED, capability("MOVE")) as (client, server):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        looks = [client.capabilities, client.capabilities]

    assert (looks, commands(server)) == ([("IMAP4REV1", "MOVE")] * 2, [LOGIN, b"CAPABILITY"])


def test_capabilities_nobody_looks_at_are_not_asked_for() -> None:
    with connected(AT_ONCE, ACCEPTED, b"TAG OK done\r\n") as (client, server):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.noop()

    assert commands(server) == [LOGIN, b"NOOP"]


def test_a_refusal_leaves_the_capabilities_as_they_were() -> None:
    with connected(AT_ONCE, REFUSED, ACCEPTED) as (client, server):
        with pytest.raises(IMAPOAuthError):
            client.authenticate_oauth(USER, "stale-token", allow_insecure=True)
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert commands(server)[1:] == [LOGIN]


def test_capabilities_told_before_a_login_are_not_taken_for_those_after_it() -> None:
    replies = (b"* CAPABILITY IMAP4rev1 ID\r\nTAG OK done\r\n", ACCEPTED, capability("MOVE"))

    with connected(AT_ONCE, *replies) as (client, _):
        client.noop()
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        capabilities = client.capabilities

    assert capabilities == ("IMAP4REV1", "MOVE")


# --- the server's answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "text"),
    [
        pytest.param(b"TAG OK Logged in\r\n", b"Logged in", id="text"),
        pytest.param(b"TAG OK [CAPABILITY IMAP4rev1] in\r\n", b"[CAPABILITY IMAP4rev1] in", id="response code"),
    ],
)
def test_success_returns_what_authenticate_returns(accepted: bytes, text: bytes) -> None:
    with connected(AT_ONCE, accepted) as (client, _):
        reply = client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert (reply, client.state) == (("OK", [text]), "AUTH")


@pytest.mark.parametrize(
    ("mechanism", "acknowledgement"),
    [
        pytest.param("XOAUTH2", b"", id="XOAUTH2 with an empty line"),
        pytest.param("OAUTHBEARER", b"AQ==", id="OAUTHBEARER with one 0x01"),
    ],
)
@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(GMAIL, id="JSON"),
        pytest.param(b"", id="empty"),
        pytest.param(base64.b64encode(b"sorry, no"), id="no JSON"),
    ],
)
def test_a_refusals_challenge_is_acknowledged(mechanism: str, acknowledgement: bytes, challenge: bytes) -> None:
    greeting = f"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH={mechanism}] ready\r\n".encode()

    error, received = be_refused(greeting, b"+ " + challenge + b"\r\n", REFUSED)

    assert (received[1:], error.args) == ([acknowledgement], ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)",))


def test_a_challenge_that_is_not_base64_cancels_the_login() -> None:
    error, received = be_refused(AT_ONCE, b"+ sorry, no!\r\n", b"TAG BAD cancelled\r\n")

    assert (received[1:], error.server_reply) == ([b"*"], "BAD cancelled")


def test_a_second_challenge_cancels_the_login() -> None:
    _, received = be_refused(AT_ONCE, CHALLENGE, CHALLENGE, b"TAG BAD cancelled\r\n")

    assert received[1:] == [b"", b"*"]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        pytest.param([CHALLENGE, REFUSED], ("400", "https://mail.google.com/", "Bearer"), id="Gmail"),
        pytest.param([b"+ \r\n", REFUSED], (None, None, None), id="empty challenge"),
        pytest.param([REFUSED], (None, None, None), id="no challenge"),
        pytest.param([b"+ " + base64.b64encode(b"no") + b"\r\n", REFUSED], (None, None, None), id="no JSON"),
    ],
)
def test_a_refusal_tells_what_the_challenge_said(
    replies: list[bytes], expected: tuple[str | None, str | None, str | None]
) -> None:
    error, _ = be_refused(AT_ONCE, *replies)

    assert (error.status, error.scope, error.schemes) == expected


@pytest.mark.parametrize(
    ("reply", "args"),
    [
        pytest.param(
            b"TAG NO [AUTHENTICATIONFAILED] Not you.\r\n", ("[AUTHENTICATIONFAILED] Not you.",), id="NO with code"
        ),
        pytest.param(b"TAG NO AUTHENTICATE failed.\r\n", ("AUTHENTICATE failed.",), id="NO"),
        pytest.param(b"TAG NO \xff\r\n", ("\ufffd",), id="NO that is not UTF-8"),
        pytest.param(b"TAG BAD what?\r\n", ("AUTHENTICATE command error: BAD [b'what?']",), id="BAD"),
    ],
)
def test_a_refusal_has_the_args_of_imaplibs_error(reply: bytes, args: tuple[str]) -> None:
    error, _ = be_refused(AT_ONCE, reply)

    assert error.args == args


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(REFUSED, "Sign in again as user@example.com", id="AUTHENTICATIONFAILED"),
        pytest.param(b"TAG NO AUTHENTICATE failed.\r\n", "IMAP.AccessAsUser.All", id="Exchange"),
        pytest.param(b"TAG NO [UNAVAILABLE] Temporary failure.\r\n", "try again later", id="UNAVAILABLE"),
        pytest.param(b"TAG NO [PRIVACYREQUIRED] Not now.\r\n", "starttls()", id="PRIVACYREQUIRED"),
    ],
)
def test_a_refusal_carries_advice_in_its_hint_and_text(reply: bytes, words: str) -> None:
    error, _ = be_refused(AT_ONCE, reply)

    assert words in error.hint
    assert error.hint in str(error)


def test_a_refusal_is_caught_as_imaplibs_own() -> None:
    with connected(AT_ONCE, REFUSED) as (client, _), pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)


def test_a_refusal_does_not_repeat_the_token_with_the_server() -> None:
    error, _ = be_refused(AT_ONCE, f"TAG NO no such token {TOKEN} in {XOAUTH2.decode()}\r\n".encode())

    assert TOKEN not in repr((str(error), error.__dict__))
    assert error.args == ("no such token [redacted] in [redacted]",)


def test_a_refused_connection_takes_another_login() -> None:
    with connected(AT_ONCE, CHALLENGE, REFUSED, ACCEPTED) as (client, server):
        with pytest.raises(IMAPOAuthError):
            client.authenticate_oauth(USER, "stale-token", allow_insecure=True)
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert (commands(server)[1:], client.state) == ([b"", LOGIN], "AUTH")


@pytest.mark.parametrize(
    ("farewell", "words"),
    [
        pytest.param(b"* BYE too many logins\r\n", "too many logins", id="BYE"),
        pytest.param(b"", "EOF", id="no words"),
        pytest.param(b"* OK half a li", "socket error", id="half a line"),
    ],
)
def test_a_lost_connection_aborts_and_is_no_refusal(farewell: bytes, words: str) -> None:
    def script(line: Line) -> None:
        line.send(AT_ONCE)
        line.answer(farewell)

    with scripted(script) as server:
        client = IMAP4("127.0.0.1", server.port, timeout=TIMEOUT)
        with closing(client), pytest.raises(imaplib.IMAP4.abort, match=words):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert client.state == "LOGOUT"


def test_a_second_login_is_imaplibs_state_error_and_leaves_the_connection_open() -> None:
    with connected(AT_ONCE, ACCEPTED, b"TAG OK done\r\n") as (client, _):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        with pytest.raises(imaplib.IMAP4.error, match="illegal in state AUTH"):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        reply = client.noop()

    assert reply == ("OK", [b"done"])


@pytest.mark.parametrize(
    ("greeting", "replies"),
    [pytest.param(AT_ONCE, [REFUSED], id="refused"), pytest.param(PASSWORDS_ONLY, [], id="no mechanism")],
)
def test_errors_survive_pickling(greeting: bytes, replies: list[bytes]) -> None:
    with connected(greeting, *replies) as (client, _), pytest.raises(imaplib.IMAP4.error) as caught:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    error = pickle.loads(pickle.dumps(caught.value))  # dumped on the spot
    assert [type(error), str(error), error.args, error.__dict__] == [
        type(caught.value),
        str(caught.value),
        caught.value.args,
        caught.value.__dict__,
    ]


# --- Exchange's late refusal ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", [b"BAD", b"NO"])
@pytest.mark.parametrize("command", ["noop", "select", "list"])
def test_a_login_that_opens_no_mailbox_is_refused_at_the_first_command(typ: bytes, command: str) -> None:
    with connected(AT_ONCE, ACCEPTED, b"TAG " + typ + b" " + NOT_CONNECTED + b"\r\n") as (client, server):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        with pytest.raises(IMAPOAuthError) as caught:
            getattr(client, command)()

    assert "may not open user@example.com" in caught.value.hint
    assert [line.split()[0] for line in commands(server)] == [b"AUTHENTICATE", command.upper().encode()]


def test_other_errors_after_a_login_stay_imaplibs() -> None:
    with connected(AT_ONCE, ACCEPTED, b"TAG BAD what?\r\n") as (client, _):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        with pytest.raises(imaplib.IMAP4.error) as caught:
            client.noop()

    assert type(caught.value) is imaplib.IMAP4.error


# Python 3.15 asks for the capabilities after login(), unless the answer tells them.
TOLD_ALL = b"TAG OK [CAPABILITY IMAP4rev1] in\r\n"


def test_the_same_words_without_an_oauth_login_stay_imaplibs_error() -> None:
    with connected(AT_ONCE, TOLD_ALL, b"TAG BAD " + NOT_CONNECTED + b"\r\n") as (client, _):
        client.login("user", "password")
        with pytest.raises(imaplib.IMAP4.error) as caught:
            client.noop()

    assert type(caught.value) is imaplib.IMAP4.error


def test_the_same_words_as_no_without_an_oauth_login_stay_a_reply() -> None:
    with connected(AT_ONCE, TOLD_ALL, b"TAG NO " + NOT_CONNECTED + b"\r\n") as (client, _):
        client.login("user", "password")
        reply = client.noop()

    assert reply == ("NO", [NOT_CONNECTED])


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_without_tls() -> None:
    with connected(AT_ONCE) as (client, server), pytest.raises(InsecureConnectionError, match="starttls"):
        client.authenticate_oauth(USER, TOKEN)

    assert server.received == []


def test_an_ssl_connection_needs_no_leave(certificates: Certificates) -> None:
    with scripted(says(AT_ONCE, ACCEPTED), tls=certificates.server("localhost")) as server:
        client = IMAP4_SSL("localhost", server.port, ssl_context=certificates.client(), timeout=TIMEOUT)
        with closing(client):
            reply = client.authenticate_oauth(USER, TOKEN)

    assert reply == ("OK", [b"Logged in"])


@pytest.mark.parametrize(
    "done",
    [
        pytest.param(b"TAG OK begin\r\n", id="nothing told"),
        pytest.param(b"TAG OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] begin\r\n", id="told in the clear"),
        pytest.param(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nTAG OK begin\r\n", id="told untagged in the clear"),
    ],
)
def test_starttls_forgets_what_was_told_in_the_clear(certificates: Certificates, done: bytes) -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=OAUTHBEARER] ready\r\n"
    after = capability("SASL-IR", "AUTH=XOAUTH2")
    script = says_after_starttls(certificates.server("localhost"), greeting, done, after, ACCEPTED)

    with scripted(script) as server:
        client = IMAP4("localhost", server.port, timeout=TIMEOUT)
        with closing(client):
            client.starttls(ssl_context=certificates.client())
            capabilities = client.capabilities
            client.authenticate_oauth(USER, TOKEN)

    assert capabilities == ("IMAP4REV1", "SASL-IR", "AUTH=XOAUTH2")
    assert commands(server) == [b"STARTTLS", b"CAPABILITY", LOGIN]


def test_starttls_refuses_a_certificate_for_another_host(certificates: Certificates) -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"
    script = says_after_starttls(certificates.server("other.example"), greeting, b"TAG OK begin\r\n")

    with scripted(script) as server:
        client = IMAP4("localhost", server.port, timeout=TIMEOUT)
        with closing(client), pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
            client.starttls(ssl_context=certificates.client())

    assert client.state == "LOGOUT"


PREAUTH = b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=XOAUTH2] welcome\r\n"


def test_a_preauth_greeting_makes_starttls_abort() -> None:
    with connected(PREAUTH, capability("STARTTLS")) as (client, server):
        with pytest.raises(imaplib.IMAP4.abort, match="PREAUTH"):
            client.starttls()
        assert client.state == "LOGOUT"

    assert b"STARTTLS" not in commands(server)


def test_a_preauth_greeting_is_no_login() -> None:
    told = capability("STARTTLS", "AUTH=XOAUTH2")

    with connected(PREAUTH, told) as (client, server), pytest.raises(imaplib.IMAP4.error, match="illegal in state"):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert [line for line in commands(server) if line != b"CAPABILITY"] == []


# --- what others see --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("greeting", "replies", "shown"),
    [
        pytest.param(AT_ONCE, [CHALLENGE, REFUSED], "AUTHENTICATE XOAUTH2 [redacted]", id="at once"),
        pytest.param(TWO_STEPS, [b"+ \r\n", CHALLENGE, REFUSED], "b'[redacted]'", id="two steps"),
        pytest.param(
            AT_ONCE, [b"TAG NO no " + TOKEN.encode() + b"\r\n"], "AUTHENTICATE XOAUTH2 [redacted]", id="server echoes"
        ),
    ],
)
@pytest.mark.parametrize("level", [pytest.param(4, id="debug 4"), pytest.param(0, id="print_log")])
def test_debug_output_and_log_show_the_login_without_the_token(
    capsys: pytest.CaptureFixture[str], level: int, greeting: bytes, replies: list[bytes], shown: str
) -> None:
    with connected(greeting, *replies) as (client, _):
        client.debug = level
        with pytest.raises(IMAPOAuthError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.print_log()

    text = capsys.readouterr().err
    assert shown in text
    assert [secret for secret in (TOKEN, XOAUTH2.decode()) if secret in text] == []


def test_the_modules_own_debug_level_works_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imaplib, "Debug", 4)

    log_in(AT_ONCE, ACCEPTED)

    text = capsys.readouterr().err
    assert "AUTHENTICATE XOAUTH2 [redacted]" in text
    assert XOAUTH2.decode() not in text


def test_audit_hooks_see_the_login_without_the_token() -> None:
    seen: list[bytes] = []

    with connected(TWO_STEPS, b"+ \r\n", CHALLENGE, REFUSED, b"TAG OK done\r\n") as (client, _):
        # A hook cannot be taken away again: this one is deaf to every other client.
        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event == "imaplib.send" and args[0] is client:
                seen.append(args[1])

        sys.addaudithook(hook)
        with pytest.raises(IMAPOAuthError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert [line.partition(b" ")[2] or line for line in seen] == [
        b"AUTHENTICATE XOAUTH2\r\n",
        b"[redacted]\r\n",
        b"\r\n",
    ]
