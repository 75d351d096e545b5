"""``oauthmail string``: what a client sends to log in, as other tools print it."""

from __future__ import annotations

import base64
import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from oauthmail import Application, FileStore, OAuth1Credentials, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.signing import xoauth_string

from .rig import oauthmail, set_up

USER = "me@example.com"
URL = "https://mail.google.com/mail/b/me@example.com/imap/"


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    (tmp_path / "token").write_text("ya29.token\n")
    return str(tmp_path / "token")


def sent(run: subprocess.CompletedProcess[str]) -> str:
    """Return what was printed, decoded."""
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("\n") == 1
    return base64.b64decode(run.stdout, validate=False).decode()


def test_xoauth2_is_printed_as_googles_tool_does(home: Path, token_file: str) -> None:
    run = oauthmail("string", "xoauth2", USER, "--token-file", token_file, home=home)
    # The worked example of Google's page on XOAUTH2 has this form.
    assert sent(run) == f"user={USER}\x01auth=Bearer ya29.token\x01\x01"


def test_raw_is_not_encoded_and_has_no_line_end(home: Path, token_file: str) -> None:
    run = oauthmail("string", "xoauth2", USER, "--raw", "--token-file", token_file, home=home)
    assert run.stdout == f"user={USER}\x01auth=Bearer ya29.token\x01\x01"


def test_the_token_may_come_on_standard_input(home: Path) -> None:
    run = oauthmail("string", "xoauth2", USER, "--token-file", "-", home=home, text="ya29.token\n")
    assert sent(run) == f"user={USER}\x01auth=Bearer ya29.token\x01\x01"


def test_the_token_of_a_mailbox_is_taken_where_none_is_named(home: Path) -> None:
    store = FileStore(home)
    held = OAuth2Credentials("stored-token", expires_at=4e9)
    with store.lock(USER):
        store.save(Record(USER, "google", "device", Application("client"), held))
    assert "auth=Bearer stored-token\x01" in sent(oauthmail("string", "xoauth2", USER, home=home))


def test_oauthbearer_names_the_server_as_the_rfc_does(home: Path, token_file: str) -> None:
    arguments = ["--host", "server.example.com", "--port", "143", "--token-file", token_file]
    run = oauthmail("string", "oauthbearer", "user@example.com", *arguments, home=home)
    # RFC 7628 section 4.1, with another token.
    assert sent(run) == (
        "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer ya29.token\x01\x01"
    )


@pytest.mark.parametrize("requestor", [False, True], ids=["three-legged", "two-legged"])
def test_xoauth_is_signed_with_what_files_and_the_environment_say(home: Path, tmp_path: Path, requestor: bool) -> None:
    (tmp_path / "secret").write_text("client secret\n")
    arguments = ["--client-key", "key", "--client-secret-file", str(tmp_path / "secret")]
    arguments += ["--requestor-id", USER] if requestor else ["--token-key", "token"]
    run = oauthmail("string", "xoauth", URL, *arguments, home=home, OAUTHMAIL_TOKEN_SECRET="token secret")
    message = sent(run)
    said = {name: urllib.parse.unquote(value) for name, value in re.findall(r'(oauth_\w+)="([^"]*)"', message)}
    credentials = OAuth1Credentials(
        *("key", "client secret", None if requestor else "token", "token secret"),
        requestor_id=USER if requestor else None,
    )
    nonce, timestamp = said["oauth_nonce"], said["oauth_timestamp"]
    assert message == xoauth_string(URL, credentials, nonce=nonce, timestamp=timestamp)


def test_xoauth_of_a_mailbox_that_is_set_up_needs_nothing_else(home: Path, oauth_sandbox: Sandbox) -> None:
    user = oauth_sandbox.new_user()
    set_up(
        home,
        oauth_sandbox,
        user,
        credentials=oauth_sandbox.issue_oauth1(user),
        definition=oauth_sandbox.provider,
    )
    run = oauthmail("string", "xoauth", user, "--protocol", "smtp", home=home)
    assert sent(run).startswith(f"GET https://localhost/mail/b/{user}/smtp/ oauth_consumer_key=")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        pytest.param(["xoauth2", USER], 1, "is not set up", id="no mailbox"),
        pytest.param(["xoauth2", USER, "--token-file", "/none"], 1, "/none: No such file", id="no file"),
        pytest.param(["xoauth2", "me\x01you", "--token-file", "-"], 1, "control character", id="no address"),
        pytest.param(["xoauth", URL], 2, "a request URL goes with --client-key", id="no client"),
        pytest.param(["xoauth", URL, "--client-key", "k"], 1, "OAUTHMAIL_CLIENT_SECRET", id="no secret"),
        pytest.param(["xoauth", USER], 1, "is not set up", id="no mailbox for a signature"),
        pytest.param(["plain", USER], 2, "invalid choice", id="no such mechanism"),
        pytest.param([], 2, "required: MECHANISM", id="no mechanism"),
    ],
)
def test_what_is_missing_is_said(home: Path, arguments: list[str], status: int, told: str) -> None:
    run = oauthmail("string", *arguments, home=home, text="token\n")
    assert (run.returncode, run.stdout, told in run.stderr) == (status, "", True), run.stderr


@pytest.mark.parametrize("content", ["", "one\ntwo\n", "m\u00e9\n"])
def test_a_file_that_holds_no_token_is_refused(home: Path, content: str) -> None:
    run = oauthmail("string", "xoauth2", USER, "--token-file", "-", home=home, text=content)
    assert (run.returncode, "must hold the access token and nothing else" in run.stderr) == (1, True)


def test_a_mailbox_of_oauth_2_has_no_signature(home: Path, oauth_sandbox: Sandbox) -> None:
    user = oauth_sandbox.new_user()
    set_up(home, oauth_sandbox, user)
    run = oauthmail("string", "xoauth", user, home=home)
    assert (run.returncode, "use xoauth2 or oauthbearer" in run.stderr) == (1, True)
