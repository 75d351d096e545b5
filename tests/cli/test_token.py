"""``oauthmail token``: a token alone on standard output, and as little loaded as that takes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oauthmail import IMAP4_SSL, Account, Application, FileStore, OAuth1Credentials, OAuth2Credentials
from oauthmail.cli._quick import kept_token, path_of
from oauthmail.records import Record, encode
from oauthmail.sandbox import Sandbox

from .rig import oauthmail, provider, refresh_token, set_up

USER = "me@example.com"
GOOD = Record(USER, "google", "device", Application("client"), OAuth2Credentials("good-token", expires_at=4e9))

#: What a token that is kept has no use for.
HEAVY = {
    *("argparse", "dataclasses", "inspect", "pathlib", "platformdirs", "filelock", "urllib.parse", "hashlib"),
    *("requests", "oauthlib", "requests_oauthlib", "ssl", "socket", "http.client", "jwt", "keyring", "webbrowser"),
    *("oauthmail.account", "oauthmail.records", "oauthmail.providers", "oauthmail.flows", "oauthmail.cli.check"),
}


def keep(home: Path, record: Record) -> None:
    store = FileStore(home)
    with store.lock(record.address):
        store.save(record)


def loaded(home: Path, *arguments: str) -> set[str]:
    """Return the modules that a command has loaded at its end."""
    program = "import sys; from oauthmail.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    run = subprocess.run(
        # -S: what a virtual environment loads is not the command's doing.
        [sys.executable, "-S", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "OAUTHMAIL_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(run.stderr.split())


# --- what it prints -----------------------------------------------------------------------------------------------


def test_a_token_that_is_kept_is_all_that_is_printed(home: Path) -> None:
    keep(home, GOOD)
    run = oauthmail("token", USER, home=home)
    assert (run.returncode, run.stdout, run.stderr) == (0, "good-token\n", "")


def test_a_token_that_is_about_to_end_is_renewed(home: Path, oauth_sandbox: Sandbox) -> None:
    user = oauth_sandbox.new_user()
    ended = OAuth2Credentials(
        "ended", refresh_token=refresh_token(oauth_sandbox, user), expires_at=time.time() + 30, scope=("mail",)
    )
    set_up(home, oauth_sandbox, user, credentials=ended)
    run = oauthmail("token", user, home=home)
    assert (run.returncode, run.stderr) == (0, "")
    with IMAP4_SSL("localhost", oauth_sandbox.imaps.port, ssl_context=oauth_sandbox.ssl_context()) as imap:
        assert imap.authenticate_oauth(user, run.stdout.removesuffix("\n"))[0] == "OK"


def test_json_tells_the_end_of_the_token(home: Path) -> None:
    keep(home, GOOD)
    assert json.loads(oauthmail("token", USER, "--json", home=home).stdout) == {
        "access_token": "good-token",
        "token_type": "Bearer",
        "expires_at": 4e9,
    }


@pytest.mark.parametrize(
    ("held", "status", "told"),
    [
        pytest.param(None, 1, "oauthmail authorize", id="not set up"),
        pytest.param(
            OAuth2Credentials("ended", refresh_token="revoked", expires_at=1), 77, "Sign in again", id="dead sign-in"
        ),
        pytest.param(OAuth1Credentials("key", "secret", "token", "secret"), 1, "OAuth 1.0a", id="OAuth 1.0a"),
    ],
)
def test_a_failure_prints_no_token_and_says_why(
    home: Path, oauth_sandbox: Sandbox, held: Any, status: int, told: str
) -> None:
    user = oauth_sandbox.new_user()
    if held is not None:
        set_up(home, oauth_sandbox, user, credentials=held)
    run = oauthmail("token", user, home=home)
    assert (run.returncode, run.stdout, told in run.stderr) == (status, "", True), run.stderr


def test_an_outage_is_told_from_a_dead_sign_in(home: Path, oauth_sandbox: Sandbox) -> None:
    user = oauth_sandbox.new_user()
    # Nobody listens at the first port there is.
    definition = provider(oauth_sandbox, token_endpoint="https://127.0.0.1:1/token")
    ended = OAuth2Credentials("ended", refresh_token="refresh", expires_at=1)
    set_up(home, oauth_sandbox, user, definition=definition, credentials=ended)
    assert oauthmail("token", user, home=home).returncode == 75


def test_no_address_is_a_usage_error(home: Path) -> None:
    run = oauthmail("token", home=home)
    assert (run.returncode, "required: ADDRESS" in run.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["token", USER], ["token", "--json", USER], ["export", USER]])
def test_a_reader_that_is_gone_is_no_traceback(home: Path, arguments: list[str]) -> None:
    keep(home, GOOD)
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "oauthmail", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
        # Buffered, as it is for everybody: then it is the end that fails.
        env={**os.environ, "OAUTHMAIL_HOME": str(home), "PYTHONUNBUFFERED": ""},
    )
    os.close(writer)
    assert (run.returncode, run.stderr) == (1, "")


# --- what it loads ------------------------------------------------------------------------------------------------


def test_a_token_that_is_kept_loads_next_to_nothing(home: Path) -> None:
    keep(home, GOOD)
    assert loaded(home, "token", USER) & HEAVY == set()


def test_the_long_way_round_loads_no_http(home: Path) -> None:
    keep(home, GOOD)
    assert loaded(home, "token", "--json", USER) & {"requests", "oauthlib", "ssl", "socket", "platformdirs"} == set()


# --- the shortcut agrees with the account -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("me@example.com", "Me@Example.COM", "first.last+tag-1_2@sub.example.com", "me@gmail.com"),
        *("con@example.com", "com1@example.com", "company@example.com", "a@b"),
    ],
)
def test_the_shortcut_looks_where_the_store_does(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path))
    found = path_of(address)
    assert found is None or os.path.join(*found) == FileStore().path(address)  # noqa: PTH118


@pytest.mark.parametrize(
    "address",
    [
        *("", "me", "a/b@c", "../me@x", "me@\u00e9.com", "me@x\0", "a" * 201 + "@x", ".me@x", "con.x@y", "nul.@x"),
        *("lpt1@x", "m\u00e9@x", "me%@x", "me =@x"),
    ],
)
def test_an_address_that_is_not_plain_is_left_to_the_store(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(tmp_path))
    assert path_of(address) is None


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"XDG_CONFIG_HOME": "/somewhere"}, id="XDG"),
        pytest.param({"XDG_CONFIG_HOME": ""}, id="empty"),
        pytest.param({"XDG_CONFIG_HOME": "relative"}, id="relative"),
        pytest.param({"HOME": "/home/somebody"}, id="home"),
        pytest.param({"OAUTHMAIL_HOME": "relative/folder"}, id="own, relative"),
        pytest.param({"OAUTHMAIL_HOME": "~/folder"}, id="own, at home"),
        pytest.param({"OAUTHMAIL_HOME": "", "HOME": "/home/somebody"}, id="own, empty"),
        pytest.param({"OAUTHMAIL_HOME": "/a/../b"}, id="own, with dots"),
    ],
)
def test_the_shortcut_takes_the_folder_of_the_store(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CONFIG_HOME", "OAUTHMAIL_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = path_of(USER)
    assert found is None or found[0] == FileStore().folder


def rewritten(**changes: Any) -> bytes:
    """Return the good record's file with some of its values changed."""
    values = {**json.loads(encode(GOOD)), **changes}
    return json.dumps(values).encode()


