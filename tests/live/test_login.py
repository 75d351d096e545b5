"""Our six classes log in to Dovecot and Postfix with tokens that a real authorization server issued."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from google.oauth2.credentials import Credentials as GoogleCredentials
from requests_oauthlib import OAuth2Session

from oauthmail import IMAP4, IMAP4_SSL, POP3, POP3_SSL, SMTP, SMTP_SSL, AuthenticationError, InsecureConnectionError
from oauthmail.sandbox.live.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import LiveServers

    Connect = Callable[[LiveServers], contextlib.AbstractContextManager[Any]]

TIMEOUT = 10


def smtp_starttls(servers: LiveServers) -> SMTP:
    smtp = SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT)
    smtp.starttls(context=servers.ssl_context())
    return smtp


def smtp_ssl(servers: LiveServers) -> SMTP_SSL:
    address = servers.submissions
    return SMTP_SSL(address.host, address.port, timeout=TIMEOUT, context=servers.ssl_context())


def imap_starttls(servers: LiveServers) -> IMAP4:
    imap = IMAP4(servers.imap.host, servers.imap.port, timeout=TIMEOUT)
    imap.starttls(servers.ssl_context())
    return imap


def imap_ssl(servers: LiveServers) -> IMAP4_SSL:
    return IMAP4_SSL(servers.imaps.host, servers.imaps.port, ssl_context=servers.ssl_context(), timeout=TIMEOUT)


@contextlib.contextmanager
def pop3_stls(servers: LiveServers) -> Iterator[POP3]:
    pop3 = POP3(servers.pop3.host, servers.pop3.port, timeout=TIMEOUT)
    with contextlib.closing(pop3):
        pop3.stls(servers.ssl_context())
        yield pop3


@contextlib.contextmanager
def pop3_ssl(servers: LiveServers) -> Iterator[POP3_SSL]:
    pop3 = POP3_SSL(servers.pop3s.host, servers.pop3s.port, timeout=TIMEOUT, context=servers.ssl_context())
    with contextlib.closing(pop3):
        yield pop3


CLASSES = [
    pytest.param(smtp_starttls, id="SMTP"),
    pytest.param(smtp_ssl, id="SMTP_SSL"),
    pytest.param(imap_starttls, id="IMAP4"),
    pytest.param(imap_ssl, id="IMAP4_SSL"),
    pytest.param(pop3_stls, id="POP3"),
    pytest.param(pop3_ssl, id="POP3_SSL"),
]
ONE_OF_EACH = [
    pytest.param(smtp_starttls, smtplib.SMTPAuthenticationError, id="SMTP"),
    pytest.param(imap_ssl, imaplib.IMAP4.error, id="IMAP4_SSL"),
    pytest.param(pop3_ssl, poplib.error_proto, id="POP3_SSL"),
]
MECHANISMS = ["XOAUTH2", "OAUTHBEARER"]


def accepted(client: Any, reply: Any) -> bool:
    """Tell whether a login's return value is the success of its class, and the server agrees."""
    if isinstance(client, SMTP):
        return bool(reply[0] == 235 and client.mail("nobody@mail.test")[0] == 250)
    if isinstance(client, IMAP4):
        return reply[0] == "OK" and client.select()[0] == "OK"
    return bool(reply.startswith(b"+OK") and client.stat()[0] >= 0)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("connect", CLASSES)
def test_a_token_of_the_authorization_server_logs_in(servers: LiveServers, connect: Connect, mechanism: str) -> None:
    user = servers.new_user()
    token = servers.authorization.issue(user)
    with connect(servers) as client:
        assert accepted(client, client.authenticate_oauth(user, token, mechanism=mechanism))


@pytest.mark.parametrize("connect", CLASSES)
def test_a_login_chooses_a_mechanism_by_itself(servers: LiveServers, connect: Connect) -> None:
    user = servers.new_user()
    with connect(servers) as client:
        assert accepted(client, client.authenticate_oauth(user, servers.authorization.issue(user)))


@pytest.mark.parametrize("length", [2500, 5000])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("connect", CLASSES)
def test_long_tokens_log_in_everywhere(servers: LiveServers, connect: Connect, mechanism: str, length: int) -> None:
    user = servers.new_user()
    token = servers.authorization.issue(user, length=length)
    with connect(servers) as client:
        assert accepted(client, client.authenticate_oauth(user, token, mechanism=mechanism))


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("connect", CLASSES)
def test_a_login_asks_the_authorization_server_once(servers: LiveServers, connect: Connect, mechanism: str) -> None:
    user = servers.new_user()
    token = servers.authorization.issue(user)
    with connect(servers) as client:
        client.authenticate_oauth(user, token, mechanism=mechanism)
    assert servers.authorization.introspections_of(token) == 1


def expired(servers: LiveServers, user: str) -> str:
    token = servers.authorization.issue(user)
    servers.authorization.expire(token)
    return token


def revoked(servers: LiveServers, user: str) -> str:
    token = servers.authorization.issue(user)
    servers.authorization.revoke(token)
    return token


def of_another_user(servers: LiveServers, user: str) -> str:
    return servers.authorization.issue(servers.new_user())


def without_the_scope(servers: LiveServers, user: str) -> str:
    return servers.authorization.issue(user, scope="profile")


