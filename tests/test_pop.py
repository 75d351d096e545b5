"""POP3 logins as the server sees them: the lines it receives for each thing it may say (RFC 5034)."""

from __future__ import annotations

import base64
import contextlib
import pickle
import poplib
import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from oauthmail import (
    POP3,
    POP3_SSL,
    CredentialsError,
    InsecureConnectionError,
    MechanismError,
    OAuth1Credentials,
    POPMechanismError,
    POPOAuthError,
)

from .scripted import TIMEOUT, Certificates, Line, Script, ScriptedServer, scripted

USER = "user@example.com"
TOKEN = "ya29.EXAMPLE-token_1"
# user=user@example.com^Aauth=Bearer ya29.EXAMPLE-token_1^A^A, in the format of Google's XOAUTH2 page.
XOAUTH2 = b"dXNlcj11c2VyQGV4YW1wbGUuY29tAWF1dGg9QmVhcmVyIHlhMjkuRVhBTVBMRS10b2tlbl8xAQE="
# {"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}, as Gmail sends it.
GMAIL = b"eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZ29vZ2xlLmNvbS8ifQ=="
# Too long for one command line.
LONG_TOKEN = "t" * 1000

OFFER = b"+OK\r\nSASL PLAIN OAUTHBEARER XOAUTH2\r\nUIDL\r\n.\r\n"
BEARER_ONLY = b"+OK\r\nSASL OAUTHBEARER\r\n.\r\n"
ACCEPTED = b"+OK Logged in.\r\n"
REFUSED = b"-ERR [AUTH] Authentication failed.\r\n"
CHALLENGE = b"+ " + GMAIL + b"\r\n"

LOGIN = b"AUTH XOAUTH2 " + XOAUTH2
URL = "https://mail.google.com/mail/b/user@example.com/pop/"


def says(*replies: bytes) -> Script:
    """Return a script that greets and answers each line with the next reply."""

    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        for reply in replies:
            line.answer(reply)
        line.drain()

    return script


def says_after_stls(context: ssl.SSLContext, before: list[bytes], *replies: bytes) -> Script:
    """Return a script that answers with *before*, then to STLS, holds the handshake and answers with *replies*."""

    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        for reply in [*before, b"+OK begin\r\n"]:
            line.answer(reply)
        line.starttls(context)
        for reply in replies:
            line.answer(reply)
        line.drain()

    return script


