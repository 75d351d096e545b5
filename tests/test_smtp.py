"""SMTP logins as the server sees them: the lines it receives for each thing it may say (RFC 4954)."""

from __future__ import annotations

import base64
import contextlib
import pickle
import re
import smtplib
import ssl
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oauthmail import (
    SMTP,
    SMTP_SSL,
    CredentialsError,
    InsecureConnectionError,
    MechanismError,
    OAuth1Credentials,
    SMTPMechanismError,
    SMTPOAuthError,
)
from oauthmail.signing import xoauth_string

from .scripted import TIMEOUT, Certificates, Line, Script, ScriptedServer, scripted

USER = "user@example.com"
TOKEN = "ya29.EXAMPLE-token_1"
# user=user@example.com^Aauth=Bearer ya29.EXAMPLE-token_1^A^A, in the format of Google's XOAUTH2 page.
XOAUTH2 = b"dXNlcj11c2VyQGV4YW1wbGUuY29tAWF1dGg9QmVhcmVyIHlhMjkuRVhBTVBMRS10b2tlbl8xAQE="
# {"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}, as Gmail sends it.
GMAIL = b"eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="
# Too long for one command line.
LONG_TOKEN = "t" * 1000

# smtplib writes it in lower case.
EHLO = b"ehlo client.example"
OFFER = b"250-mock\r\n250 AUTH LOGIN OAUTHBEARER XOAUTH2\r\n"
BEARER_ONLY = b"250-mock\r\n250 AUTH OAUTHBEARER\r\n"
ACCEPTED = b"235 2.7.0 Accepted\r\n"
REFUSED = b"535 5.7.8 Authentication failed.\r\n"
ABORTED = b"501 5.7.0 Authentication aborted\r\n"

OWNER = OAuth1Credentials("client-key", "client-secret", "owner-key", "owner-secret")
URL = "https://mail.google.com/mail/b/user@example.com/smtp/"


def says(*replies: bytes) -> Script:
    """Return a script that greets and answers each line with the next reply."""

    def script(line: Line) -> None:
        line.send(b"220 mock\r\n")
        for reply in replies:
            line.answer(reply)
        line.drain()

    return script


def says_after_starttls(context: ssl.SSLContext, *replies: bytes) -> Script:
    """Return a script that offers STARTTLS, holds the handshake and then answers with *replies*."""

    def script(line: Line) -> None:
        line.send(b"220 mock\r\n")
        line.answer(b"250-mock\r\n250 STARTTLS\r\n")
        line.answer(b"220 go ahead\r\n")
        line.starttls(context)
        for reply in replies:
            line.answer(reply)
        line.drain()

    return script


@contextlib.contextmanager
def connected(*replies: bytes) -> Iterator[tuple[SMTP, ScriptedServer]]:
    """Connect without TLS to a server that gives *replies*."""
    with scripted(says(*replies)) as server:
        client = SMTP("127.0.0.1", server.port, "client.example", timeout=TIMEOUT)
        with contextlib.closing(client):
            yield client, server


def log_in(*replies: bytes, user: str = USER, credentials: object = TOKEN, mechanism: str | None = None) -> list[bytes]:
    """Log in and return what the server received after EHLO."""
    with connected(*replies) as (client, server):
        client.authenticate_oauth(user, credentials, mechanism=mechanism, allow_insecure=True)
    assert server.received[0] == EHLO
    return server.received[1:]


def be_refused(
    *replies: bytes, user: str = USER, credentials: object = TOKEN, mechanism: str | None = None
) -> tuple[SMTPOAuthError, list[bytes]]:
    """Try to log in and return the refusal and what the server received after EHLO."""
    with connected(*replies) as (client, server), pytest.raises(SMTPOAuthError) as caught:
        client.authenticate_oauth(user, credentials, mechanism=mechanism, allow_insecure=True)
    assert server.received[0] == EHLO
    return caught.value, server.received[1:]


# --- EHLO -------------------------------------------------------------------------------------------------------------


