"""OAuth 1.0a logins, verified by oauthlib's server side, as no shipped mail server verifies them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import oauthlib.oauth1
import pytest

from oauthmail import IMAP4, POP3, SMTP, AuthenticationError, OAuth1Credentials

from .scripted import Line, ScriptedServer, scripted

URL = "https://mail.example.com/mail/b/me@example.com/smtp/"
THREE_LEGGED = OAuth1Credentials("client-key", "client secret/+=", "token key", "token secret&")
TWO_LEGGED = OAuth1Credentials("client-key", "client secret/+=", requestor_id="me+tag@example.com")
MECHANISMS = ["XOAUTH", "OAUTH10A"]


class Validator(oauthlib.oauth1.RequestValidator):  # type: ignore[misc]  # oauthlib is untyped
    """Knows one client and one token, and refuses a nonce that it has seen."""

    enforce_ssl = False
    check_client_key = check_access_token = check_nonce = lambda self, value: bool(value)
    dummy_client = dummy_access_token = "dummy"

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str]] = set()

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == THREE_LEGGED.client_key

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return THREE_LEGGED.client_secret

    def validate_access_token(self, client_key: str, token: str, request: Any) -> bool:
        return token == THREE_LEGGED.resource_owner_key

    def get_access_token_secret(self, client_key: str, token: str, request: Any) -> str:
        return THREE_LEGGED.resource_owner_secret

    def validate_realms(self, client_key: str, token: str, request: Any, uri: Any = None, realms: Any = None) -> bool:
        return True

    def validate_timestamp_and_nonce(
        self, client_key: str, timestamp: str, nonce: str, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        fresh = (timestamp, nonce) not in self.seen
        self.seen.add((timestamp, nonce))
        return fresh


class Verifier:
    """A mail server's side of XOAUTH and OAUTH10A.

    Attributes:
        messages: the decoded messages that came.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        validator = Validator()
        self._three_legged = oauthlib.oauth1.ResourceEndpoint(validator)
        self._two_legged = oauthlib.oauth1.SignatureOnlyEndpoint(validator)

    def verify(self, mechanism: str, encoded: bytes) -> bool:
        message = base64.b64decode(encoded, validate=True).decode()
        self.messages.append(message)
        if mechanism == "XOAUTH":
            method, url, parameters = message.split(" ", 2)
            header = f"OAuth {parameters}"
        else:
            pairs = dict(pair.split("=", 1) for pair in message.split("\x01")[1:-2])
            # RFC 7628 section 3.1: what is signed is this request, whatever the transport.
            method, url, header = "POST", f"http://{pairs['host']}:{pairs['port']}/", pairs["auth"]
        headers = {"Authorization": header}
        if "oauth_token=" in header:
            return bool(self._three_legged.validate_protected_resource_request(url, method, headers=headers)[0])
        return bool(self._two_legged.validate_request(url, method, headers=headers)[0])


def smtp_script(verifier: Verifier, line: Line) -> None:
    line.send(b"220 ready\r\n")
    line.answer(b"250-me\r\n250 AUTH XOAUTH OAUTH10A\r\n")
    while command := line.receive():
        if command == b"QUIT":
            line.send(b"221 bye\r\n")
            return
        _, mechanism, *initial = command.split()
        if not initial:
            line.send(b"334 \r\n")
            initial = [line.receive()]
        line.send(b"235 ok\r\n" if verifier.verify(mechanism.decode(), initial[0]) else b"535 5.7.8 no\r\n")


def imap_script(verifier: Verifier, line: Line) -> None:
    line.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH AUTH=OAUTH10A] ready\r\n")
    while command := line.receive():
        tag, _, *rest = command.split()
        if len(rest) < 2:
            line.send(b"* BYE\r\n" + tag + b" OK bye\r\n")
            return
        good = verifier.verify(rest[0].decode(), rest[1])
        line.send(tag + (b" OK in\r\n" if good else b" NO [AUTHENTICATIONFAILED] no\r\n"))


def pop_script(verifier: Verifier, line: Line) -> None:
    line.send(b"+OK ready\r\n")
    while command := line.receive():
        if command == b"CAPA":
            line.send(b"+OK\r\nSASL XOAUTH OAUTH10A\r\n.\r\n")
            continue
        line.send(b"+ \r\n")
        good = verifier.verify(command.split()[1].decode(), line.receive())
        line.send(b"+OK in\r\n" if good else b"-ERR [AUTH] no\r\n")