@contextlib.contextmanager
def closing(client: POP3) -> Iterator[None]:
    """Close the connection without QUIT, however far it is closed already."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            client.close()


@contextlib.contextmanager
def connected(*replies: bytes) -> Iterator[tuple[POP3, ScriptedServer]]:
    """Connect without TLS to a server that gives *replies*."""
    with scripted(says(*replies)) as server:
        client = POP3("127.0.0.1", server.port, timeout=TIMEOUT)
        with closing(client):
            yield client, server


def log_in(*replies: bytes, user: str = USER, credentials: object = TOKEN, mechanism: str | None = None) -> list[bytes]:
    """Log in and return what the server received."""
    with connected(*replies) as (client, server):
        client.authenticate_oauth(user, credentials, mechanism=mechanism, allow_insecure=True)
    return server.received


def be_refused(*replies: bytes, credentials: object = TOKEN) -> tuple[POPOAuthError, list[bytes]]:
    """Try to log in and return the refusal and what the server received after CAPA."""
    with connected(*replies) as (client, server), pytest.raises(POPOAuthError) as caught:
        client.authenticate_oauth(USER, credentials, allow_insecure=True)
    return caught.value, server.received[1:]


# --- CAPA -------------------------------------------------------------------------------------------------------------


def test_capa_is_asked_once_for_all_logins_of_a_connection() -> None:
    with connected(OFFER, REFUSED, ACCEPTED) as (client, server):
        with pytest.raises(POPOAuthError):
            client.authenticate_oauth(USER, "stale", allow_insecure=True)
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert [line.split()[0] for line in server.received] == [b"CAPA", b"AUTH", b"AUTH"]


def test_capa_is_asked_anew_after_stls(certificates: Certificates) -> None:
    before = [b"+OK\r\nSASL OAUTHBEARER\r\nSTLS\r\n.\r\n", REFUSED, b"+OK\r\nSTLS\r\n.\r\n"]
    script = says_after_stls(certificates.server("localhost"), before, OFFER, ACCEPTED)

    with scripted(script) as server:
        client = POP3("localhost", server.port, timeout=TIMEOUT)
        with closing(client):
            with pytest.raises(POPOAuthError):
                client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
            client.stls(context=certificates.client())
            client.authenticate_oauth(USER, TOKEN)

    # The second CAPA is poplib's own, before STLS.
    assert server.received[2:] == [b"CAPA", b"STLS", b"CAPA", LOGIN]


def test_capa_is_asked_once_after_tls(certificates: Certificates) -> None:
    with scripted(says(OFFER, ACCEPTED), tls=certificates.server("localhost")) as server:
        client = POP3_SSL("localhost", server.port, context=certificates.client(), timeout=TIMEOUT)
        with closing(client):
            client.authenticate_oauth(USER, TOKEN)

    assert server.received == [b"CAPA", LOGIN]


def test_capa_is_not_asked_for_a_named_mechanism() -> None:
    received = log_in(b"+ \r\n", ACCEPTED, mechanism="XOAUTH2")

    assert received == [b"AUTH XOAUTH2", XOAUTH2]


@pytest.mark.parametrize(
    ("capa", "mechanism"),
    [
        pytest.param(b"+OK\r\nSASL OAUTHBEARER XOAUTH2\r\n.\r\n", b"XOAUTH2", id="both"),
        pytest.param(b"+OK\r\nSASL PLAIN OAUTHBEARER XOAUTH\r\n.\r\n", b"OAUTHBEARER", id="XOAUTH is not for a token"),
        pytest.param(b"+OK\r\nsasl plain xoauth2\r\n.\r\n", b"XOAUTH2", id="lower case"),
        pytest.param(b"+OK\r\nTOP\r\n\r\n \r\nSASL XOAUTH2\r\n.\r\n", b"XOAUTH2", id="blank lines"),
        pytest.param(b"+OK\r\nIMPLEMENTATION M\xfcll\r\nSASL XOAUTH2\r\n.\r\n", b"XOAUTH2", id="no ASCII"),
        pytest.param(b"+OK\r\n  SASL   XOAUTH2  \r\n.\r\n", b"XOAUTH2", id="too many blanks"),
        pytest.param(b"+OK\nSASL XOAUTH2\n.\n", b"XOAUTH2", id="bare line feeds"),
    ],
)
def test_capa_is_read_leniently(capa: bytes, mechanism: bytes) -> None:
    received = log_in(capa, ACCEPTED)

    assert received[1].split()[:2] == [b"AUTH", mechanism]


@pytest.mark.parametrize(
    "capa",
    [
        pytest.param(b"-ERR unknown command\r\n", id="no CAPA"),
        pytest.param(b"-ERR\r\n", id="no CAPA and no words"),
        pytest.param(b"+OK\r\nTOP\r\nUIDL\r\n.\r\n", id="no SASL"),
        pytest.param(b"+OK\r\n.\r\n", id="nothing"),
        pytest.param(b"+OK\r\nSASL\r\n.\r\n", id="empty SASL"),
        pytest.param(b"+OK\r\nSASL PLAIN LOGIN\r\n.\r\n", id="passwords only"),
        pytest.param(b"+OK\r\nSASL XOAUTH XOAUTH22\r\n.\r\n", id="names that are nearly ours"),
        pytest.param(b"+OK\r\nXOAUTH2\r\n.\r\n", id="a capability of that name"),
    ],
)
def test_no_usable_mechanism_means_no_auth(capa: bytes) -> None:
    with connected(capa) as (client, server), pytest.raises(POPMechanismError):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received == [b"CAPA"]


@pytest.mark.parametrize("kind", [MechanismError, poplib.error_proto])
def test_no_usable_mechanism_names_what_is_offered(kind: type[Exception]) -> None:
    with connected(b"+OK\r\nSASL PLAIN LOGIN\r\n.\r\n") as (client, _), pytest.raises(kind, match="LOGIN, PLAIN"):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)


def test_a_connection_without_usable_mechanism_stays_usable() -> None:
    with connected(b"-ERR unknown command\r\n", b"+OK still here\r\n") as (client, _):
        with pytest.raises(POPMechanismError):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)
        reply = client.noop()

    assert reply == b"+OK still here"


def test_a_connection_lost_at_capa_is_no_lack_of_mechanisms() -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.receive()

    with scripted(script) as server:
        client = POP3("127.0.0.1", server.port, timeout=TIMEOUT)
        with closing(client), pytest.raises(poplib.error_proto, match="EOF") as caught:
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert type(caught.value) is poplib.error_proto


# --- the initial response ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "payload", "expected"),
    [
        pytest.param("XOAUTH2", 180, [255], id="XOAUTH2 fits exactly"),
        pytest.param("XOAUTH2", 181, [14, 246], id="XOAUTH2 one octet more"),
        pytest.param("OAUTHBEARER", 177, [255], id="OAUTHBEARER fits exactly"),
        pytest.param("OAUTHBEARER", 178, [18, 242], id="OAUTHBEARER one octet more"),
    ],
)
def test_the_initial_response_travels_with_the_command_if_the_line_fits_255_octets(
    mechanism: str, payload: int, expected: list[int]
) -> None:
    capa = f"+OK\r\nSASL {mechanism}\r\n.\r\n".encode()
    replies = [b"+ \r\n"] * (len(expected) - 1) + [ACCEPTED]

    with connected(capa, *replies) as (client, server):
        empty = f"n,a={USER},\x01host=127.0.0.1\x01port={server.port}\x01auth=Bearer \x01\x01"
        overhead = len(USER) + 20 if mechanism == "XOAUTH2" else len(empty)
        client.authenticate_oauth(USER, "t" * (payload - overhead), allow_insecure=True)

    assert [len(line + b"\r\n") for line in server.received[1:]] == expected


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"+ \r\n", id="empty"),
        pytest.param(b"+\r\n", id="bare plus"),
        pytest.param(b"+ go ahead\r\n", id="text"),
        pytest.param(b"+ OAUTHBEARER supported\r\n", id="text that decodes"),
        pytest.param(b"+ OK go on\r\n", id="like success"),
    ],
)
def test_the_first_challenge_of_two_steps_may_say_anything(challenge: bytes) -> None:
    received = log_in(OFFER, challenge, ACCEPTED, credentials=LONG_TOKEN)

    payload = base64.b64encode(f"user={USER}\x01auth=Bearer {LONG_TOKEN}\x01\x01".encode())
    assert received == [b"CAPA", b"AUTH XOAUTH2", payload]


def test_user_names_travel_as_utf_8() -> None:
    received = log_in(OFFER, ACCEPTED, user="jörg@example.com")

    message = f"user=jörg@example.com\x01auth=Bearer {TOKEN}\x01\x01".encode()
    assert base64.b64decode(received[1].split()[2]) == message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_oauthbearer_names_host_and_port_of_the_connection(host: str) -> None:
    with scripted(says(BEARER_ONLY, ACCEPTED)) as server:
        client = POP3(host, server.port, timeout=TIMEOUT)
        with closing(client):
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    message = f"n,a={USER},\x01host={host}\x01port={server.port}\x01auth=Bearer {TOKEN}\x01\x01"
    assert server.received[1] == b"AUTH OAUTHBEARER " + base64.b64encode(message.encode())


@pytest.mark.parametrize(
    "replies",
    [pytest.param([OFFER, ACCEPTED], id="at once"), pytest.param([b"+ \r\n", ACCEPTED], id="two steps")],
)
def test_every_command_and_answer_travels_in_one_packet(replies: list[bytes]) -> None:
    with connected(*replies) as (client, server):
        client.authenticate_oauth(
            USER, TOKEN, mechanism=None if replies[0] == OFFER else "XOAUTH2", allow_insecure=True
        )

    # CAPA is the parent's.
    line = server.lines[0]
    assert line.packets[-1] == line.received[-1] + b"\r\n"


# --- the server's answer ----------------------------------------------------------------------------------------------


def test_success_returns_the_line_as_pass_does() -> None:
    with connected(OFFER, ACCEPTED) as (client, _):
        reply = client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert reply == b"+OK Logged in."


def test_a_bare_ok_is_success_too() -> None:
    with connected(OFFER, b"+OK\r\n") as (client, _):
        reply = client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert reply == b"+OK"


@pytest.mark.parametrize(
    ("mechanism", "acknowledgement"),
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
        pytest.param(b"OKOK", id="like success"),
        pytest.param(base64.b64encode(b"sorry, no"), id="no JSON"),
    ],
)
def test_a_refusals_challenge_is_acknowledged(mechanism: bytes, acknowledgement: bytes, challenge: bytes) -> None:
    error, received = be_refused(b"+OK\r\nSASL " + mechanism + b"\r\n.\r\n", b"+ " + challenge + b"\r\n", REFUSED)

    assert (received[1:], error.args) == ([acknowledgement], (b"-ERR [AUTH] Authentication failed.",))


def test_a_refusal_in_two_steps_is_acknowledged_too() -> None:
    _, received = be_refused(OFFER, b"+ \r\n", CHALLENGE, REFUSED, credentials=LONG_TOKEN)

    assert received[2:] == [b""]


def test_a_challenge_that_is_not_base64_cancels_the_login() -> None:
    error, received = be_refused(OFFER, b"+ OK then!\r\n", b"-ERR cancelled\r\n")

    assert (received[1:], error.args) == ([b"*"], (b"-ERR cancelled",))


def test_a_second_challenge_cancels_the_login() -> None:
    _, received = be_refused(OFFER, CHALLENGE, CHALLENGE, b"-ERR cancelled\r\n")

    assert received[1:] == [b"", b"*"]


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        pytest.param([CHALLENGE, REFUSED], ("400", "https://mail.google.com/", "Bearer"), id="Gmail"),
        pytest.param([b"+ \r\n", REFUSED], (None, None, None), id="empty challenge"),
        pytest.param([REFUSED], (None, None, None), id="no challenge"),
    ],
)
def test_a_refusal_tells_what_the_challenge_said(
    replies: list[bytes], expected: tuple[str | None, str | None, str | None]
) -> None:
    error, _ = be_refused(OFFER, *replies)

    assert (error.status, error.scope, error.schemes) == expected


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(REFUSED, "Sign in again as user@example.com", id="AUTH"),
        pytest.param(b"-ERR [SYS/TEMP] Not now.\r\n", "try again later", id="SYS/TEMP"),
        pytest.param(
            b"-ERR Logon failure: unknown user name or bad password.\r\n", "POP.AccessAsUser.All", id="Exchange"
        ),
        pytest.param(b"-ERR [AUTH] not allowed until SSL/TLS is enabled.\r\n", "stls()", id="TLS required"),
    ],
)
def test_a_refusal_carries_advice_in_its_hint_and_text(reply: bytes, words: str) -> None:
    error, _ = be_refused(OFFER, reply)

    assert words in error.hint
    assert error.hint in str(error)


def test_a_refusal_is_caught_as_poplibs_own() -> None:
    with connected(OFFER, REFUSED) as (client, _), pytest.raises(poplib.error_proto, match="AUTH"):
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)


def test_a_refusal_does_not_repeat_the_token_with_the_server() -> None:
    error, _ = be_refused(OFFER, f"-ERR no such token {TOKEN} in {XOAUTH2.decode()}\r\n".encode())

    assert TOKEN not in repr((str(error), error.__dict__))
    assert error.args == (b"-ERR no such token [redacted] in [redacted]",)


def test_a_refused_connection_takes_another_login() -> None:
    with connected(OFFER, CHALLENGE, REFUSED, ACCEPTED) as (client, server):
        with pytest.raises(POPOAuthError):
            client.authenticate_oauth(USER, "stale-token", allow_insecure=True)
        client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert server.received[2:] == [b"", LOGIN]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="end of the connection"),
        pytest.param(b"+OKAY\r\n", id="a word that begins like success"),
        pytest.param(b"* OK IMAP?\r\n", id="another protocol"),
    ],
)
def test_what_is_no_answer_is_no_refusal(reply: bytes) -> None:
    def script(line: Line) -> None:
        line.send(b"+OK ready\r\n")
        line.answer(OFFER)
        line.answer(reply)

    with scripted(script) as server:
        client = POP3("127.0.0.1", server.port, timeout=TIMEOUT)
        with closing(client), pytest.raises(poplib.error_proto) as caught:
            client.authenticate_oauth(USER, TOKEN, allow_insecure=True)

    assert type(caught.value) is poplib.error_proto


@pytest.mark.parametrize(
    "replies", [pytest.param([OFFER, REFUSED], id="refused"), pytest.param([b"-ERR\r\n"], id="no mechanism")]
)
def test_errors_survive_pickling(replies: list[bytes]) -> None:
    with connected(*replies) as (client, _), pytest.raises(poplib.error_proto) as caught:
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
    with connected(OFFER) as (client, server), pytest.raises(InsecureConnectionError, match="stls"):
        client.authenticate_oauth(USER, TOKEN)

    assert server.received == []


def test_stls_refuses_a_certificate_for_another_host(certificates: Certificates) -> None:
    script = says_after_stls(certificates.server("other.example"), [b"+OK\r\nSTLS\r\n.\r\n"])

    with scripted(script) as server:
        client = POP3("localhost", server.port, timeout=TIMEOUT)
        with closing(client), pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
            client.stls(context=certificates.client())

    assert server.received == [b"CAPA", b"STLS"]


@pytest.mark.parametrize(
    ("user", "credentials", "mechanism"),
    [
        pytest.param(USER, TOKEN, "XOAUTH", id="mechanism of the other family"),
        pytest.param(URL, OAuth1Credentials("k", "s"), "XOAUTH2", id="mechanism of the other family, signed"),
        pytest.param(USER, TOKEN, "PLAIN", id="mechanism without OAuth"),
        pytest.param("", TOKEN, None, id="empty user"),
        pytest.param("user@example.com\r\nQUIT", TOKEN, None, id="command in the user"),
        pytest.param(5, TOKEN, None, id="no user"),
        pytest.param(USER, TOKEN + "\n", None, id="line end in the token"),
        pytest.param(USER, "Bearer " + TOKEN, None, id="Bearer in front"),
        pytest.param(USER, '{"access_token":"x"}', None, id="JSON"),
        pytest.param(USER, None, None, id="no token"),
    ],
)
def test_unusable_arguments_raise_before_any_byte(user: Any, credentials: object, mechanism: str | None) -> None:
    with connected(OFFER) as (client, server), pytest.raises(CredentialsError):
        client.authenticate_oauth(user, credentials, mechanism=mechanism, allow_insecure=True)

    assert server.received == []


def test_there_is_no_method_named_auth() -> None:
    assert [hasattr(kind, "auth") for kind in (POP3, POP3_SSL)] == [False, False]


# --- what others see --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "shown"),
    [
        pytest.param([OFFER, CHALLENGE, REFUSED], "'AUTH XOAUTH2 [redacted]'", id="at once"),
        pytest.param([b"+ \r\n", CHALLENGE, REFUSED], "'[redacted]'", id="two steps"),
        pytest.param([OFFER, f"-ERR {TOKEN}\r\n".encode()], "b'-ERR [redacted]'", id="server echoes"),
    ],
)
@pytest.mark.parametrize("level", [1, 2])
def test_debug_output_shows_the_login_without_the_token(
    capsys: pytest.CaptureFixture[str], level: int, replies: list[bytes], shown: str
) -> None:
    with connected(*replies) as (client, _):
        client.set_debuglevel(level)
        with pytest.raises(POPOAuthError):
            client.authenticate_oauth(
                USER, TOKEN, mechanism=None if replies[0] == OFFER else "XOAUTH2", allow_insecure=True
            )

    text = capsys.readouterr().out
    assert shown in text
    assert [secret for secret in (TOKEN, XOAUTH2.decode()) if secret in text] == []


def test_audit_hooks_see_the_login_without_the_token() -> None:
    seen: list[bytes] = []

    with connected(b"+ \r\n", CHALLENGE, REFUSED, OFFER, REFUSED) as (client, _):
        # A hook cannot be taken away again: this one is deaf to every other client.
        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event == "poplib.putline" and args[0] is client:
                seen.append(args[1])

        sys.addaudithook(hook)
        for mechanism in ("XOAUTH2", None):
            with pytest.raises(POPOAuthError):
                client.authenticate_oauth(USER, TOKEN, mechanism=mechanism, allow_insecure=True)

    assert seen == [b"AUTH XOAUTH2", b"[redacted]", b"", b"CAPA", b"AUTH XOAUTH2 [redacted]"]
