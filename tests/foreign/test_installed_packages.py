"""Packages as they are, with a password that opens nothing, under `oauthmail.install`."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import smtplib
import warnings
from collections.abc import Callable, Iterator

import django
import flask
import flask_mail
import pytest
from django.conf import settings
from django.core import mail
from django.test import override_settings
from imap_tools import AND, MailBox, MailboxLoginError, MailBoxStartTls
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from oauthmail import MemoryStore, OAuth2Credentials
from oauthmail.installed import install
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from .conftest import Like

with warnings.catch_warnings():
    # What it imports to make HTML neat is older than some of today's warnings.
    warnings.simplefilter("ignore")
    import yagmail  # type: ignore[import-untyped]

HOST = "localhost"
PASSWORD = "the-old-password"
#: From 6.1 on Django has MAILERS, and its older settings are deprecated.
MAILERS = django.VERSION >= (6, 1)

if not settings.configured:
    settings.configure()


@pytest.fixture(params=["generic", "gmail", "microsoft", "yahoo"])
def mailbox(like: Like, request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    """A mailbox at a server that behaves like one of these."""
    mailbox = Mailbox(like(request.param))
    yield mailbox
    mailbox.sandbox.clear_faults()


@pytest.fixture(autouse=True)
def installed(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install; and trust the sandbox by the system's authorities, as packages do that verify."""
    monkeypatch.setenv("SSL_CERT_FILE", str(mailbox.sandbox.ca_file))
    with install(store=store(mailbox.sandbox, mailbox.user, mailbox.token)):
        yield


def store(sandbox: Sandbox, user: str, token: str) -> MemoryStore:
    """Return a store in which a mailbox is set up with a token."""
    kept = MemoryStore()
    credentials = OAuth2Credentials(token, expires_at=4e9)
    kept.save(Record(user, "sandbox", "imported", None, credentials, definition=sandbox.provider.definition()))
    return kept


def logged_in_with_oauth(mailbox: Mailbox) -> bool:
    """Tell whether somebody logged in, and nobody with a password."""
    words = [set(line.upper().split()[:3]) for line in mailbox.received()]
    return any("XOAUTH2" in found for found in words) and not any(
        found & {"LOGIN", "USER", "PASS", "PLAIN", "CRAM-MD5"} for found in words
    )


# --- sending ----------------------------------------------------------------------------------------------------------


def by_yagmail_ssl(mailbox: Mailbox) -> None:
    with yagmail.SMTP(mailbox.user, PASSWORD, host=HOST, port=mailbox.sandbox.smtps.port) as yag:
        yag.send(mailbox.user, "Hello", "Text")


def by_yagmail_starttls(mailbox: Mailbox) -> None:
    with yagmail.SMTP(mailbox.user, PASSWORD, host=HOST, port=mailbox.sandbox.smtp.port, smtp_ssl=False) as yag:
        yag.send(mailbox.user, "Hello", "Text")


def by_flask_mail(mailbox: Mailbox, **security: bool) -> None:
    application = flask.Flask(__name__)
    port = (mailbox.sandbox.smtps if security.get("MAIL_USE_SSL") else mailbox.sandbox.smtp).port
    application.config.update(
        MAIL_SERVER=HOST,
        MAIL_PORT=port,
        MAIL_USERNAME=mailbox.user,
        MAIL_PASSWORD=PASSWORD,
        MAIL_DEFAULT_SENDER=mailbox.user,
        **security,
    )
    mailer = flask_mail.Mail(application)
    with application.app_context():
        mailer.send(flask_mail.Message("Hello", [mailbox.user], "Text"))


def by_flask_mail_ssl(mailbox: Mailbox) -> None:
    by_flask_mail(mailbox, MAIL_USE_SSL=True)


def by_flask_mail_starttls(mailbox: Mailbox) -> None:
    by_flask_mail(mailbox, MAIL_USE_TLS=True)