def credentials(**changes: Any) -> bytes:
    held = {**json.loads(encode(GOOD))["credentials"], **changes}
    return rewritten(credentials={name: value for name, value in held.items() if value is not None})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(rewritten(version=2), id="later version"),
        pytest.param(rewritten(address="you@example.com"), id="somebody else's"),
        pytest.param(rewritten(credentials=None), id="no credentials"),
        pytest.param(rewritten(credentials="x"), id="text for credentials"),
        pytest.param(rewritten(renew_ahead="x"), id="text for a number"),
        pytest.param(rewritten(renew_ahead=1e12), id="due"),
        pytest.param(credentials(expires_at=1), id="ended"),
        pytest.param(credentials(expires_at="4000000000"), id="text for the end"),
        pytest.param(credentials(expires_at=math.nan), id="no number for the end"),
        pytest.param(credentials(kind="oauth1"), id="OAuth 1.0a"),
        pytest.param(credentials(token_type="MAC"), id="another type of token"),
        pytest.param(credentials(access_token=""), id="empty token"),
        pytest.param(credentials(access_token=None), id="no token"),
        pytest.param(credentials(access_token=7), id="number for a token"),
        pytest.param(credentials(access_token="a b"), id="two words"),
        pytest.param(credentials(access_token="a\nb"), id="two lines"),
        pytest.param(credentials(access_token="\u00e9"), id="not ASCII"),
        pytest.param(credentials(access_token='"a"'), id="in quotes"),
    ],
)
def test_the_shortcut_gives_nothing_that_the_account_would_not(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(home))
    home.mkdir(mode=0o700)
    path = home / f"{USER}.json"
    path.touch(0o600)
    path.write_bytes(content)
    assert kept_token(USER) is None


@pytest.mark.parametrize("expires_at", [None, 4e9])
def test_the_shortcut_gives_what_the_account_gives(
    home: Path, monkeypatch: pytest.MonkeyPatch, expires_at: float | None
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(home))
    keep(home, replace(GOOD, credentials=OAuth2Credentials("some-token", expires_at=expires_at)))
    assert kept_token(USER.upper()) == Account(USER).token() == "some-token"


@pytest.mark.parametrize("unsafe", ["file", "folder", "link", "folder link", "pipe"])
def test_the_shortcut_reads_nothing_that_the_store_would_not(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsafe: str
) -> None:
    monkeypatch.setenv("OAUTHMAIL_HOME", str(home))
    keep(home, GOOD)
    path = home / f"{USER}.json"
    if unsafe == "file":
        path.chmod(0o640)
    elif unsafe == "folder":
        home.chmod(0o750)
    elif unsafe == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif unsafe == "pipe":
        path.unlink()
        os.mkfifo(path, 0o600)
    else:
        home.rename(tmp_path / "elsewhere")
        home.symlink_to(tmp_path / "elsewhere")
    assert kept_token(USER) is None
