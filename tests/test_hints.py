"""Plain advice for refusals: the texts that servers are known to send, and what must come of them."""

from __future__ import annotations

import pytest

from oauthmail.hints import advise

USER = "me@example.com"


@pytest.mark.parametrize(
    ("protocol", "reply", "status", "scope", "words", "token_refused"),
    [
        pytest.param(
            "imap",
            "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
            "400",
            "https://mail.google.com/",
            "grant the scope https://mail.google.com/",
            True,
            id="Gmail IMAP",
        ),
        pytest.param("imap", "BAD Invalid SASL argument. abc", None, None, "report", False, id="Gmail, malformed"),
        pytest.param(
            "imap",
            "NO [ALERT] Application-specific password required: https://support.google.com/accounts/"
            "answer/185833 (Failure)",
            None,
            None,
            "app password",
            False,
            id="Gmail, app password",
        ),
        pytest.param(
            "imap",
            "NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/"
            "answer/78754 (Failure)",
            None,
            None,
            "web browser",
            False,
            id="Gmail, browser",
        ),
        pytest.param(
            "imap",
            "NO [ALERT] Your account is not enabled for IMAP use.",
            None,
            None,
            "turn it on",
            False,
            id="Gmail, IMAP off",
        ),
        pytest.param(
            "imap",
            "NO [ALERT] IMAP access is disabled for your domain.",
            None,
            None,
            "administrator",
            False,
            id="Gmail, IMAP off for the domain",
        ),
        pytest.param(
            "imap",
            "NO [ALERT] Too many simultaneous connections. (Failure)",
            None,
            None,
            "Close other",
            False,
            id="Gmail, connections",
        ),
        pytest.param("imap", "NO [UNAVAILABLE] Temporary System Error", None, None, "later", False, id="Gmail, outage"),
        pytest.param(
            "smtp",
            "535 5.7.8 Username and Password not accepted. Learn more at\n5.7.8 "
            "https://support.google.com/mail/?p=BadCredentials x",
            "400",
            None,
            "account that was signed in",
            True,
            id="Gmail SMTP",
        ),
        pytest.param(
            "smtp",
            "534 5.7.14 <https://accounts.google.com/x> Please log in via your web browser",
            None,
            None,
            "web browser",
            False,
            id="Gmail SMTP, browser",
        ),
        pytest.param(
            "smtp",
            "534 5.7.9 Application-specific password required.",
            None,
            None,
            "app password",
            False,
            id="Gmail SMTP, app password",
        ),
        pytest.param(
            "smtp", "530 5.7.0 Must issue a STARTTLS command first", None, None, "Start TLS", False, id="no TLS"
        ),
        pytest.param(
            "smtp",
            "454 4.7.0 Too many login attempts, please try again later",
            None,
            None,
            "later",
            False,
            id="Gmail SMTP, throttled",
        ),
        pytest.param(
            "pop", "-ERR [AUTH] Username and password not accepted.", None, None, "Sign in again", True, id="Gmail POP3"
        ),
        pytest.param(
            "pop",
            "-ERR [SYS/PERM] Your account is not enabled for POP access.",
            None,
            None,
            "turn it on",
            False,
            id="Gmail, POP3 off",
        ),
        pytest.param(
            "smtp",
            "535 5.7.3 Authentication unsuccessful [AB.prod.outlook.com]",
            None,
            None,
            "SMTP.Send",
            True,
            id="Microsoft SMTP",
        ),
        pytest.param(
            "smtp",
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
            "Tenant. Visit https://aka.ms/smtp_auth_disabled",
            None,
            None,
            "switched off",
            False,
            id="Microsoft, SMTP AUTH off",
        ),
        pytest.param(
            "smtp",
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
            None,
            None,
            "switched off",
            False,
            id="Microsoft, SMTP AUTH off for the mailbox",
        ),
        pytest.param(
            "smtp",
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            None,
            None,
            "use OAuth",
            False,
            id="Microsoft, password",
        ),
        pytest.param(
            "smtp",
            "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.",
            None,
            None,
            "administrator",
            False,
            id="Microsoft, policy",
        ),
        pytest.param(
            "smtp",
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            None,
            None,
            "use OAuth",
            False,
            id="Microsoft, passwords retired",
        ),
        pytest.param(
            "smtp",
            "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon",
            None,
            None,
            "10 minutes",
            True,
            id="Microsoft HVE",
        ),
        pytest.param(
            "smtp", "504 5.7.4 Unrecognized authentication type", None, None, "port 587", False, id="Microsoft, no TLS"
        ),
        pytest.param("imap", "NO AUTHENTICATE failed.", None, None, "IMAP.AccessAsUser.All", True, id="Microsoft IMAP"),
        pytest.param(
            "imap",
            "BAD User is authenticated but not connected.",
            None,
            None,
            "may not open",
            False,
            id="Microsoft, other mailbox",
        ),
        pytest.param(
            "pop",
            "-ERR Protocol error. Connection is closed. 10",
            None,
            None,
            "report",
            False,
            id="Microsoft POP3, line too long",
        ),
        pytest.param(
            "pop",
            "-ERR Authentication failure: unknown user name or bad password.",
            None,
            None,
            "POP.AccessAsUser.All",
            True,
            id="Microsoft POP3",
        ),
        pytest.param(
            "imap",
            "NO [AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials",
            None,
            None,
            "Sign in again",
            True,
            id="Yahoo IMAP",
        ),
        pytest.param(
            "smtp", "535 5.7.0 (#AUTH005) Too many bad auth attempts.", None, None, "Wait", False, id="Yahoo SMTP"
        ),
        pytest.param(
            "imap",
            "NO [AUTHENTICATIONFAILED] AUTHENTICATE invalid credentials or IMAP is disabled sc=x",
            None,
            None,
            "Enable IMAP",
            True,
            id="Yandex",
        ),
        pytest.param("smtp", "535 5.7.0 NEOBHODIM parol prilozheniya", None, None, "app password", False, id="Mail.ru"),
        pytest.param(
            "imap",
            "NO [AUTHENTICATIONFAILED] Authentication failed.",
            "401",
            "mail",
            "Sign in again",
            True,
            id="Dovecot",
        ),
        pytest.param(
            "smtp",
            "535 5.7.8 Error: authentication failed: (reason unavailable)",
            None,
            None,
            "Sign in again",
            True,
            id="Postfix",
        ),
        pytest.param(
            "smtp", "503 5.5.1 Error: authentication not enabled", None, None, "starttls()", False, id="Postfix, no TLS"
        ),
        pytest.param(
            "smtp", "500 5.5.6 SASL response limit exceeded", None, None, "report", False, id="Postfix, too long"
        ),
        pytest.param("imap", "NO [AUTHORIZATIONFAILED] no", None, None, "may not open", False, id="other user"),
        pytest.param("imap", "NO [EXPIRED] no", None, None, "expired", True, id="expired"),
        pytest.param("imap", "NO [PRIVACYREQUIRED] no", None, None, "Start TLS", False, id="IMAP, no TLS"),
        pytest.param("pop", "-ERR [IN-USE] locked", None, None, "Another program", False, id="mailbox locked"),
        pytest.param(
            "pop", "-ERR [SYS/TEMP] Temporary authentication failure.", None, None, "later", False, id="POP3, outage"
        ),
        pytest.param("smtp", "421 4.7.0 closing", None, None, "later", False, id="SMTP, closing"),
        pytest.param(
            "smtp",
            "432 4.7.12 transition needed",
            None,
            None,
            "password must be changed",
            False,
            id="password transition",
        ),
        pytest.param(
            "imap", "NO x", "insufficient_scope", "mail.send", "grant the scope mail.send", False, id="scope too narrow"
        ),
        pytest.param("imap", "NO x", "invalid_token", None, "Sign in again", True, id="RFC 7628 invalid_token"),
    ],
)
def test_a_known_refusal_has_its_advice(
    protocol: str, reply: str, status: str | None, scope: str | None, words: str, token_refused: bool
) -> None:
    advice = advise(protocol, reply, status=status, scope=scope, user=USER)
    assert (words in advice.hint, advice.token_refused) == (True, token_refused), advice


@pytest.mark.parametrize(
    ("protocol", "reply"),
    [
        ("imap", "NO Ask Peter"),
        ("imap", "NO [ALERT] The cellar is flooded"),
        ("imap", "NO [CONTACTADMIN] Call 12345"),
        ("pop", "-ERR nope"),
        ("pop", "-ERR [SYS/PERM] mailbox gone"),
        ("smtp", "554 5.7.1 not you"),
    ],
)
def test_an_unknown_refusal_gets_the_servers_own_words(protocol: str, reply: str) -> None:
    assert advise(protocol, reply, status=None, scope=None, user=USER).hint == reply


def test_braces_in_a_servers_words_are_only_braces() -> None:
    assert advise("imap", "NO {user} {0}", status=None, scope=None, user="{x}").hint == "NO {user} {0}"


def test_the_user_is_named_in_the_advice() -> None:
    assert USER in advise("smtp", "535 5.7.8 no", status=None, scope=None, user=USER).hint
