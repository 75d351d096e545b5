"""Scripts as they are found in the wild, after the change that the guides tell, over Dovecot and Postfix.

Those for OAuth 1.0a are not among them: no server that is shipped today has it.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oauthmail import Account, FileStore
from oauthmail.sandbox.live.process import eventually

from ..compat.google_rig import visit
from ..compat.test_oauth2 import SCRIPTS, START
from ..legacy_rig import CHANGES, ONE_LINE, Place, converse, run, set_up, written

if TYPE_CHECKING:
    from .conftest import LiveServers

TIMEOUT = 20


@pytest.fixture
def place(servers: LiveServers) -> Place:
    user = servers.new_user()
    return Place(
        user,
        servers.authorization.issue(user),
        servers.provider,
        str(servers.ca_file),
        smtp=servers.submission.port,
        smtps=servers.submissions.port,
        imaps=servers.imaps.port,
        pop3s=servers.pop3s.port,
        base_url=str(servers.web.https_url),
    )


@pytest.fixture
def home(tmp_path: Path, place: Place) -> Path:
    """Where the mailbox is set up."""
    folder = tmp_path / "home"
    set_up(place, folder)
    return folder


def count(place: Place, home: Path) -> int:
    """Return how many messages there are."""
    with Account(place.user, store=FileStore(home), timeout=10).imap() as imap:
        return int(imap.select("INBOX", readonly=True)[1][0] or 0)


def arrived(place: Place, home: Path, number: int) -> bool:
    return eventually(lambda: count(place, home) == number, TIMEOUT)


def deliver(place: Place, home: Path, *subjects: str) -> None:
    for number, subject in enumerate(subjects, 1):
        with Account(place.user, store=FileStore(home), timeout=10).smtp() as smtp:
            smtp.sendmail(place.user, [place.user], f"Subject: {subject}\r\n\r\nText\r\n")
        # One after the other, so that they are in this order.
        assert arrived(place, home, number)


@pytest.mark.parametrize("name", ["login_over_smtp_ssl", "docmd_recipe"])
def test_a_script_that_sends_does_so(place: Place, home: Path, tmp_path: Path, name: str) -> None:
    done = run(written(name, place, tmp_path, CHANGES[name]), place, home)
    assert (done.returncode, done.stdout) == (0, "sent\n"), done.stderr
    assert arrived(place, home, 1)


def test_a_pop3_fetcher_fetches(place: Place, home: Path, tmp_path: Path) -> None:
    deliver(place, home, "Order 1", "Order 2")
    done = run(written("pop3_fetcher", place, tmp_path, CHANGES["pop3_fetcher"]), place, home)
    assert (done.returncode, done.stdout) == (0, "Order 1\nOrder 2\n"), done.stderr
    assert count(place, home) == 0


def test_a_handler_mails_its_errors(place: Place, home: Path, tmp_path: Path) -> None:
    done = run(written("smtp_handler", place, tmp_path, CHANGES["smtp_handler"]), place, home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert arrived(place, home, 1)


def test_authenticate_with_a_lambda_reads(place: Place, home: Path, tmp_path: Path) -> None:
    deliver(place, home, "One")
    done = run(written("authenticate_lambda", place, tmp_path, CHANGES["authenticate_lambda"]), place, home)
    assert (done.returncode, done.stdout) == (0, "1 unread\n"), done.stderr
    assert place.token not in done.stderr


BY_PASSWORD = {"login_over_smtp_ssl": "sent\n", "pop3_fetcher": "Order\n", "smtp_handler": "done\n"}


@pytest.mark.parametrize("name", BY_PASSWORD)
def test_a_script_runs_unchanged(place: Place, home: Path, tmp_path: Path, name: str) -> None:
    deliver(place, home, "Order")
    done = run(written(name, place, tmp_path), place, home, words=["-m", "oauthmail", "run"])
    assert (done.returncode, done.stdout, done.stderr) == (0, BY_PASSWORD[name], "")
    assert arrived(place, home, 0 if name == "pop3_fetcher" else 2)


@pytest.mark.parametrize("name", BY_PASSWORD)
def test_a_script_runs_with_one_line_on_top(place: Place, home: Path, tmp_path: Path, name: str) -> None:
    deliver(place, home, "Order")
    path = written(name, place, tmp_path)
    path.write_text(f"{ONE_LINE}\n{path.read_text('utf-8')}", "utf-8")
    done = run(path, place, home)
    assert (done.returncode, done.stdout, done.stderr) == (0, BY_PASSWORD[name], "")


def test_the_gmail_blog_script_gets_a_refresh_token_and_sends(
    servers: LiveServers, place: Place, home: Path, tmp_path: Path
) -> None:
    path = written("gmail_blog", place, tmp_path, CHANGES["gmail_blog"])
    text = path.read_text("utf-8").replace("'client id'", repr(servers.web.client_id))
    path.write_text(text.replace("'client secret'", repr(servers.web.client_secret)), "utf-8")
    settings = {"oauth2": {"GOOGLE_ACCOUNTS_BASE_URL": place.base_url, "SMTP_HOSTNAME": f"localhost:{place.smtp}"}}

    def person(address: str) -> None:
        visit(servers, address, place.user)

    printed = converse(path, place, home, settings, person)
    (token,) = re.findall("Set the following as your GOOGLE_REFRESH_TOKEN: (.*)\n", printed)
    path.write_text(path.read_text("utf-8").replace("GOOGLE_REFRESH_TOKEN = None", f"GOOGLE_REFRESH_TOKEN = {token!r}"))
    assert converse(path, place, home, settings, None) == ""
    assert arrived(place, home, 1)


def with_oauth2(name: str) -> str:
    """Return a script for python-oauth2 with the same calls and other credentials, as its guide tells."""
    script = START + textwrap.dedent(SCRIPTS[name])
    script = script.replace("import oauth2", "import oauthmail.compat.oauth2")
    script = re.sub("^consumer = .*\n", "mailbox = oauthmail.Account(user).credentials\n", script, flags=re.MULTILINE)
    script = re.sub("^token = .*\n", "", script, flags=re.MULTILINE)
    script = re.sub(r"authenticate\(.*, consumer, token\)", "authenticate(user, mailbox)", script)
    return script.replace("import sys\n", "import sys, oauthmail\n")


def run_with_oauth2(name: str, place: Place, home: Path, folder: Path) -> str:
    path = folder / "script.py"
    # Its arguments are in the script, as `run` gives none.
    arguments = ["script.py", "localhost", str(place.smtp), str(place.imaps), place.user]
    path.write_text(f"import sys\nsys.argv = {arguments!r}\n{with_oauth2(name)}", "utf-8")
    done = run(path, place, home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_bulk_script_for_python_oauth2_sends_with_oauth_2(place: Place, home: Path, tmp_path: Path) -> None:
    assert run_with_oauth2("SMTP, many messages", place, home, tmp_path) == "sent 60\n"
    assert arrived(place, home, 60)


def test_the_search_and_fetch_script_for_python_oauth2_reads_with_oauth_2(
    place: Place, home: Path, tmp_path: Path
) -> None:
    deliver(place, home, "Order 1", "Greetings", "Order 2")
    assert run_with_oauth2("IMAP, search and fetch", place, home, tmp_path) == "['Order 1', 'Order 2', 3]\n"