def test_ehlo_is_sent_once_before_the_login() -> None:
    with connected(OFFER, ACCEPTED) as (client, server):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received == [EHLO, b"AUTH XOAUTH2 " + XOAUTH2]


def test_ehlo_is_not_repeated_if_the_caller_sent_it() -> None:
    with connected(OFFER, ACCEPTED) as (client, server):
        client.ehlo()
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received == [EHLO, b"AUTH XOAUTH2 " + XOAUTH2]


def test_ehlo_is_sent_after_a_helo_which_tells_no_mechanisms() -> None:
    with connected(b"250 mock\r\n", OFFER, ACCEPTED) as (client, server):
        client.helo()
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received == [b"helo client.example", EHLO, b"AUTH XOAUTH2 " + XOAUTH2]


def test_ehlo_is_sent_again_after_starttls(certificates: Certificates) -> None:
    script = says_after_starttls(certificates.server("localhost"), OFFER, ACCEPTED)

    with scripted(script) as server:
        client = SMTP("localhost", server.port, "client.example", timeout=TIMEOUT)
        with contextlib.closing(client):
            client.starttls(context=certificates.client())
            client.authenticate_oauth(USER, TOKEN)

    assert server.received == [EHLO, b"STARTTLS", EHLO, b"AUTH XOAUTH2 " + XOAUTH2]


def test_no_ehlo_follows_the_login() -> None:
    ok = b"250 ok\r\n"

    with connected(OFFER, ACCEPTED, ok, ok, b"354 go\r\n", b"", ok) as (client, server):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.sendmail(USER, ["other@example.com"], "hello")

    verbs = [line.split()[0].upper() for line in server.received]
    assert verbs == [b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"DATA", b"HELLO", b"."]


def test_a_server_without_ehlo_is_left_fit_for_sending_without_login() -> None:
    ok = b"250 ok\r\n"

    with connected(b"502 what?\r\n", ok, ok, ok, b"354 go\r\n", b"", ok) as (client, server):
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        client.sendmail(USER, ["other@example.com"], "hello")

    verbs = [line.split()[0].upper() for line in server.received]
    assert verbs == [b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"HELLO", b"."]


# --- the choice of mechanism ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        pytest.param(b"250 AUTH LOGIN XOAUTH2\r\n", b"XOAUTH2", id="usual form"),
        pytest.param(b"250 auth login xoauth2\r\n", b"XOAUTH2", id="lower case"),
        pytest.param(b"250 AUTH=LOGIN XOAUTH2\r\n", b"XOAUTH2", id="old form"),
        pytest.param(b"250 auth=Login OAuthBearer\r\n", b"OAUTHBEARER", id="old form in mixed case"),
        pytest.param(b"250-AUTH=LOGIN PLAIN\r\n250 AUTH XOAUTH2\r\n", b"XOAUTH2", id="both forms, usual one decides"),
        pytest.param(b"250-AUTH LOGIN\r\n250 AUTH=OAUTHBEARER\r\n", b"OAUTHBEARER", id="both forms, old one decides"),
        pytest.param(b"250 AUTH XOAUTH2 OAUTHBEARER\r\n", b"XOAUTH2", id="both mechanisms"),
        pytest.param(b"250 AUTH OAUTHBEARER XOAUTH2\r\n", b"XOAUTH2", id="both mechanisms, other order"),
        pytest.param(b"250 AUTH PLAIN OAUTHBEARER XOAUTH\r\n", b"OAUTHBEARER", id="XOAUTH is not for a token"),
    ],
)
def test_the_best_offered_mechanism_is_used(offer: bytes, expected: bytes) -> None:
    received = log_in(b"250-mock\r\n" + offer, ACCEPTED)

    assert received[0].split()[:2] == [b"AUTH", expected]


