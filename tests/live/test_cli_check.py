"""``oauthmail check`` against Dovecot and Postfix."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oauthmail import Account, FileStore, OAuth2Credentials

from ..cli.rig import oauthmail

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import LiveServers


def set_up(servers: LiveServers, home: Path) -> str:
    user = servers.new_user()
    account = Account(user, provider=servers.provider, application=servers.application, store=FileStore(home))
    account.authorize(open_browser=servers.browser())
    return user


def check(user: str, home: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status and the steps."""
    run = oauthmail("check", user, "--json", home=home)
    found = json.loads(run.stdout)
    return run.returncode, found["steps"]


def test_a_mailbox_that_works_passes_every_step(servers: LiveServers, tmp_path: Path) -> None:
    user = set_up(servers, tmp_path / "home")
    status, steps = check(user, tmp_path / "home")
    assert (status, {step["state"] for step in steps}) == (0, {"ok"})


def test_a_token_of_somebody_else_is_named(servers: LiveServers, tmp_path: Path) -> None:
    home = tmp_path / "home"
    user, other = set_up(servers, home), set_up(servers, home)
    store = FileStore(home)
    with store.lock(user):
        mine, theirs = store.load(user), store.load(other)
        assert mine is not None
        assert theirs is not None
        assert isinstance(theirs.credentials, OAuth2Credentials)
        store.save(replace(mine, credentials=replace(theirs.credentials, refresh_token=None)))
    status, steps = check(user, home)
    failed = {step["step"] for step in steps if step["state"] == "failed"}
    assert (status, failed) == (1, {"login"})


def test_an_authorization_that_has_ended_is_named(servers: LiveServers, tmp_path: Path) -> None:
    user = set_up(servers, tmp_path / "home")
    store = FileStore(tmp_path / "home")
    with store.lock(user):
        record = store.load(user)
        assert record is not None
        held = record.credentials
        assert isinstance(held, OAuth2Credentials)
        store.save(replace(record, credentials=replace(held, expires_at=1)))
    tokens = servers.web.store.refresh_tokens
    servers.web.store.end_grant(tokens[str(held.refresh_token)].grant)
    status, steps = check(user, tmp_path / "home")
    (failed,) = [step for step in steps if step["state"] == "failed"]
    assert (status, failed["step"], f"oauthmail authorize {user}" in failed["cure"]) == (1, "token", True)
