"""The logging handler, configured as applications do and sending to the sandbox."""

from __future__ import annotations

import contextlib
import email
import email.policy
import logging
import logging.config
import logging.handlers
import queue
import smtplib
import ssl
import traceback
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from oauthmail import CredentialsError, FileStore, OAuth2Credentials
from oauthmail.contrib.logging import SMTPHandler
from oauthmail.records import Record
from oauthmail.testing import Mailbox

from ..scripted import Certificates, Line, scripted

#: What dictConfig finds by ``ext://``.
token: object = None
context: ssl.SSLContext | None = None


@pytest.fixture(autouse=True)
def trusted(oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the sandbox as an application trusts servers: by the authorities of the system."""
    monkeypatch.setenv("SSL_CERT_FILE", str(oauth_mailbox.sandbox.ca_file))


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger that nobody else uses; its handlers go with it."""
    found = logging.getLogger("oauthmail-handler-test")
    found.propagate = False
    found.setLevel(logging.DEBUG)
    yield found
    for handler in found.handlers[:]:
        found.removeHandler(handler)
        handler.close()


class SendingError(Exception):
    """A record could not be sent, for the reason that is the cause."""


class Loud(SMTPHandler):
    """Raises where the standard library's handlers print."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        raise SendingError


def handler(mailbox: Mailbox, credentials: object = None, **arguments: Any) -> SMTPHandler:
    address = mailbox.sandbox.smtps if arguments.get("implicit_tls") else mailbox.sandbox.smtp
    return Loud(
        (address.host, address.port),
        "from@sandbox.test",
        [mailbox.user],
        "Trouble",
        (mailbox.user, credentials or mailbox.token),
        **{"timeout": 10, **arguments},
    )


def letters(mailbox: Mailbox) -> list[EmailMessage]:
    return [email.message_from_bytes(octets, policy=email.policy.default) for octets in mailbox.messages()]


def configuration(mailbox: Mailbox, **arguments: object) -> dict[str, Any]:
    """Return what an application's configuration file says."""
    address = mailbox.sandbox.smtp
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "mail": {
                "class": f"{__name__}.Loud",
                "level": "ERROR",
                "mailhost": [address.host, address.port],
                "fromaddr": "from@sandbox.test",
                "toaddrs": [mailbox.user],
                "subject": "Trouble",
                "timeout": 10,
                **arguments,
            }
        },
        "loggers": {"oauthmail-handler-test": {"handlers": ["mail"]}},
    }


# --- sending --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["STARTTLS", "TLS from the start"])
def test_a_record_is_sent(logger: logging.Logger, oauth_mailbox: Mailbox, implicit_tls: bool) -> None:
    logger.addHandler(handler(oauth_mailbox, implicit_tls=implicit_tls))
    logger.error("Disk %s is full", "sda")
    (letter,) = letters(oauth_mailbox)
    assert (letter["Subject"], letter["To"], letter.get_content().strip()) == (
        "Trouble",
        oauth_mailbox.user,
        "Disk sda is full",
    )