@pytest.mark.parametrize(
    ("mechanism", "expected"),
    [
        pytest.param("OAUTHBEARER", b"OAUTHBEARER", id="offered, not the first choice"),
        pytest.param("oauthbearer", b"OAUTHBEARER", id="lower case"),
        pytest.param("XOAuth2", b"XOAUTH2", id="mixed case"),
    ],
)
@pytest.mark.parametrize("offer", [pytest.param(OFFER, id="offered"), pytest.param(b"250 mock\r\n", id="not offered")])
def test_a_named_mechanism_is_used_offered_or_not(offer: bytes, mechanism: str, expected: bytes) -> None:
    received = log_in(offer, ACCEPTED, mechanism=mechanism)

    assert received[0].split()[:2] == [b"AUTH", expected]


@pytest.mark.parametrize(
    ("user", "credentials", "mechanism"),
    [
        pytest.param(USER, TOKEN, "XOAUTH", id="other family"),
        pytest.param(URL, OWNER, "XOAUTH2", id="other family, signed"),
        pytest.param(USER, OWNER, "XOAUTH", id="XOAUTH without a URL"),
        pytest.param(USER, TOKEN, "PLAIN", id="no OAuth"),
        pytest.param(USER, TOKEN, "XOAUTH2 ", id="stray blank"),
        pytest.param(USER, TOKEN, "XOAUTH2\r\nQUIT", id="second command"),
        pytest.param(USER, TOKEN, "", id="empty"),
        pytest.param(USER, TOKEN, 2, id="no text"),
        pytest.param(USER, OWNER, 2, id="no text, signed"),
    ],
)
def test_a_mechanism_that_cannot_be_meant_raises_before_any_byte(
    user: str, credentials: object, mechanism: Any
) -> None:
    with connected(OFFER) as (client, server), pytest.raises(CredentialsError):
        client.authenticate_oauth(user, credentials, mechanism=mechanism, allow_insecure=True)

    assert server.received == []


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param(b"250-mock\r\n250 AUTH PLAIN LOGIN\r\n", id="passwords only"),
        pytest.param(b"250-mock\r\n250 AUTH XOAUTH OAUTH10A\r\n", id="other family only"),
        pytest.param(b"250-mock\r\n250 AUTH XOAUTH22 X-OAUTHBEARER\r\n", id="names that merely contain ours"),
        pytest.param(b"250-mock\r\n250 XOAUTH2\r\n", id="an extension of that name"),
        pytest.param(b"250 mock\r\n", id="no AUTH"),
    ],
)
def test_no_usable_mechanism_means_no_auth(offer: bytes) -> None:
    with connected(offer) as (client, server), pytest.raises(SMTPMechanismError):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received == [EHLO]


@pytest.mark.parametrize("kind", [MechanismError, smtplib.SMTPNotSupportedError])
def test_no_usable_mechanism_is_caught_as_ours_and_as_smtplibs(kind: type[Exception]) -> None:
    with connected(b"250-mock\r\n250 AUTH PLAIN LOGIN\r\n") as (client, _), pytest.raises(kind, match="LOGIN, PLAIN"):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)


def test_no_token_is_asked_for_when_no_mechanism_is_usable() -> None:
    asked: list[str] = []

    with connected(b"250-mock\r\n250 AUTH PLAIN\r\n") as (client, _), pytest.raises(SMTPMechanismError):
        client.authenticate_oauth(USER, lambda: asked.append("token"), allow_insecure=True)

    assert asked == []


