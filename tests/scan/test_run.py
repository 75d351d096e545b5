"""What a change makes of a script works: it logs in to real servers with a token, and does what it did before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oauthmail import Account, FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.scan import scan_source, write

from .samples import Sample, sample

#: Script of the corpus, what it prints, and the kind of token that its server is sent.
SCRIPTS = [
    pytest.param(1, "sent", id="starttls and login"),
    pytest.param(2, "sent", id="from smtplib import"),
    pytest.param(3, "OK 1", id="IMAP, arguments on lines of their own"),
    pytest.param(4, "connected\nWaiting", id="POP3, user() and pass_()"),
    pytest.param(5, "sent", id="docmd() with a function for the string"),
    pytest.param(6, "OK", id="authenticate() with a lambda"),
    pytest.param(7, "sent", id="a class, an import in a method"),
    pytest.param(8, "1", id="POP3 with STLS"),
    pytest.param(9, "Waiting\nOK", id="IMAP with STARTTLS, import as, keywords"),
    pytest.param(10, "sent", id="smtplib's auth()"),
    pytest.param(11, "OK", id="python-oauth2"),
    pytest.param(12, "sent", id="one class or the other"),
    pytest.param(13, "sent poplib", id="a context manager of the script's own"),
    pytest.param(14, "250", id="TLS without a login"),
]


@pytest.fixture
def environment(oauth_sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """What the scripts look up: servers, a mailbox that is set up, and no password that opens anything."""
    user = oauth_sandbox.new_user()
    token = oauth_sandbox.issue_token(user)
    oauth_sandbox.deliver(user, b"Subject: Waiting\r\n\r\nRead me.\r\n")
    record = Record(user, "sandbox", "imported", credentials=OAuth2Credentials(token), definition={"id": "sandbox"})
    store = FileStore(tmp_path / "home")
    with store.lock(user):
        store.save(record)
    legacy = oauth_sandbox.issue_oauth1(user)
    ports = {
        name: str(getattr(oauth_sandbox, name).port) for name in ("smtp", "smtps", "imap", "imaps", "pop3", "pop3s")
    }
    return {
        **os.environ,
        **{f"{name.upper()}_HOST": "localhost" for name in ports},
        **{f"{name.upper()}_PORT": port for name, port in ports.items()},
        "MAIL_USER": user,
        "MAIL_PASSWORD": "this is not sent to anybody",
        "ACCESS_TOKEN": token,
        "CONSUMER_KEY": legacy.client_key,
        "CONSUMER_SECRET": legacy.client_secret,
        "TOKEN_KEY": str(legacy.resource_owner_key),
        "TOKEN_SECRET": legacy.resource_owner_secret,
        "OAUTHMAIL_HOME": str(tmp_path / "home"),
        "SSL_CERT_FILE": str(oauth_sandbox.ca_file),
    }


def run(script: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def applied(script: Sample, folder: Path) -> Path:
    """Write a script to a file, change the file, and return it."""
    path = folder / f"{script.name}.py"
    path.write_text(script.text)
    raw = path.read_bytes()
    changed = scan_source(raw).changed
    assert changed is not None
    write(path, raw, changed)
    return path


@pytest.mark.parametrize(("number", "printed"), SCRIPTS)
def test_a_changed_script_runs(
    number: int, printed: str, environment: dict[str, str], oauth_sandbox: Sandbox, tmp_path: Path
) -> None:
    before = len(oauth_sandbox.received())
    done = run(applied(sample(number), tmp_path), environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, printed, "")
    sent = " ".join(oauth_sandbox.received()[before:])
    assert re.findall(r"\b(?:PASS|LOGIN|PLAIN)\b", sent) == []


def test_a_changed_script_says_so_where_the_mailbox_is_not_set_up(environment: dict[str, str], tmp_path: Path) -> None:
    script = applied(sample(1), tmp_path)
    done = run(script, {**environment, "OAUTHMAIL_HOME": str(tmp_path / "empty")})
    assert (done.returncode, "oauthmail authorize" in done.stderr) == (1, True)


def test_the_scripts_fail_as_they_were(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "before.py"
    path.write_text(sample(1).text)
    assert run(path, environment).returncode == 1


def test_the_mailbox_of_the_tests_is_set_up(environment: dict[str, str]) -> None:
    store = FileStore(environment["OAUTHMAIL_HOME"])
    assert Account(environment["MAIL_USER"], store=store).token() == environment["ACCESS_TOKEN"]
