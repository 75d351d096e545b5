"""Programs written for passwords log in to Dovecot and Postfix under ``oauthmail run``, unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oauthmail import Account, FileStore
from oauthmail.sandbox.live.process import eventually

from .. import legacy

if TYPE_CHECKING:
    from .conftest import LiveServers

PASSWORD = "the-old-password"


@pytest.fixture
def account(servers: LiveServers, tmp_path: Path) -> Account:
    """A mailbox, not set up yet, and the programs beside it."""
    account = Account(
        servers.new_user(),
        provider=servers.provider,
        application=servers.application,
        store=FileStore(tmp_path / "home"),
        timeout=10,
    )
    legacy.write(
        tmp_path,
        host="localhost",
        user=account.address,
        password=PASSWORD,
        smtp=servers.submission.port,
        smtps=servers.submissions.port,
        imaps=servers.imaps.port,
        pop3s=servers.pop3s.port,
    )
    return account


@pytest.fixture
def ready(account: Account, servers: LiveServers) -> Account:
    """The same, set up."""
    return account.authorize(open_browser=servers.browser())


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oauthmail", "run", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "OAUTHMAIL_HOME": str(folder / "home")},
    )


def subjects(account: Account) -> list[str]:
    with account.imap() as imap:
        if imap.select()[1] == [b"0"]:
            return []
        found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    return [part[1].decode().removeprefix("Subject: ").strip() for part in found if isinstance(part, tuple)]


def test_a_report_is_sent_and_read_over_imap_and_pop3(ready: Account, tmp_path: Path) -> None:
    sent = run(tmp_path, "report.py", "Umsatz")
    assert (sent.returncode, sent.stdout) == (0, "Email sent!\n"), sent.stderr
    assert eventually(lambda: subjects(ready) == ["Umsatz"], 10)
    read = run(tmp_path, "-m", "fetch_imap")
    assert (read.returncode, read.stdout, read.stderr) == (0, "Umsatz\n", "")
    emptied = run(tmp_path, "fetch_pop.py")
    assert (emptied.returncode, "\nUmsatz\n" in emptied.stdout, subjects(ready)) == (0, True, [])


def test_errors_are_mailed(ready: Account, tmp_path: Path) -> None:
    done = run(tmp_path, "log_errors.py")
    assert (done.returncode, "Logging error" in done.stderr) == (0, False)
    assert eventually(lambda: subjects(ready) == ["Application error"], 10)


def test_a_token_that_has_ended_is_renewed(ready: Account, tmp_path: Path, servers: LiveServers) -> None:
    servers.expire_token(ready.token())
    assert run(tmp_path, "report.py").returncode == 0


@pytest.mark.parametrize("program", ["report.py", "fetch_imap.py", "fetch_pop.py"])
def test_without_oauth_the_programs_fail(account: Account, tmp_path: Path, program: str) -> None:
    done = run(tmp_path, program)
    assert (done.returncode != 0, f"{account.address} at localhost: not set up here" in done.stderr) == (True, True)
