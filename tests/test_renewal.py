"""One renewal for all who need it, and no harm done by those who die over it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oauthmail import Account, FileStore, FlowError, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.state import fingerprint
from oauthmail.sandbox.store import Grant, RefreshToken

from .renewing import POINTS

PROCESSES = 16
KILLS = 20

#: Killed there, the process takes the answer that only it has read with it, or cannot know whether there is one.
LOST = {"before the answer", "before the write"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked, which Windows cannot")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("OAUTHMAIL_HOME", str(folder))
    return folder


def set_up(sandbox: Sandbox, home: Path, *, expires_in: float = 3600) -> str:
    """Set a mailbox up as if somebody had signed in before, and return its address."""
    user, refresh_token = sandbox.new_user(), secrets.token_urlsafe()
    scope = ("mail", "offline_access")
    grant = Grant(secrets.token_urlsafe(), user, scope, sandbox.web.public_client_id)
    sandbox.web.store.refresh_tokens[refresh_token] = RefreshToken(grant)
    credentials = OAuth2Credentials(
        sandbox.issue_token(user), refresh_token=refresh_token, expires_at=time.time() + expires_in, scope=scope
    )
    store = FileStore(home)
    with store.lock(user):
        store.save(
            Record(
                user,
                "sandbox",
                "authorization_code",
                sandbox.application,
                credentials,
                scope=scope,
                definition=sandbox.provider.definition(),
            )
        )
    return user


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.renewing", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )


def renewals(sandbox: Sandbox, user: str) -> int:
    """Count the refresh tokens of a user that have been used: each works once."""
    return sum(found.used for found in sandbox.web.store.refresh_tokens.values() if found.grant.user == user)


def held(home: Path, user: str) -> OAuth2Credentials:
    record = FileStore(home).load(user)
    assert record is not None
    assert isinstance(record.credentials, OAuth2Credentials)
    return record.credentials


def test_sixteen_processes_make_one_request(oauth_sandbox: Sandbox, home: Path) -> None:
    user = set_up(oauth_sandbox, home, expires_in=0)
    processes = [program("race", user) for _ in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    # All of them are waiting for this line.
    tokens = [process.communicate("go\n", timeout=60)[0].strip() for process in processes]
    assert (set(tokens), renewals(oauth_sandbox, user)) == ({fingerprint(held(home, user).access_token)}, 1)
    with Account(user, timeout=10).imap() as imap:
        assert imap.select()[0] == "OK"


def test_sixteen_threads_make_one_request(oauth_sandbox: Sandbox, home: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    user = set_up(oauth_sandbox, home, expires_in=0)
    account = Account(user, timeout=30)
    with ThreadPoolExecutor(PROCESSES) as pool:
        tokens = set(pool.map(lambda _: account.token(), range(PROCESSES)))
    assert (tokens, renewals(oauth_sandbox, user)) == ({held(home, user).access_token}, 1)


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_is_killed_leaves_no_harm(oauth_sandbox: Sandbox, home: Path, point: str) -> None:
    users = [set_up(oauth_sandbox, home) for _ in range(KILLS)]
    before = {user: held(home, user) for user in users}
    process = program("kill", point, *users)
    assert process.communicate(timeout=120)[0].split() == ["9"] * KILLS

    outcomes = set()
    store = FileStore(home, lock_timeout=2)
    for user in users:
        try:
            token = Account(user, store=store, timeout=10).token(rejected=before[user].access_token)
        except FlowError as error:
            outcomes.add((error.error, error.authorize_again))
        else:
            outcomes.add(("opens", oauth_sandbox.state.judge(token, user, "imap").user == user))
        assert held(home, user).refresh_token is not None
        assert renewals(oauth_sandbox, user) <= 1
    assert outcomes == ({("invalid_grant", True)} if point in LOST else {("opens", True)})
    assert [path.name for path in home.iterdir() if not path.name.endswith((".json", ".lock"))] == []