def invented(servers: LiveServers, user: str) -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("bad_token", [expired, revoked, of_another_user, without_the_scope, invented])
@pytest.mark.parametrize(
    ("mechanism", "status"), [pytest.param("XOAUTH2", "401"), pytest.param("OAUTHBEARER", "invalid_token")]
)
@pytest.mark.parametrize(("connect", "parent"), ONE_OF_EACH)
def test_a_bad_token_is_refused_in_words_and_the_connection_stays_usable(
    servers: LiveServers,
    connect: Connect,
    parent: type[Exception],
    mechanism: str,
    status: str,
    bad_token: Callable[[LiveServers, str], str],
) -> None:
    user = servers.new_user()
    with connect(servers) as client:
        with pytest.raises(parent) as caught:
            client.authenticate_oauth(user, bad_token(servers, user), mechanism=mechanism)
        refusal = caught.value
        assert isinstance(refusal, AuthenticationError)
        assert (refusal.mechanism, refusal.status) == (mechanism, status)
        assert f"Sign in again as {user}" in refusal.hint
        good = servers.authorization.issue(user)
        assert accepted(client, client.authenticate_oauth(user, good, mechanism=mechanism))


@pytest.mark.parametrize(
    ("connect", "code"), [pytest.param(imap_ssl, "[UNAVAILABLE]"), pytest.param(pop3_ssl, "[SYS/TEMP]")]
)
def test_an_outage_of_the_authorization_server_costs_no_token(
    servers: LiveServers, connect: Connect, code: str
) -> None:
    user = servers.new_user()
    token = servers.authorization.issue(user)
    asked: list[str | None] = []

    class Source:
        def token(self, *, rejected: str | None = None) -> str:
            asked.append(rejected)
            return token

    with (
        connect(servers) as client,
        servers.authorization.temporarily_unavailable(),
        pytest.raises(AuthenticationError) as caught,
    ):
        client.authenticate_oauth(user, Source())
    assert (code in caught.value.server_reply, "later" in caught.value.hint, asked) == (True, True, [None])


def renewed_by_requests_oauthlib(servers: LiveServers, token: dict[str, Any]) -> object:
    server = servers.authorization
    return OAuth2Session(
        server.client_id,
        token=token,
        auto_refresh_url=server.token_endpoint,
        auto_refresh_kwargs={"client_id": server.client_id},
    )


def renewed_by_google_auth(servers: LiveServers, token: dict[str, Any]) -> object:
    server = servers.authorization
    return GoogleCredentials(
        token["access_token"],
        refresh_token=token["refresh_token"],
        token_uri=server.token_endpoint,
        client_id=server.client_id,
        client_secret="",
    )


@pytest.mark.parametrize("library", [renewed_by_requests_oauthlib, renewed_by_google_auth])
@pytest.mark.parametrize("connect", CLASSES)
def test_an_expired_token_is_renewed_and_the_login_goes_on(
    servers: LiveServers, connect: Connect, library: Callable[[LiveServers, dict[str, Any]], object]
) -> None:
    user = servers.new_user()
    token = servers.authorization.sign_in(user)
    servers.authorization.expire(token["access_token"])
    with connect(servers) as client:
        assert accepted(client, client.authenticate_oauth(user, library(servers, token)))


def test_what_is_sent_over_smtp_is_read_over_imap_and_pop3(servers: LiveServers) -> None:
    user = servers.new_user()
    token = servers.authorization.issue(user)
    subject = uuid.uuid4().hex
    with smtp_starttls(servers) as smtp:
        smtp.authenticate_oauth(user, token)
        smtp.sendmail(user, [user], f"From: {user}\r\nTo: {user}\r\nSubject: {subject}\r\n\r\nHello\r\n")
    found: list[Any] = []

    def arrived() -> bool:
        with imap_ssl(servers) as imap:
            imap.authenticate_oauth(user, token)
            imap.select()
            found[:] = imap.search(None, "SUBJECT", subject)[1][0].split()
            if found:
                found.append(imap.fetch(found[0].decode(), "(RFC822)")[1][0])
        return bool(found)

    assert eventually(arrived, TIMEOUT)
    assert b"Hello" in found[1][1]
    with pop3_ssl(servers) as pop3:
        pop3.authenticate_oauth(user, token)
        assert f"Subject: {subject}".encode() in pop3.retr(1)[1]


@pytest.mark.parametrize(
    "connect",
    [
        pytest.param(lambda servers: SMTP(*address(servers.submission), timeout=TIMEOUT), id="SMTP"),
        pytest.param(lambda servers: IMAP4(*address(servers.strict_imap), timeout=TIMEOUT), id="IMAP4"),
        pytest.param(
            lambda servers: contextlib.closing(POP3(*address(servers.strict_pop3), timeout=TIMEOUT)), id="POP3"
        ),
    ],
)
def test_no_token_leaves_without_tls(servers: LiveServers, connect: Connect) -> None:
    user = servers.new_user()
    token = servers.authorization.issue(user)
    with connect(servers) as client, pytest.raises(InsecureConnectionError):
        client.authenticate_oauth(user, token)
    assert servers.authorization.introspections_of(token) == 0


def address(service: Any) -> tuple[str, int]:
    return service.host, service.port
