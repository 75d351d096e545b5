"""The set-up itself works, shown with the standard library's own clients and raw AUTH lines."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import poplib
import smtplib
import ssl
from typing import TYPE_CHECKING

import pytest
from oauthlib.oauth2 import InvalidGrantError
from requests_oauthlib import OAuth2Session

from oauthmail.sandbox.live.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import LiveServers

    Login = Callable[[LiveServers, str, str], bool]

TIMEOUT = 10
ACCEPTED = 235
CHALLENGED = 334


def xoauth2(user: str, token: str) -> bytes:
    """Return XOAUTH2's one message, not yet in base64."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def imap_login(servers: LiveServers, user: str, token: str) -> bool:
    """Tell whether IMAP with STARTTLS lets the user in; a second challenge is answered with nothing."""
    with imaplib.IMAP4(servers.imap.host, servers.imap.port, timeout=TIMEOUT) as imap:
        imap.starttls(servers.ssl_context())
        messages = iter([xoauth2(user, token)])
        try:
            imap.authenticate("XOAUTH2", lambda _challenge: next(messages, b""))
        except imap.error:
            return False
        return imap.state == "AUTH"


def pop3_login(servers: LiveServers, user: str, token: str) -> bool:
    """Tell whether POP3 with STLS lets the user in."""
    pop3 = poplib.POP3(servers.pop3.host, servers.pop3.port, timeout=TIMEOUT)
    try:
        pop3.stls(servers.ssl_context())
        answer = pop3_auth(pop3, user, token)
    except poplib.error_proto:
        return False
    finally:
        pop3.close()
    return answer.startswith(b"+OK")


def pop3_auth(pop3: poplib.POP3, user: str, token: str) -> bytes:
    """Send the two lines of AUTH XOAUTH2 and acknowledge a refusal's challenge."""
    pop3_command(pop3, "AUTH XOAUTH2")
    answer = pop3_command(pop3, base64.b64encode(xoauth2(user, token)).decode())
    return pop3_command(pop3, "") if answer.startswith(b"+ ") else answer


def pop3_command(pop3: poplib.POP3, line: str) -> bytes:
    """Send *line* and return the answer; poplib has no public name for that."""
    answer: bytes = pop3._shortcmd(line)  # type: ignore[attr-defined]
    return answer


def smtp_login(servers: LiveServers, user: str, token: str) -> bool:
    """Tell whether submission with STARTTLS lets the user in."""
    with smtplib.SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT) as smtp:
        smtp.starttls(context=servers.ssl_context())
        smtp.ehlo()
        return smtp_auth(smtp, user, token) == ACCEPTED


def smtp_auth(smtp: smtplib.SMTP, user: str, token: str) -> int:
    """Send the two lines of AUTH XOAUTH2, acknowledge a refusal's challenge, and return the last code."""
    smtp.docmd("AUTH", "XOAUTH2")
    code, _ = smtp.docmd(base64.b64encode(xoauth2(user, token)).decode())
    return smtp.docmd("")[0] if code == CHALLENGED else code


def message_count(servers: LiveServers, user: str, token: str) -> int:
    """Log in to POP3 and count the messages."""
    context = servers.ssl_context()
    pop3 = poplib.POP3_SSL(servers.pop3s.host, servers.pop3s.port, context=context, timeout=TIMEOUT)
    with contextlib.closing(pop3):
        pop3_auth(pop3, user, token)
        return pop3.stat()[0]


LOGINS = pytest.mark.parametrize(
    "login",
    [
        pytest.param(imap_login, id="imap"),
        pytest.param(pop3_login, id="pop3"),
        pytest.param(smtp_login, id="submission"),
    ],
)


@pytest.fixture
def user(servers: LiveServers) -> str:
    """Return an address nobody used before."""
    return servers.new_user()


@LOGINS
def test_a_token_of_the_code_flow_logs_in(login: Login, servers: LiveServers, user: str) -> None:
    assert login(servers, user, servers.authorization.issue(user))


@LOGINS
def test_a_token_of_5000_characters_logs_in(login: Login, servers: LiveServers, user: str) -> None:
    assert login(servers, user, servers.authorization.issue(user, length=5000))


@LOGINS
def test_an_expired_token_is_refused(login: Login, servers: LiveServers, user: str) -> None:
    token = servers.authorization.issue(user)
    servers.authorization.expire(token)
    assert not login(servers, user, token)