def smtp(server: ScriptedServer) -> SMTP:
    return SMTP("127.0.0.1", server.port, timeout=5)


def imap(server: ScriptedServer) -> IMAP4:
    return IMAP4("127.0.0.1", server.port, timeout=5)


def pop(server: ScriptedServer) -> POP3:
    return POP3("127.0.0.1", server.port, timeout=5)


PROTOCOLS = [
    pytest.param(smtp_script, smtp, SMTP.close, (235, b"ok"), id="SMTP"),
    pytest.param(imap_script, imap, IMAP4.shutdown, ("OK", [b"in"]), id="IMAP"),
    pytest.param(pop_script, pop, POP3.close, b"+OK in", id="POP3"),
]
Script = Callable[[Verifier, Line], None]


def log_in(
    verifier: Verifier, script: Script, connect: Any, close: Any, *arguments: Any, mechanism: str | None = None
) -> Any:
    with scripted(lambda line: script(verifier, line)) as server:
        client = connect(server)
        try:
            return client.authenticate_oauth(*arguments, mechanism=mechanism, allow_insecure=True)
        finally:
            close(client)


@pytest.mark.parametrize("credentials", [THREE_LEGGED, TWO_LEGGED], ids=["three-legged", "two-legged"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("script", "connect", "close", "expected"), PROTOCOLS)
def test_oauthlib_accepts_the_signature(
    script: Script, connect: Any, close: Any, expected: Any, mechanism: str, credentials: OAuth1Credentials
) -> None:
    assert log_in(Verifier(), script, connect, close, URL, credentials, mechanism=mechanism) == expected


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(OAuth1Credentials("client-key", "wrong", "token key", "token secret&"), id="client secret"),
        pytest.param(OAuth1Credentials("client-key", "client secret/+=", "token key", "wrong"), id="token secret"),
        pytest.param(OAuth1Credentials("client-key", "client secret/+=", "other", "token secret&"), id="token"),
        pytest.param(OAuth1Credentials("other", "client secret/+=", "token key", "token secret&"), id="client key"),
    ],
)
@pytest.mark.parametrize(("script", "connect", "close", "expected"), PROTOCOLS)
def test_oauthlib_refuses_a_wrong_value(
    script: Script, connect: Any, close: Any, expected: Any, mechanism: str, credentials: OAuth1Credentials
) -> None:
    with pytest.raises(AuthenticationError):
        log_in(Verifier(), script, connect, close, URL, credentials, mechanism=mechanism)


@pytest.mark.parametrize(("script", "connect", "close", "expected"), PROTOCOLS)
def test_every_login_signs_with_a_new_nonce(script: Script, connect: Any, close: Any, expected: Any) -> None:
    verifier = Verifier()
    for _ in range(3):
        log_in(verifier, script, connect, close, URL, THREE_LEGGED)
    assert len({re.findall('oauth_nonce="([^"]+)"', message)[0] for message in verifier.messages}) == 3


@pytest.mark.parametrize(("script", "connect", "close", "expected"), PROTOCOLS)
def test_xoauth_is_preferred_and_carries_the_url(script: Script, connect: Any, close: Any, expected: Any) -> None:
    verifier = Verifier()
    log_in(verifier, script, connect, close, URL, THREE_LEGGED)
    assert verifier.messages[0].startswith(f"GET {URL} oauth_consumer_key=")


@pytest.mark.parametrize(("script", "connect", "close", "expected"), PROTOCOLS)
def test_the_old_form_with_consumer_and_token_logs_in(script: Script, connect: Any, close: Any, expected: Any) -> None:
    consumer = SimpleNamespace(key=THREE_LEGGED.client_key, secret=THREE_LEGGED.client_secret)
    token = SimpleNamespace(key=THREE_LEGGED.resource_owner_key, secret=THREE_LEGGED.resource_owner_secret)
    assert log_in(Verifier(), script, connect, close, URL, consumer, token) == expected


@pytest.mark.parametrize(("script", "connect", "close", "expected"), PROTOCOLS)
def test_a_mailbox_address_is_enough_for_oauth10a(script: Script, connect: Any, close: Any, expected: Any) -> None:
    verifier = Verifier()
    log_in(verifier, script, connect, close, "me@example.com", THREE_LEGGED)
    assert verifier.messages[0].startswith("n,a=me@example.com,\x01host=127.0.0.1\x01port=")
