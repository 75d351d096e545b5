"""What tests of commands share: running one as a process of its own, and mailboxes that are set up."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from oauthmail import Application, FileStore, OAuth2Credentials, providers
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox
from oauthmail.sandbox.store import Grant, RefreshToken


def oauthmail(
    *arguments: str, home: Path, text: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        arguments: of the command.
        home: the folder of the store.
        text: for its standard input.
        environment: added to this process's.
    """
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "oauthmail", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        input=text,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "OAUTHMAIL_HOME": str(home), **environment},
    )


def provider(sandbox: Sandbox, **changes: Any) -> providers.Provider:
    """Return a sandbox as a provider, with changes to its definition."""
    return providers.custom(**{**sandbox.provider.definition(), **changes})


def set_up(
    home: Path, sandbox: Sandbox, user: str, *, definition: providers.Provider | None = None, **changes: Any
) -> Record:
    """Store a mailbox as it is after somebody has signed in, and return its record.

    Args:
        home: the folder of the store.
        sandbox: who provides it.
        user: its address.
        definition: otherwise `provider`.
        changes: of the record.
    """
    record = Record(
        user,
        "sandbox",
        "authorization_code",
        Application(sandbox.web.public_client_id),
        OAuth2Credentials(sandbox.issue_token(user), expires_at=time.time() + 3600, scope=("mail", "offline_access")),
        scope=("mail", "offline_access"),
        definition=(definition or provider(sandbox)).definition(),
        authorized_at=time.time(),
        renewed_at=time.time(),
    )
    record = replace(record, **changes)
    store = FileStore(home)
    with store.lock(user):
        store.save(record)
    return record


def refresh_token(sandbox: Sandbox, user: str, *, client_id: str | None = None, scope: str = "mail") -> str:
    """Return a refresh token that is good, as a sign-in would have left it."""
    token = secrets.token_urlsafe(30)
    grant = Grant(secrets.token_hex(8), user, tuple(scope.split()), client_id or sandbox.web.public_client_id)
    with sandbox.state.lock:
        sandbox.web.store.refresh_tokens[token] = RefreshToken(grant)
    return token