def test_text_that_is_not_ascii_arrives(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    logger.addHandler(handler(oauth_mailbox))
    logger.error("Gerät läuft heiß")
    assert letters(oauth_mailbox)[0].get_content().strip() == "Gerät läuft heiß"


def test_a_traceback_is_part_of_the_message(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    logger.addHandler(handler(oauth_mailbox))
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        logger.exception("Failed")
    assert "ZeroDivisionError: by nothing" in letters(oauth_mailbox)[0].get_content()


def test_the_subject_may_depend_on_the_record(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    class ByLevel(Loud):
        def getSubject(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
            return f"{record.levelname}: {super().getSubject(record)}"

    address = oauth_mailbox.sandbox.smtp
    user = oauth_mailbox.user
    made = ByLevel((address.host, address.port), user, user, "Trouble", (user, oauth_mailbox.token), timeout=10)
    logger.addHandler(made)
    logger.critical("Fire")
    assert letters(oauth_mailbox)[0]["Subject"] == "CRITICAL: Trouble"


def test_a_refused_token_is_renewed(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    tokens = iter(["stale", oauth_mailbox.token])
    logger.addHandler(handler(oauth_mailbox, lambda: next(tokens)))
    logger.error("Trouble")
    assert len(letters(oauth_mailbox)) == 1


def test_stored_credentials_are_used_where_only_the_address_is_given(
    logger: logging.Logger, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "oauthmail"))
    FileStore().save(
        Record(oauth_mailbox.user, "google", "imported", credentials=OAuth2Credentials(oauth_mailbox.token))
    )
    logging.config.dictConfig(configuration(oauth_mailbox, credentials=oauth_mailbox.user))
    logger.error("Trouble")
    assert len(letters(oauth_mailbox)) == 1


def test_dict_config_finds_a_callable_and_a_context_of_the_applications_own(
    logger: logging.Logger, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "token", lambda: oauth_mailbox.token)
    monkeypatch.setitem(globals(), "context", oauth_mailbox.sandbox.ssl_context())
    monkeypatch.delenv("SSL_CERT_FILE")
    opening = [oauth_mailbox.user, f"ext://{__name__}.token"]
    logging.config.dictConfig(configuration(oauth_mailbox, credentials=opening, secure=f"ext://{__name__}.context"))
    logger.warning("Below the level")
    logger.error("Trouble")
    assert [letter.get_content().strip() for letter in letters(oauth_mailbox)] == ["Trouble"]


def test_behind_a_queue_nobody_waits(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    logger.addHandler(logging.handlers.QueueHandler(waiting))
    listener = logging.handlers.QueueListener(waiting, handler(oauth_mailbox))
    for number in range(5):
        logger.error("Trouble %d", number)
    before = len(letters(oauth_mailbox))
    listener.start()
    listener.stop()
    sent = [letter.get_content().strip() for letter in letters(oauth_mailbox)]
    assert (before, sent) == (0, [f"Trouble {number}" for number in range(5)])


def test_what_is_logged_while_a_record_is_sent_is_not_sent(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    def token() -> str:
        logger.warning("The token is renewed")
        return oauth_mailbox.token

    logger.addHandler(handler(oauth_mailbox, token))
    logger.error("Trouble")
    logger.error("More trouble")
    assert [letter.get_content().strip() for letter in letters(oauth_mailbox)] == ["Trouble", "More trouble"]


# --- failures -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def failing(kind: type[Exception], match: str) -> Iterator[None]:
    """Expect a record not to be sent, for this reason."""
    with pytest.raises(SendingError) as caught:
        yield
    with pytest.raises(kind, match=match):
        raise caught.value.__context__ or caught.value


def test_a_refusal_goes_to_the_handlers_handle_error(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    logger.addHandler(handler(oauth_mailbox, "wrong"))
    with failing(Exception, "Sign in again"):
        logger.error("Trouble")
    assert letters(oauth_mailbox) == []


def test_after_a_failure_the_next_record_is_sent(logger: logging.Logger, oauth_mailbox: Mailbox) -> None:
    tokens = iter(["wrong", "wrong", oauth_mailbox.token])
    logger.addHandler(handler(oauth_mailbox, lambda: next(tokens)))
    with failing(Exception, "Sign in again"):
        logger.error("Trouble")
    logger.error("More trouble")
    assert [letter.get_content().strip() for letter in letters(oauth_mailbox)] == ["More trouble"]


def test_a_mailbox_that_is_not_set_up_is_told(
    logger: logging.Logger, oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "oauthmail"))
    logging.config.dictConfig(configuration(oauth_mailbox, credentials=oauth_mailbox.user))
    with failing(CredentialsError, "is not set up"):
        logger.error("Trouble")


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["STARTTLS", "TLS from the start"])
@pytest.mark.parametrize("secure", [None, ()], ids=["None", "empty"])
def test_an_untrusted_server_gets_no_token(
    logger: logging.Logger,
    oauth_mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    secure: Any,
    implicit_tls: bool,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    logger.addHandler(handler(oauth_mailbox, secure=secure, implicit_tls=implicit_tls))
    with failing(ssl.SSLError, "certificate verify failed"):
        logger.error("Trouble")
    assert [line for line in oauth_mailbox.received("smtp") if line.upper().startswith("AUTH")] == []


def test_a_server_without_tls_gets_no_token_and_no_open_connection(logger: logging.Logger) -> None:
    def without_tls(line: Line) -> None:
        line.send(b"220 mock\r\n")
        line.answer(b"250-mock\r\n250 AUTH XOAUTH2\r\n")
        # Ends when the client closes.
        line.drain()

    with scripted(without_tls) as server:
        made = Loud(("127.0.0.1", server.port), "a@b.test", "a@b.test", "Trouble", ("a@b.test", "token"), timeout=10)
        logger.addHandler(made)
        with failing(smtplib.SMTPNotSupportedError, "STARTTLS"):
            logger.error("Trouble")
    assert [line[:4].upper() for line in server.received] == [b"EHLO"]


def test_the_standard_errors_stream_shows_no_token(
    logger: logging.Logger, oauth_mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    address = oauth_mailbox.sandbox.smtp
    user = oauth_mailbox.user
    wrong = "wrong-token-of-some-length"
    logger.addHandler(SMTPHandler((address.host, address.port), user, user, "Trouble", (user, wrong), timeout=10))
    logger.error("Trouble")
    shown = capsys.readouterr().err
    assert ("SMTPOAuthError" in shown, wrong in shown) == (True, False)


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param((), id="empty tuple"),
        pytest.param(("me@example.com",), id="one item"),
        pytest.param((None, "token"), id="no address"),
        pytest.param(7, id="number"),
    ],
)
def test_a_handler_without_a_mailbox_is_refused(credentials: Any) -> None:
    with pytest.raises(CredentialsError, match="mailbox address"):
        SMTPHandler("smtp.example.com", "a@example.com", "b@example.com", "Trouble", credentials)


def test_a_token_in_the_wrong_place_is_not_shown() -> None:
    def make(token: Callable[[], str]) -> None:
        SMTPHandler("smtp.example.com", "a@example.com", "b@example.com", "Trouble", (None, token()))

    with pytest.raises(CredentialsError) as caught:
        make(lambda: "-".join(["very", "secret"]))
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert "very-secret" not in "".join(lines)


@pytest.mark.parametrize(
    ("mailhost", "port", "implicit_tls"),
    [
        ("smtp.example.com", 587, False),
        (("smtp.example.com", 465), 465, True),
        (("smtp.example.com", 587), 587, False),
    ],
)
def test_tls_begins_with_the_connection_on_port_465(mailhost: Any, port: int, implicit_tls: bool) -> None:
    made = SMTPHandler(mailhost, "a@example.com", "b@example.com", "Trouble", "a@example.com")
    assert (made.mailport, made._implicit_tls) == (port, implicit_tls)


def test_the_files_of_a_client_certificate_are_loaded(certificates: Certificates, tmp_path: Path) -> None:
    issued = certificates.authority.issue_cert("client.example")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(chain))
    SMTPHandler("smtp.example.com", "a@b.test", "c@b.test", "Trouble", "a@b.test", (str(key), str(chain)))
    with pytest.raises(ssl.SSLError):
        SMTPHandler("smtp.example.com", "a@b.test", "c@b.test", "Trouble", "a@b.test", (str(chain), str(chain)))