def test_a_connection_without_usable_mechanism_stays_usable() -> None:
    with connected(b"250-mock\r\n250 AUTH PLAIN\r\n", b"250 ok\r\n") as (client, _):
        with pytest.raises(SMTPMechanismError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        reply = client.noop()

    assert reply == (250, b"ok")


# --- the initial response ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "payload", "expected"),
    [
        # The line is 15 octets and base64 for XOAUTH2, 19 for OAUTHBEARER, so 511 is the longest that fits.
        pytest.param("XOAUTH2", 372, [511], id="XOAUTH2 fits"),
        pytest.param("XOAUTH2", 373, [14, 502], id="XOAUTH2 one octet more"),
        pytest.param("OAUTHBEARER", 369, [511], id="OAUTHBEARER fits"),
        pytest.param("OAUTHBEARER", 370, [18, 498], id="OAUTHBEARER one octet more"),
    ],
)
def test_the_initial_response_travels_with_the_command_if_the_line_fits_512_octets(
    mechanism: str, payload: int, expected: list[int]
) -> None:
    replies = [b"334 \r\n"] * (len(expected) - 1) + [ACCEPTED]

    with connected(OFFER, *replies) as (client, server):
        empty = f"n,a={USER},\x01host=127.0.0.1\x01port={server.port}\x01auth=Bearer \x01\x01"
        overhead = len(USER) + 20 if mechanism == "XOAUTH2" else len(empty)
        client.authenticate_oauth(USER, "t" * (payload - overhead), mechanism=mechanism, allow_insecure=True)

    assert [len(line + b"\r\n") for line in server.received[1:]] == expected


def test_a_signed_message_keeps_the_same_limit() -> None:
    # Only OAUTH10A lines can be exactly 512 octets long. The length of a signature is left to chance, so lengths around
    # the limit are tried on one connection and each line is held to the rule.
    attempts: list[tuple[int, bool]] = []

    def script(line: Line) -> None:
        line.send(b"220 mock\r\n")
        line.answer(b"250-mock\r\n250 AUTH OAUTH10A\r\n")
        while command := line.receive():
            at_once = len(command.split()) == 3
            if not at_once:
                line.send(b"334 \r\n")
            payload = command.split()[2] if at_once else line.receive()
            attempts.append((len(b"AUTH OAUTH10A \r\n" + payload), at_once))
            line.send(REFUSED)

    with scripted(script) as server:
        client = SMTP("127.0.0.1", server.port, "client.example", timeout=TIMEOUT)
        with contextlib.closing(client):
            for length in range(80, 121):
                with pytest.raises(SMTPOAuthError):
                    client.authenticate_oauth(USER, OAuth1Credentials("k" * length, "s"), allow_insecure=True)

    assert [at_once for _, at_once in attempts] == [length <= 512 for length, _ in attempts]
    assert {at_once for _, at_once in attempts} == {True, False}


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"334 \r\n", id="empty"),
        pytest.param(b"334\r\n", id="bare code"),
        pytest.param(b"334 OAUTHBEARER supported\r\n", id="text"),
        pytest.param(b"334 dGV4dA==\r\n", id="base64"),
        pytest.param(b"334 go*ahead!\r\n", id="text that is no base64"),
    ],
)
def test_the_first_challenge_of_two_steps_may_say_anything(challenge: bytes) -> None:
    received = log_in(OFFER, challenge, ACCEPTED, credentials=LONG_TOKEN)

    payload = base64.b64encode(f"user={USER}\x01auth=Bearer {LONG_TOKEN}\x01\x01".encode())
    assert received == [b"AUTH XOAUTH2", payload]


@pytest.mark.parametrize("name", ["jörg@example.com", "用户@例え.jp"])
def test_user_names_travel_as_utf_8(name: str) -> None:
    received = log_in(OFFER, ACCEPTED, user=name)

    assert base64.b64decode(received[0].split()[2]) == f"user={name}\x01auth=Bearer {TOKEN}\x01\x01".encode()


@pytest.mark.parametrize(
    ("connect", "host"),
    [
        pytest.param(lambda port: SMTP("127.0.0.1", port), "127.0.0.1", id="host, port"),
        pytest.param(lambda port: SMTP(f"127.0.0.1:{port}"), "127.0.0.1", id="host:port"),
        pytest.param(lambda port: SMTP("localhost", port), "localhost", id="name"),
        pytest.param(lambda port: late("127.0.0.1", port), "127.0.0.1", id="connect(host, port)"),
        pytest.param(lambda port: late(f"localhost:{port}"), "localhost", id="connect(host:port)"),
    ],
)
def test_oauthbearer_names_host_and_port_of_the_connection(connect: Callable[[int], SMTP], host: str) -> None:
    with scripted(says(BEARER_ONLY, ACCEPTED)) as server, contextlib.closing(connect(server.port)) as client:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    message = f"n,a={USER},\x01host={host}\x01port={server.port}\x01auth=Bearer {TOKEN}\x01\x01"
    assert server.received[1] == b"AUTH OAUTHBEARER " + base64.b64encode(message.encode())


