"""The backend inside the real Django, against the sandbox."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oauthmail import CredentialsError, FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.testing import Mailbox

django = pytest.importorskip("django", reason="Django is not installed")

from django.conf import settings  # noqa: E402  # there may be no Django
from django.core import mail  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.test import override_settings  # noqa: E402

BACKEND = "oauthmail.contrib.django.EmailBackend"
#: From 6.1 on Django has MAILERS, and its older settings are deprecated.
MAILERS = django.VERSION >= (6, 1)
NAMES = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "timeout": "EMAIL_TIMEOUT",
    "credentials": "OAUTHMAIL_CREDENTIALS",
}
WAYS = ["settings", "mailers"] if MAILERS else ["settings"]

if not settings.configured:
    settings.configure()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How Django is told of the backend."""
    return str(request.param)


@pytest.fixture(autouse=True)
def trusted(oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the sandbox as Django trusts servers: by the authorities of the system."""
    monkeypatch.setenv("SSL_CERT_FILE", str(oauth_mailbox.sandbox.ca_file))


@contextlib.contextmanager
def told(way: str, mailbox: Mailbox, **options: object) -> Iterator[None]:
    """Have Django configured for the mailbox; an option that is None is left out."""
    address = mailbox.sandbox.smtps if options.get("use_ssl") else mailbox.sandbox.smtp
    known = {"host": address.host, "port": address.port, "username": mailbox.user, "timeout": 10}
    known["use_tls"] = not options.get("use_ssl")
    chosen = {name: value for name, value in (known | options).items() if value is not None}
    with warnings.catch_warnings():
        if way == "mailers":
            configured: dict[str, object] = {"MAILERS": {"default": {"BACKEND": BACKEND, "OPTIONS": chosen}}}
        else:
            chosen.pop("fail_silently", None)
            configured = {"EMAIL_BACKEND": BACKEND} | {NAMES[name]: value for name, value in chosen.items()}
            if MAILERS:
                warnings.simplefilter("ignore", django.utils.deprecation.RemovedInDjango2028Warning)
        with override_settings(**configured):
            yield


def send(mailbox: Mailbox, subject: str = "Hello", **arguments: Any) -> int:
    return int(mail.send_mail(subject, "Text\n.dots\n", "from@sandbox.test", [mailbox.user], **arguments))


def connection() -> Any:
    """Return a backend as Django makes it."""
    return mail.mailers.default if hasattr(settings, "MAILERS") else mail.get_connection()


def logins(mailbox: Mailbox) -> int:
    return len([line for line in mailbox.received("smtp") if line.upper().startswith("AUTH ")])


class Renewing:
    """A `TokenSource` whose first token is refused."""

    def __init__(self, good: str) -> None:
        self._good = good

    def token(self, *, rejected: str | None = None) -> str:
        return self._good if rejected == "stale" else "stale"


found_by_path: object = None


# --- sending --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["use_tls", "use_ssl"])
def test_a_message_is_sent(way: str, oauth_mailbox: Mailbox, security: str) -> None:
    ssl_or_tls = {"use_tls": None, "use_ssl": None, security: True}
    with told(way, oauth_mailbox, credentials=lambda: oauth_mailbox.token, **ssl_or_tls):
        assert send(oauth_mailbox) == 1
    assert b"Subject: Hello" in oauth_mailbox.messages()[0]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda token: lambda: token, id="callable"),
        pytest.param(OAuth2Credentials, id="OAuth2Credentials"),
        pytest.param(lambda token: {"access_token": token}, id="token response"),
        pytest.param(Renewing, id="TokenSource that renews"),
    ],
)
def test_whatever_opens_a_mailbox_is_taken(way: str, oauth_mailbox: Mailbox, made: Callable[[str], object]) -> None:
    with told(way, oauth_mailbox, credentials=made(oauth_mailbox.token)):
        assert send(oauth_mailbox) == 1


@pytest.mark.parametrize("made", [lambda token: lambda: token, Renewing], ids=["callable", "TokenSource"])
def test_a_dotted_path_is_followed(
    way: str, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, made: Callable[[str], object]
) -> None:
    monkeypatch.setitem(globals(), "found_by_path", made(oauth_mailbox.token))
    with told(way, oauth_mailbox, credentials=f"{__name__}.found_by_path"):
        assert send(oauth_mailbox) == 1


def test_without_credentials_the_stored_ones_are_used(
    way: str, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "oauthmail"))
    credentials = OAuth2Credentials(oauth_mailbox.token)
    FileStore().save(Record(oauth_mailbox.user, "google", "imported", credentials=credentials))
    with told(way, oauth_mailbox):
        assert send(oauth_mailbox) == 1


def test_a_mailbox_that_is_not_set_up_is_told(
    way: str, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "oauthmail"))
    with told(way, oauth_mailbox), pytest.raises(CredentialsError, match=f"{oauth_mailbox.user} is not set up"):
        send(oauth_mailbox)


@pytest.mark.skipif(not MAILERS, reason="this Django has no MAILERS")
def test_the_option_of_one_mailer_goes_before_the_setting_for_all(oauth_mailbox: Mailbox) -> None:
    with (
        told("mailers", oauth_mailbox, credentials=lambda: oauth_mailbox.token),
        override_settings(OAUTHMAIL_CREDENTIALS=lambda: "wrong"),
    ):
        assert send(oauth_mailbox) == 1


def test_the_old_password_is_never_sent(way: str, oauth_mailbox: Mailbox) -> None:
    with told(way, oauth_mailbox, password="old-password", credentials=lambda: oauth_mailbox.token):
        assert send(oauth_mailbox) == 1
    commands = [line.split()[:2] for line in oauth_mailbox.received("smtp") if line.upper().startswith("AUTH")]
    assert commands == [["AUTH", "XOAUTH2"]]


class Empty:
    """A `TokenSource` that looks like nothing where somebody asks for its truth only."""

    def __init__(self, good: str) -> None:
        self._good = good

    def token(self, *, rejected: str | None = None) -> str:
        return self._good

    def __bool__(self) -> bool:
        return False


def test_credentials_that_look_empty_are_no_reason_to_leave_the_login_out(way: str, oauth_mailbox: Mailbox) -> None:
    with told(way, oauth_mailbox, credentials=Empty(oauth_mailbox.token)):
        assert send(oauth_mailbox) == 1
    assert logins(oauth_mailbox) == 1


@pytest.mark.skipif(not MAILERS, reason="this Django has no MAILERS")
def test_django_does_not_take_the_backend_for_one_that_was_made_by_hand(oauth_mailbox: Mailbox) -> None:
    with told("settings", oauth_mailbox, credentials=lambda: oauth_mailbox.token), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert send(oauth_mailbox) == 1


# --- connections ----------------------------------------------------------------------------------------------------


def test_several_messages_go_over_one_connection(way: str, oauth_mailbox: Mailbox) -> None:
    with told(way, oauth_mailbox, credentials=lambda: oauth_mailbox.token):
        backend = connection()
        letters = [
            mail.EmailMessage(str(number), "Text", "from@sandbox.test", [oauth_mailbox.user]) for number in range(5)
        ]
        assert backend.send_messages(letters) == 5
    assert (len(oauth_mailbox.messages()), logins(oauth_mailbox)) == (5, 1)


def test_an_open_connection_is_reused(way: str, oauth_mailbox: Mailbox) -> None:
    with told(way, oauth_mailbox, credentials=lambda: oauth_mailbox.token), connection() as backend:
        assert backend.open() is False
        for number in range(3):
            letter = mail.EmailMessage(str(number), "Text", "from@sandbox.test", [oauth_mailbox.user])
            assert backend.send_messages([letter]) == 1
    assert logins(oauth_mailbox) == 1


def test_every_connection_asks_for_a_token_of_its_own(way: str, oauth_mailbox: Mailbox) -> None:
    given: list[str] = []

    def token() -> str:
        given.append(oauth_mailbox.token)
        return oauth_mailbox.token

    with told(way, oauth_mailbox, credentials=token):
        send(oauth_mailbox)
        send(oauth_mailbox)
    assert len(given) == 2


# --- failures -------------------------------------------------------------------------------------------------------


def silently(way: str) -> tuple[dict[str, object], dict[str, Any]]:
    """Return the option and the argument by which errors are passed over."""
    return ({"fail_silently": True}, {}) if way == "mailers" else ({}, {"fail_silently": True})


def test_a_refusal_is_raised_as_smtplibs(way: str, oauth_mailbox: Mailbox) -> None:
    with (
        told(way, oauth_mailbox, credentials=lambda: "wrong"),
        pytest.raises(smtplib.SMTPAuthenticationError, match="Sign in again"),
    ):
        send(oauth_mailbox)


def no_token() -> str:
    raise CredentialsError("no token today")


@pytest.mark.parametrize("credentials", [lambda: "wrong", no_token], ids=["refused", "no token"])
def test_failing_silently_covers_the_login(way: str, oauth_mailbox: Mailbox, credentials: Callable[[], str]) -> None:
    option, argument = silently(way)
    with told(way, oauth_mailbox, credentials=credentials, **option):
        assert send(oauth_mailbox, **argument) == 0


def test_after_a_silent_failure_nothing_is_sent_without_a_login(way: str, oauth_mailbox: Mailbox) -> None:
    option, argument = silently(way)
    # Refused ones are asked for twice.
    tokens = iter(["wrong", "wrong", oauth_mailbox.token])
    with told(way, oauth_mailbox, credentials=lambda: next(tokens), **option):
        backend = mail.mailers.default if way == "mailers" else mail.get_connection(**argument)
        letter = mail.EmailMessage("Hello", "Text", "from@sandbox.test", [oauth_mailbox.user])
        assert [backend.send_messages([letter]), backend.send_messages([letter])] == [0, 1]


def test_a_failed_login_leaves_no_connection(way: str, oauth_mailbox: Mailbox) -> None:
    with told(way, oauth_mailbox, credentials=lambda: "wrong"):
        backend = connection()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            backend.open()
        assert (backend.connection, getattr(backend, "_partial_connection", None)) == (None, None)


def test_an_untrusted_server_gets_no_token(way: str, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with told(way, oauth_mailbox, credentials=lambda: oauth_mailbox.token), pytest.raises(ssl.SSLError):
        send(oauth_mailbox)
    assert logins(oauth_mailbox) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"use_tls": None}, "EMAIL_USE_TLS", id="no TLS"),
        pytest.param({"username": ""}, "EMAIL_HOST_USER", id="no mailbox"),
        pytest.param({"credentials": "very-secret.token"}, "dotted path", id="a token for a path"),
        pytest.param({"credentials": "verysecrettoken"}, "dotted path", id="a token without dots"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anything_is_sent(
    way: str, oauth_mailbox: Mailbox, options: dict[str, object], message: str
) -> None:
    option, argument = silently(way)
    # Also where errors of delivery are passed over.
    with (
        told(way, oauth_mailbox, **{"credentials": lambda: oauth_mailbox.token, **option, **options}),
        pytest.raises(ImproperlyConfigured, match=message),
    ):
        send(oauth_mailbox, **argument)
    assert oauth_mailbox.received("smtp") == []


def test_a_token_in_place_of_a_path_is_not_shown(oauth_mailbox: Mailbox) -> None:
    from oauthmail.contrib.django import _imported

    with pytest.raises(ImproperlyConfigured) as caught:
        _imported("-".join(["very", "secret"]))
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert "very-secret" not in "".join(lines)
