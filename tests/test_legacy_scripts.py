"""Scripts as they are found in the wild, after the change that the guides tell, against the sandbox."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oauthmail.testing import Mailbox

from .compat.google_rig import verifier, visit
from .legacy_rig import CHANGES, ONE_LINE, Place, converse, documented, run, set_up, written


@pytest.fixture
def place(oauth_mailbox: Mailbox) -> Place:
    sandbox = oauth_mailbox.sandbox
    return Place(
        oauth_mailbox.user,
        oauth_mailbox.token,
        sandbox.provider,
        str(sandbox.ca_file),
        smtp=sandbox.smtp.port,
        smtps=sandbox.smtps.port,
        imaps=sandbox.imaps.port,
        pop3s=sandbox.pop3s.port,
        base_url=str(sandbox.web.https_url),
    )


@pytest.fixture
def home(tmp_path: Path, place: Place) -> Path:
    """Where the mailbox is set up."""
    folder = tmp_path / "home"
    set_up(place, folder)
    return folder


def deliver(mailbox: Mailbox, *subjects: str) -> None:
    for subject in subjects:
        mailbox.sandbox.deliver(mailbox.user, f"Subject: {subject}\r\n\r\nText\r\n".encode())


def passwords(mailbox: Mailbox) -> list[str]:
    """Return the lines by which somebody tried a password."""
    return [line for line in mailbox.received() if re.search(r"\b(LOGIN|USER|PASS|PLAIN)\b(?!.*[Oo][Kk])", line)]


@pytest.mark.parametrize("name", CHANGES)
def test_the_change_to_a_script_is_what_the_guides_tell(name: str) -> None:
    assert set(CHANGES[name]) <= documented()


@pytest.mark.parametrize("name", ["login_over_smtp_ssl", "docmd_recipe"])
def test_a_script_that_sends_does_so(
    place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox, name: str
) -> None:
    done = run(written(name, place, tmp_path, CHANGES[name]), place, home)
    assert (done.returncode, done.stdout) == (0, "sent\n"), done.stderr
    assert (len(oauth_mailbox.messages()), passwords(oauth_mailbox)) == (1, [])


def test_the_recipe_for_docmd_says_why_it_is_refused(place: Place, tmp_path: Path, oauth_mailbox: Mailbox) -> None:
    set_up(place, tmp_path / "home")
    oauth_mailbox.sandbox.revoke_token(place.token)
    done = run(written("docmd_recipe", place, tmp_path, CHANGES["docmd_recipe"]), place, tmp_path / "home")
    # As it was, the script went on and reported a failure of the message.
    assert "SMTPOAuthError" in done.stderr or "FlowError" in done.stderr


def test_a_pop3_fetcher_fetches(place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox) -> None:
    deliver(oauth_mailbox, "Order 1", "Order 2")
    done = run(written("pop3_fetcher", place, tmp_path, CHANGES["pop3_fetcher"]), place, home)
    assert (done.returncode, done.stdout) == (0, "Order 1\nOrder 2\n"), done.stderr
    assert (oauth_mailbox.messages(), passwords(oauth_mailbox)) == ([], [])


def test_a_handler_mails_its_errors(place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox) -> None:
    done = run(written("smtp_handler", place, tmp_path, CHANGES["smtp_handler"]), place, home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    (message,) = oauth_mailbox.messages()
    assert b"KeyError: 'customer'" in message


def test_authenticate_with_a_lambda_reads(place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox) -> None:
    deliver(oauth_mailbox, "One", "Two")
    done = run(written("authenticate_lambda", place, tmp_path, CHANGES["authenticate_lambda"]), place, home)
    assert (done.returncode, done.stdout) == (0, "2 unread\n"), done.stderr
    assert place.token not in done.stderr


# --- with no change, or a line on top -------------------------------------------------------------------------------

BY_PASSWORD = ["login_over_smtp_ssl", "pop3_fetcher", "smtp_handler"]


def output_of(name: str) -> str:
    return {"login_over_smtp_ssl": "sent\n", "pop3_fetcher": "Order\n", "smtp_handler": "done\n"}[name]


@pytest.mark.parametrize("name", BY_PASSWORD)
def test_a_script_runs_unchanged(place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox, name: str) -> None:
    deliver(oauth_mailbox, "Order")
    done = run(written(name, place, tmp_path), place, home, words=["-m", "oauthmail", "run"])
    assert (done.returncode, done.stdout, done.stderr) == (0, output_of(name), "")
    # One that sends adds a message, one that fetches takes it away.
    assert len(oauth_mailbox.messages()) == (0 if name == "pop3_fetcher" else 2)
    assert passwords(oauth_mailbox) == []


@pytest.mark.parametrize("name", BY_PASSWORD)
def test_a_script_runs_with_one_line_on_top(
    place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox, name: str
) -> None:
    deliver(oauth_mailbox, "Order")
    path = written(name, place, tmp_path)
    path.write_text(f"{ONE_LINE}\n{path.read_text('utf-8')}", "utf-8")
    done = run(path, place, home)
    assert (done.returncode, done.stdout, done.stderr) == (0, output_of(name), "")
    assert passwords(oauth_mailbox) == []


# --- Google's scripts -----------------------------------------------------------------------------------------------


def oauth2_settings(place: Place) -> dict[str, dict[str, str]]:
    return {
        "oauth2": {"GOOGLE_ACCOUNTS_BASE_URL": place.base_url, "SMTP_HOSTNAME": f"localhost:{place.smtp}"},
    }


def test_the_gmail_blog_script_gets_a_refresh_token_and_sends(
    place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox
) -> None:
    sandbox = oauth_mailbox.sandbox
    path = written("gmail_blog", place, tmp_path, CHANGES["gmail_blog"])
    text = path.read_text("utf-8").replace("'client id'", repr(sandbox.web.client_id))
    path.write_text(text.replace("'client secret'", repr(sandbox.web.client_secret)), "utf-8")

    def person(address: str) -> None:
        visit(sandbox, address, place.user)

    printed = converse(path, place, home, oauth2_settings(place), person)
    (token,) = re.findall("Set the following as your GOOGLE_REFRESH_TOKEN: (.*)\n", printed)
    path.write_text(path.read_text("utf-8").replace("GOOGLE_REFRESH_TOKEN = None", f"GOOGLE_REFRESH_TOKEN = {token!r}"))
    assert converse(path, place, home, oauth2_settings(place), None) == ""
    (message,) = oauth_mailbox.messages()
    assert b"Subject: A mail from you from Python" in message
    assert b"So happy to hear from you!" in message


def xoauth_settings(place: Place) -> dict[str, dict[str, str]]:
    return {
        "xoauth": {
            "REQUEST_TOKEN_URL": f"{place.base_url}/oauth1/request_token",
            "AUTHORIZE_TOKEN_URL": f"{place.base_url}/oauth1/authorize",
            "ACCESS_TOKEN_URL": f"{place.base_url}/oauth1/access_token",
        },
    }


def test_the_three_legged_script_for_xoauth_lists(
    place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox
) -> None:
    deliver(oauth_mailbox, "One")
    sandbox = oauth_mailbox.sandbox
    path = written("xoauth_three_legged", place, tmp_path, CHANGES["xoauth_three_legged"])
    own = f'"{sandbox.web.oauth1_client_key}", "{sandbox.web.oauth1_client_secret}"'
    path.write_text(path.read_text("utf-8").replace('"anonymous", "anonymous"', own), "utf-8")
    printed = converse(
        path, place, home, xoauth_settings(place), lambda address: verifier(sandbox, address, place.user)
    )
    assert printed.splitlines()[-1].removeprefix("Enter verification code: ") == "('OK', [b'1'])"


def test_the_two_legged_script_for_xoauth_sends_as_everybody(
    place: Place, home: Path, tmp_path: Path, oauth_mailbox: Mailbox
) -> None:
    issued = oauth_mailbox.sandbox.issue_oauth1(place.user, two_legged=True)
    other = oauth_mailbox.sandbox.new_user()
    path = written("xoauth_two_legged", place, tmp_path, CHANGES["xoauth_two_legged"])
    text = path.read_text("utf-8").replace("you@example.com", other)
    own = f'"{issued.client_key}", "{issued.client_secret}"'
    path.write_text(text.replace('"example.com", "consumer secret"', own), "utf-8")
    done = run(path, place, home)
    assert (done.returncode, done.stdout) == (0, f"{place.user}\n{other}\n"), done.stderr
    logins = [line for line in oauth_mailbox.received("smtp") if line.startswith("AUTH XOAUTH")]
    assert (len(logins), len(oauth_mailbox.messages())) == (2, 1)