def late(*address: Any) -> SMTP:
    """Return a client that is connected after it was made."""
    client = SMTP(timeout=TIMEOUT)
    client.connect(*address)
    return client


def test_old_positional_form_sends_a_signed_xoauth_string() -> None:
    class Pair:
        def __init__(self, key: str, secret: str) -> None:
            self.key = key
            self.secret = secret

    with connected(b"250-mock\r\n250 AUTH XOAUTH2 XOAUTH\r\n", ACCEPTED) as (client, server):
        client.authenticate_oauth(
            URL, Pair("client-key", "client-secret"), Pair("owner-key", "owner-secret"), allow_insecure=True
        )

    verb, mechanism, message = server.received[1].split()
    text = base64.b64decode(message).decode()
    drawn = dict(re.findall(r'oauth_(nonce|timestamp)="([^"]+)"', text))
    assert (verb, mechanism, text) == (b"AUTH", b"XOAUTH", xoauth_string(URL, OWNER, **drawn))


def test_signed_credentials_with_a_mailbox_use_oauth10a() -> None:
    received = log_in(b"250-mock\r\n250 AUTH XOAUTH OAUTH10A\r\n", ACCEPTED, credentials=OAuth1Credentials("k", "s"))

    assert received[0].split()[1] == b"OAUTH10A"


# --- the server's answer ----------------------------------------------------------------------------------------------


def test_success_returns_code_and_text_as_login_does() -> None:
    with connected(OFFER, b"235 2.7.0 Accepted\r\n") as (client, _):
        reply = client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert reply == (235, b"2.7.0 Accepted")


@pytest.mark.parametrize("code", [200, 250, 220, 354, 454, 503, 535, 550])
def test_every_code_but_235_is_a_refusal(code: int) -> None:
    error, _ = be_refused(OFFER, f"{code} said so\r\n".encode())

    assert (error.args, error.smtp_code, error.smtp_error) == ((code, b"said so"), code, b"said so")


@pytest.mark.parametrize(
    ("offer", "acknowledgement"),
    [
        pytest.param(b"XOAUTH2", b"", id="XOAUTH2 with an empty line"),
        pytest.param(b"OAUTHBEARER", b"AQ==", id="OAUTHBEARER with one 0x01"),
    ],
)
@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(GMAIL, id="JSON"),
        pytest.param(b"", id="empty"),
        pytest.param(base64.b64encode(b"sorry, no"), id="no JSON"),
        pytest.param(base64.b64encode(b'["a list"]'), id="JSON of another shape"),
        pytest.param(base64.b64encode(b"\xff\xfe\x00"), id="no text"),
    ],
)
def test_a_refusals_challenge_is_acknowledged(offer: bytes, acknowledgement: bytes, challenge: bytes) -> None:
    error, received = be_refused(b"250-mock\r\n250 AUTH " + offer + b"\r\n", b"334 " + challenge + b"\r\n", REFUSED)

    assert (received[1:], error.args) == ([acknowledgement], (535, b"5.7.8 Authentication failed."))


def test_a_refusal_in_two_steps_is_acknowledged_too() -> None:
    _, received = be_refused(OFFER, b"334 \r\n", b"334 " + GMAIL + b"\r\n", REFUSED, credentials=LONG_TOKEN)

    assert received[2:] == [b""]


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"Invalid token!", id="words"),
        pytest.param(b'{"status":"400"}', id="JSON not encoded"),
        pytest.param(GMAIL.rstrip(b"="), id="padding missing"),
    ],
)
def test_a_challenge_that_is_not_base64_cancels_the_login(challenge: bytes) -> None:
    error, received = be_refused(OFFER, b"334 " + challenge + b"\r\n", ABORTED)

    assert (received[1:], error.args) == ([b"*"], (501, b"5.7.0 Authentication aborted"))


