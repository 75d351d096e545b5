"""The code of the guide to frameworks, as it stands there, against the sandbox."""

from __future__ import annotations

import logging
import re
import sys
import textwrap
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oauthmail import FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.testing import Mailbox

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "frameworks.rst").read_text("utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"code-block:: python\n\n((?: {4}.*\n|\n)+)", GUIDE)]


@pytest.fixture(autouse=True)
def project(oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """The application around the guide's code: ``project.mail.token``, and a mailbox that is set up."""
    found, mail = types.ModuleType("project"), types.ModuleType("project.mail")
    vars(mail)["token"] = lambda: oauth_mailbox.token
    vars(found)["mail"] = mail
    monkeypatch.setitem(sys.modules, "project", found)
    monkeypatch.setitem(sys.modules, "project.mail", mail)
    monkeypatch.setenv("SSL_CERT_FILE", str(oauth_mailbox.sandbox.ca_file))
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path / "oauthmail"))
    credentials = OAuth2Credentials(oauth_mailbox.token)
    FileStore().save(Record(oauth_mailbox.user, "google", "imported", credentials=credentials))
    return found


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, with its handlers as they were afterwards."""
    found = logging.getLogger()
    before = found.handlers[:]
    yield found
    for handler in found.handlers[:]:
        if handler not in before:
            found.removeHandler(handler)
            handler.close()
    found.handlers[:] = before


def run(words: str, mailbox: Mailbox, **names: object) -> dict[str, Any]:
    """Run the guide's one block that has these words in it, with the sandbox for the server."""
    (block,) = (block for block in BLOCKS if words in block)
    address = mailbox.sandbox.smtp
    block = block.replace("smtp.gmail.com", address.host).replace("587", str(address.port))
    block = block.replace("me@example.com", mailbox.user).replace("you@example.com", mailbox.user)
    exec(block, names)  # noqa: S102  # our own guide
    return names


@pytest.mark.parametrize("words", ["EMAIL_BACKEND =", "MAILERS ="])
def test_the_settings_for_django_send(oauth_mailbox: Mailbox, words: str) -> None:
    django = pytest.importorskip("django", reason="Django is not installed")
    from django.conf import settings
    from django.core import mail
    from django.test import override_settings

    if words == "MAILERS =" and django.VERSION < (6, 1):
        pytest.skip("this Django has no MAILERS")
    if not settings.configured:
        settings.configure()
    said = {name: value for name, value in run(words, oauth_mailbox).items() if name.isupper()}
    with warnings.catch_warnings():
        # What Django 6.1 says of its older settings.
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        with override_settings(**said):
            assert mail.send_mail("Hello", "Text", oauth_mailbox.user, [oauth_mailbox.user]) == 1
    assert len(oauth_mailbox.messages()) == 1


def test_the_configuration_for_logging_sends(oauth_mailbox: Mailbox, root: logging.Logger) -> None:
    run("dictConfig", oauth_mailbox)
    logging.getLogger("application").error("Trouble")
    assert len(oauth_mailbox.messages()) == 1


def test_the_queue_for_logging_sends(oauth_mailbox: Mailbox, root: logging.Logger, project: types.ModuleType) -> None:
    listener = run("QueueListener", oauth_mailbox, project=project)["listener"]
    logging.getLogger("application").error("Trouble")
    listener.stop()
    assert len(oauth_mailbox.messages()) == 1


@pytest.mark.parametrize("security", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
def test_the_classes_for_flask_mail_send(oauth_mailbox: Mailbox, security: str) -> None:
    flask = pytest.importorskip("flask", reason="Flask is not installed")
    flask_mail = pytest.importorskip("flask_mail", reason="Flask-Mail is not installed")
    sandbox = oauth_mailbox.sandbox
    address = sandbox.smtps if security == "MAIL_USE_SSL" else sandbox.smtp
    app = flask.Flask("application")
    app.config |= {
        "MAIL_SERVER": address.host,
        "MAIL_PORT": address.port,
        "MAIL_USERNAME": oauth_mailbox.user,
        "MAIL_MAX_EMAILS": 2,
        security: True,
    }
    mail = run("flask_mail", oauth_mailbox)["Mail"](app)
    with app.app_context(), mail.connect() as connection:
        for number in range(3):
            connection.send(flask_mail.Message(str(number), [oauth_mailbox.user], "Text", sender=oauth_mailbox.user))
    # One more than MAIL_MAX_EMAILS, so the connection was made twice.
    logins = [line for line in oauth_mailbox.received("smtp") if line.startswith("AUTH XOAUTH2")]
    assert (len(oauth_mailbox.messages()), len(logins)) == (3, 2)


def test_the_guide_has_the_code_that_is_run() -> None:
    assert len(BLOCKS) == 5