def by_django(mailbox: Mailbox, security: str) -> None:
    port = (mailbox.sandbox.smtps if security == "use_ssl" else mailbox.sandbox.smtp).port
    options = {"host": HOST, "port": port, "username": mailbox.user, "password": PASSWORD, security: True}
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if MAILERS:
        configured: dict[str, object] = {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
    else:
        names = {"username": "HOST_USER", "password": "HOST_PASSWORD"}
        configured = {f"EMAIL_{names.get(name, name.upper())}": value for name, value in options.items()}
        configured["EMAIL_BACKEND"] = backend
    with override_settings(**configured):
        assert mail.send_mail("Hello", "Text", mailbox.user, [mailbox.user]) == 1


def by_django_ssl(mailbox: Mailbox) -> None:
    by_django(mailbox, "use_ssl")


def by_django_starttls(mailbox: Mailbox) -> None:
    by_django(mailbox, "use_tls")


def by_logging(mailbox: Mailbox) -> None:
    handler = logging.handlers.SMTPHandler(
        (HOST, mailbox.sandbox.smtp.port),
        mailbox.user,
        mailbox.user,
        "Hello",
        (mailbox.user, PASSWORD),
        secure=(),
    )
    handler.emit(logging.LogRecord("test", logging.ERROR, __file__, 1, "Text", None, None))
    handler.close()


@pytest.mark.parametrize(
    "send",
    [
        by_yagmail_ssl,
        by_yagmail_starttls,
        by_flask_mail_ssl,
        by_flask_mail_starttls,
        by_django_ssl,
        by_django_starttls,
        by_logging,
    ],
)
def test_a_package_sends(mailbox: Mailbox, send: Callable[[Mailbox], None]) -> None:
    send(mailbox)
    assert [b"Hello" in message for message in mailbox.messages()] == [True]
    assert logged_in_with_oauth(mailbox)


# --- reading ----------------------------------------------------------------------------------------------------------


def by_imapclient_ssl(mailbox: Mailbox) -> list[str]:
    return by_imapclient(mailbox, tls=True)


def by_imapclient_starttls(mailbox: Mailbox) -> list[str]:
    return by_imapclient(mailbox, tls=False)


def by_imapclient(mailbox: Mailbox, *, tls: bool) -> list[str]:
    sandbox = mailbox.sandbox
    with IMAPClient(HOST, (sandbox.imaps if tls else sandbox.imap).port, ssl=tls) as client:
        if not tls:
            client.starttls()
        client.login(mailbox.user, PASSWORD)
        client.select_folder("INBOX")
        found = client.fetch(client.search(["ALL"]), ["ENVELOPE"])
        return [message[b"ENVELOPE"].subject.decode() for message in found.values()]


def by_imap_tools_ssl(mailbox: Mailbox) -> list[str]:
    with MailBox(HOST, mailbox.sandbox.imaps.port).login(mailbox.user, PASSWORD) as box:
        return [message.subject for message in box.fetch(AND(all=True))]


def by_imap_tools_starttls(mailbox: Mailbox) -> list[str]:
    with MailBoxStartTls(HOST, mailbox.sandbox.imap.port).login(mailbox.user, PASSWORD) as box:
        return [message.subject for message in box.fetch(AND(all=True))]


@pytest.mark.parametrize("read", [by_imapclient_ssl, by_imapclient_starttls, by_imap_tools_ssl, by_imap_tools_starttls])
def test_a_package_reads(mailbox: Mailbox, read: Callable[[Mailbox], list[str]]) -> None:
    mailbox.sandbox.deliver(mailbox.user, b"Subject: Hello\r\n\r\nText\r\n")
    assert read(mailbox) == ["Hello"]
    assert logged_in_with_oauth(mailbox)


# --- refusals ---------------------------------------------------------------------------------------------------------


# Some of them leave the connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("use", "error"),
    [
        pytest.param(by_yagmail_ssl, smtplib.SMTPAuthenticationError, id="yagmail"),
        pytest.param(by_flask_mail_ssl, smtplib.SMTPAuthenticationError, id="Flask-Mail"),
        pytest.param(by_django_ssl, smtplib.SMTPAuthenticationError, id="Django"),
        pytest.param(by_imapclient_ssl, LoginError, id="imapclient"),
        pytest.param(by_imap_tools_ssl, MailboxLoginError, id="imap_tools"),
    ],
)
def test_a_package_hears_of_a_refusal_by_its_own_exception(
    mailbox: Mailbox, use: Callable[[Mailbox], object], error: type[Exception]
) -> None:
    wrong = store(mailbox.sandbox, mailbox.user, "a-wrong-token")
    with install(store=wrong), pytest.raises(error, match="Sign in again"):
        use(mailbox)
    gc.collect()