def test_a_second_challenge_cancels_the_login() -> None:
    challenge = b"334 " + GMAIL + b"\r\n"

    error, received = be_refused(OFFER, challenge, challenge, ABORTED)

    assert (received[1:], error.smtp_code) == ([b"", b"*"], 501)


def test_a_server_that_challenges_without_end_is_left() -> None:
    challenge = b"334 " + GMAIL + b"\r\n"

    with connected(OFFER, challenge, challenge, challenge) as (client, _):
        with pytest.raises(smtplib.SMTPException, match="challenging"):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        assert client.sock is None


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        pytest.param([b"334 " + GMAIL + b"\r\n"], ("400", "https://mail.google.com/", "Bearer"), id="Gmail"),
        pytest.param(
            [b"334 " + base64.b64encode(b'{"status":"invalid_token","scope":"mail"}') + b"\r\n"],
            ("invalid_token", "mail", None),
            id="RFC 7628",
        ),
        pytest.param([b"334 " + base64.b64encode(b'{"status":401}') + b"\r\n"], ("401", None, None), id="number"),
        pytest.param([b"334 " + base64.b64encode(b"{}") + b"\r\n"], (None, None, None), id="nothing said"),
        pytest.param([b"334 \r\n"], (None, None, None), id="empty challenge"),
        pytest.param([b"334 " + base64.b64encode(b"no") + b"\r\n"], (None, None, None), id="no JSON"),
        pytest.param([], (None, None, None), id="no challenge"),
    ],
)
def test_a_refusal_tells_what_the_challenge_said(
    replies: list[bytes], expected: tuple[str | None, str | None, str | None]
) -> None:
    error, _ = be_refused(OFFER, *replies, REFUSED)

    assert (error.status, error.scope, error.schemes) == expected


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        pytest.param([b"334 " + GMAIL + b"\r\n", REFUSED], "grant the scope https://mail.google.com/", id="Gmail"),
        pytest.param([REFUSED], "Sign in again as user@example.com", id="no challenge"),
        pytest.param([b"454 4.7.0 Temporary authentication failure.\r\n"], "try again later", id="temporary"),
        pytest.param([b"503 5.5.1 not enabled\r\n"], "starttls()", id="out of step"),
        pytest.param([b"530 5.7.0 TLS required.\r\n"], "starttls()", id="TLS required"),
    ],
)
def test_a_refusal_carries_advice_in_its_hint_and_text(replies: list[bytes], words: str) -> None:
    error, _ = be_refused(OFFER, *replies)

    assert words in error.hint
    assert error.hint in str(error)


def test_all_lines_of_a_refusal_are_kept() -> None:
    error, _ = be_refused(OFFER, b"535-5.7.8 Not accepted. Learn more at\r\n535 5.7.8 https://example.com/\r\n")

    assert error.smtp_error == b"5.7.8 Not accepted. Learn more at\n5.7.8 https://example.com/"


def test_a_refusal_does_not_repeat_the_token_with_the_server() -> None:
    error, _ = be_refused(OFFER, f"535 5.7.8 no such token {TOKEN} in {XOAUTH2.decode()}\r\n".encode())

    assert (TOKEN in repr((error.args, str(error), error.__dict__))) is False
    assert error.smtp_error == b"5.7.8 no such token [redacted] in [redacted]"


def test_a_refusal_is_caught_as_smtplibs_own() -> None:
    with connected(OFFER, REFUSED) as (client, _), pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert caught.value.smtp_code == 535


def test_a_refused_connection_takes_another_login() -> None:
    with connected(OFFER, b"334 " + GMAIL + b"\r\n", REFUSED, ACCEPTED) as (client, server):
        with pytest.raises(SMTPOAuthError):
            client.authenticate_oauth(USER, "stale-token", allow_insecure=True)
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received[2:] == [b"", b"AUTH XOAUTH2 " + XOAUTH2]