@LOGINS
def test_a_revoked_token_is_refused(login: Login, servers: LiveServers, user: str) -> None:
    token = servers.authorization.issue(user)
    servers.authorization.revoke(token)
    assert not login(servers, user, token)


@LOGINS
def test_a_token_without_the_scope_is_refused(login: Login, servers: LiveServers, user: str) -> None:
    assert not login(servers, user, servers.authorization.issue(user, scope="profile"))


@LOGINS
def test_another_users_token_is_refused(login: Login, servers: LiveServers, user: str) -> None:
    assert not login(servers, user, servers.authorization.issue(servers.new_user()))


@LOGINS
def test_nobody_logs_in_while_introspection_is_unavailable(login: Login, servers: LiveServers, user: str) -> None:
    token = servers.authorization.issue(user)
    with servers.authorization.temporarily_unavailable():
        assert not login(servers, user, token)


def test_a_login_asks_introspection_once(servers: LiveServers, user: str) -> None:
    token = servers.authorization.issue(user)
    imap_login(servers, user, token)
    assert servers.authorization.introspections_of(token) == 1


def test_implicit_tls_imap_logs_in(servers: LiveServers, user: str) -> None:
    message = xoauth2(user, servers.authorization.issue(user))
    context = servers.ssl_context()
    with imaplib.IMAP4_SSL(servers.imaps.host, servers.imaps.port, ssl_context=context, timeout=TIMEOUT) as imap:
        assert imap.authenticate("XOAUTH2", lambda _challenge: message)[0] == "OK"


def test_implicit_tls_pop3_logs_in(servers: LiveServers, user: str) -> None:
    token = servers.authorization.issue(user)
    context = servers.ssl_context()
    pop3 = poplib.POP3_SSL(servers.pop3s.host, servers.pop3s.port, context=context, timeout=TIMEOUT)
    with contextlib.closing(pop3):
        assert pop3_auth(pop3, user, token).startswith(b"+OK")


def test_implicit_tls_submission_logs_in(servers: LiveServers, user: str) -> None:
    token = servers.authorization.issue(user)
    context = servers.ssl_context()
    address = servers.submissions
    with smtplib.SMTP_SSL(address.host, address.port, context=context, timeout=TIMEOUT) as smtp:
        smtp.ehlo()
        assert smtp_auth(smtp, user, token) == ACCEPTED


def test_strict_imap_offers_no_login_before_tls(servers: LiveServers) -> None:
    with imaplib.IMAP4(servers.strict_imap.host, servers.strict_imap.port, timeout=TIMEOUT) as imap:
        assert "LOGINDISABLED" in imap.capabilities


def test_strict_pop3_offers_no_mechanism_before_tls(servers: LiveServers) -> None:
    pop3 = poplib.POP3(servers.strict_pop3.host, servers.strict_pop3.port, timeout=TIMEOUT)
    with contextlib.closing(pop3):
        assert pop3.capa()["SASL"] == []


def test_submission_offers_no_login_before_tls(servers: LiveServers) -> None:
    with smtplib.SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("auth")


def test_a_submitted_message_arrives(servers: LiveServers, user: str) -> None:
    recipient = servers.new_user()
    with smtplib.SMTP(servers.submission.host, servers.submission.port, timeout=TIMEOUT) as smtp:
        smtp.starttls(context=servers.ssl_context())
        smtp.ehlo()
        smtp_auth(smtp, user, servers.authorization.issue(user))
        smtp.sendmail(user, [recipient], "Subject: hello\n\nReal mail.\n")
    token = servers.authorization.issue(recipient)
    assert eventually(lambda: message_count(servers, recipient, token) == 1, TIMEOUT)


def test_the_certificate_passes_strict_verification(servers: LiveServers) -> None:
    context = servers.ssl_context()
    # Python 3.13 has this flag in every default context.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    address = servers.imaps
    with imaplib.IMAP4_SSL(address.host, address.port, ssl_context=context, timeout=TIMEOUT) as imap:
        assert imap.noop()[0] == "OK"


def test_a_refresh_token_works_once(servers: LiveServers, user: str) -> None:
    authorization = servers.authorization
    with OAuth2Session(authorization.client_id, token=authorization.sign_in(user)) as session:
        old = session.token["refresh_token"]
        session.refresh_token(authorization.token_endpoint, client_id=authorization.client_id)
        with pytest.raises(InvalidGrantError):
            session.refresh_token(authorization.token_endpoint, old, client_id=authorization.client_id)