def test_421_closes_the_connection() -> None:
    with connected(OFFER, b"421 4.7.0 Too many attempts\r\n") as (client, _):
        with pytest.raises(SMTPOAuthError, match="421"):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        assert client.sock is None


def test_a_lost_connection_is_no_refusal() -> None:
    def script(line: Line) -> None:
        line.send(b"220 mock\r\n")
        line.answer(OFFER)
        line.receive()

    with scripted(script) as server, contextlib.closing(SMTP("127.0.0.1", server.port, timeout=TIMEOUT)) as client:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        assert client.sock is None


@pytest.mark.parametrize(
    "replies", [pytest.param([OFFER, REFUSED], id="refused"), pytest.param([b"250 m\r\n"], id="none")]
)
def test_errors_survive_pickling(replies: list[bytes]) -> None:
    with connected(*replies) as (client, _), pytest.raises(smtplib.SMTPException) as caught:
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    error = pickle.loads(pickle.dumps(caught.value))  # dumped on the spot
    assert [type(error), str(error), error.args, error.__dict__] == [
        type(caught.value),
        str(caught.value),
        caught.value.args,
        caught.value.__dict__,
    ]


# --- TLS and arguments ------------------------------------------------------------------------------------------------


def test_nothing_is_sent_without_tls() -> None:
    asked: list[str] = []

    with connected(OFFER) as (client, server), pytest.raises(InsecureConnectionError, match="starttls"):
        client.authenticate_oauth(USER, lambda: asked.append("token"))

    assert (server.received, asked) == ([], [])


def test_an_ssl_connection_needs_no_leave(certificates: Certificates) -> None:
    with scripted(says(OFFER, ACCEPTED), tls=certificates.server("localhost")) as server:
        client = SMTP_SSL("localhost", server.port, context=certificates.client(), timeout=TIMEOUT)
        with contextlib.closing(client):
            reply = client.authenticate_oauth(USER, TOKEN)

    assert reply == (235, b"2.7.0 Accepted")


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param(lambda port: late("localhost", port), id="connect(host, port)"),
        pytest.param(lambda port: late(f"localhost:{port}"), id="connect(host:port)"),
        pytest.param(lambda port: SMTP(f"localhost:{port}", timeout=TIMEOUT), id="SMTP(host:port)"),
    ],
)
def test_starttls_verifies_the_host_that_was_connected_to(
    certificates: Certificates, connect: Callable[[int], SMTP]
) -> None:
    script = says_after_starttls(certificates.server("localhost"), OFFER, ACCEPTED)

    with scripted(script) as server, contextlib.closing(connect(server.port)) as client:
        client.starttls(context=certificates.client())
        reply = client.authenticate_oauth(USER, TOKEN)

    assert reply == (235, b"2.7.0 Accepted")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the parent takes certificate files up to Python 3.11")
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(lambda **given: SMTP_SSL("localhost", **given), id="SMTP_SSL"),
        pytest.param(lambda **given: SMTP().starttls(**given), id="starttls"),
    ],
)
def test_the_warning_about_certificate_files_names_the_line_that_passes_one(start: Callable[..., object]) -> None:
    with pytest.warns(DeprecationWarning, match="use a context") as warned, pytest.raises(FileNotFoundError):
        start(certfile="missing.pem")
    assert warned[0].filename == __file__


def test_starttls_refuses_a_certificate_for_another_host(certificates: Certificates) -> None:
    script = says_after_starttls(certificates.server("other.example"))

    with scripted(script) as server, contextlib.closing(late("localhost", server.port)) as client:
        with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
            client.starttls(context=certificates.client())
        assert client.sock is None


def test_a_client_that_is_not_connected_says_so() -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected):
        SMTP().authenticate_oauth(USER, TOKEN)


@pytest.mark.parametrize(
    ("user", "credentials"),
    [
        pytest.param("", TOKEN, id="empty user"),
        pytest.param("user@example.com\r\n", TOKEN, id="line end in the user"),
        pytest.param("user\x01auth=Bearer x", TOKEN, id="0x01 in the user"),
        pytest.param("user\x00", TOKEN, id="NUL in the user"),
        pytest.param("user\ud800", TOKEN, id="lone surrogate in the user"),
        pytest.param(b"user@example.com", TOKEN, id="user as bytes"),
        pytest.param(None, TOKEN, id="no user"),
        pytest.param(URL, TOKEN, id="a URL for a user"),
        pytest.param(USER, "", id="empty token"),
        pytest.param(USER, TOKEN + "\n", id="line end in the token"),
        pytest.param(USER, "token\x01", id="0x01 in the token"),
        pytest.param(USER, "tökén", id="token outside ASCII"),
        pytest.param(USER, "Bearer " + TOKEN, id="Bearer in front"),
        pytest.param(USER, '{"access_token":"x"}', id="JSON"),
        pytest.param(USER, TOKEN.encode(), id="token as bytes"),
        pytest.param(USER, None, id="no token"),
        pytest.param(USER, {"error": "invalid_grant"}, id="an error response"),
        pytest.param(USER, OAuth1Credentials, id="a class"),
        pytest.param("mail.google.com://", OWNER, id="no request URL"),
    ],
)
def test_unusable_arguments_raise_before_any_byte(user: Any, credentials: object) -> None:
    with connected(OFFER) as (client, server), pytest.raises(CredentialsError):
        client.authenticate_oauth(user, credentials, allow_insecure=True)

    assert server.received == []


@pytest.mark.parametrize("given", [pytest.param("Bearer x", id="unusable token"), pytest.param(5, id="no token")])
def test_an_unusable_token_from_a_callable_is_not_sent(given: object) -> None:
    with connected(OFFER) as (client, server), pytest.raises(CredentialsError):
        client.authenticate_oauth(USER, lambda: given, allow_insecure=True)

    assert server.received == [EHLO]


# --- what others see --------------------------------------------------------------------------------------------------


def test_debug_output_shows_the_command_without_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    with connected(OFFER, f"535 5.7.8 {TOKEN}\r\n".encode()) as (client, _):
        client.set_debuglevel(1)
        with pytest.raises(SMTPOAuthError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    shown = capsys.readouterr().err
    assert "'AUTH XOAUTH2 [redacted]\\r\\n'" in shown
    assert [secret for secret in (TOKEN, XOAUTH2.decode()) if secret in shown] == []


def test_debug_output_shows_the_second_step_without_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    with connected(OFFER, b"334 \r\n", ACCEPTED) as (client, _):
        client.set_debuglevel(2)
        client.authenticate_oauth(USER, LONG_TOKEN, allow_insecure=True)

    shown = capsys.readouterr().err
    assert "'[redacted]\\r\\n'" in shown
    assert [secret for secret in ("tttttttt", "dXNlcj1") if secret in shown] == []


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param(TOKEN, [b"AUTH XOAUTH2 [redacted]\r\n", b"\r\n"], id="one line"),
        pytest.param(LONG_TOKEN, [b"AUTH XOAUTH2\r\n", b"[redacted]\r\n", b"\r\n"], id="two steps"),
    ],
)
def test_audit_hooks_see_the_login_without_the_token(token: str, expected: list[bytes]) -> None:
    first_step = [b"334 \r\n"] * (len(expected) - 2)
    seen: list[bytes] = []

    with connected(OFFER, *first_step, b"334 " + GMAIL + b"\r\n", REFUSED) as (client, _):
        # A hook cannot be taken away again: this one is deaf to every other client.
        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event == "smtplib.send" and args[0] is client:
                seen.append(args[1])

        sys.addaudithook(hook)
        with pytest.raises(SMTPOAuthError):
            client.authenticate_oauth(USER, token, allow_insecure=True)

    assert seen[1:] == expected
