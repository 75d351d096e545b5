"""Somebody with a browser, and Google's scripts set to the sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import requests

from oauthmail.compat.google import oauth2, xoauth
from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 60


class Servers(Protocol):
    """Any that have an authority of their own."""

    ca_file: Path


def visit(
    servers: Servers, address: str, user: str, *, consent: str = "allow", follow: bool = True
) -> requests.Response:
    """Sign in and decide at *address*; return the last page, or the redirect that leads there."""
    return requests.get(
        address,
        params={"sandbox_consent": consent, "login_hint": user},
        verify=str(servers.ca_file),
        allow_redirects=follow,
        timeout=TIMEOUT,
    )


def verifier(sandbox: Sandbox, address: str, user: str) -> str:
    """Agree at *address* and return the verification code that the page shows."""
    found = re.search('class="code">([^<]+)<', visit(sandbox, address, user).text)
    assert found is not None
    return found[1]


def environment(sandbox: Sandbox, **more: str) -> dict[str, str]:
    """Return the environment of a process that trusts the sandbox, as every system trusts Google."""
    return {
        **os.environ,
        "SSL_CERT_FILE": str(sandbox.ca_file),
        "REQUESTS_CA_BUNDLE": str(sandbox.ca_file),
        # Lines are read as they come.
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def command(
    module: str, sandbox: Sandbox, *words: str, typed: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line against the sandbox."""
    return subprocess.run(
        [*program(module, sandbox), *words],
        input=typed,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(sandbox, **more),
        timeout=TIMEOUT,
        check=False,
    )


def program(module: str, sandbox: Sandbox) -> list[str]:
    """Return the words that start a command line, with the options that lead to the sandbox."""
    base = sandbox.web.https_url
    options = {
        "imap_hostname": f"localhost:{sandbox.imaps.port}",
        "smtp_hostname": f"localhost:{sandbox.smtp.port}",
        **(
            {
                "request_token_url": f"{base}/oauth1/request_token",
                "authorize_token_url": f"{base}/oauth1/authorize",
                "access_token_url": f"{base}/oauth1/access_token",
            }
            if module.endswith("xoauth")
            else {"google_accounts_base_url": base}
        ),
    }
    return [sys.executable, "-W", "error", "-m", module, *(f"--{name}={value}" for name, value in options.items())]


@pytest.fixture
def google(oauth_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox, in Google's place."""
    sandbox = oauth_mailbox.sandbox
    base = sandbox.web.https_url
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(sandbox.ca_file))
    monkeypatch.setattr(oauth2, "GOOGLE_ACCOUNTS_BASE_URL", base)
    monkeypatch.setattr(oauth2, "IMAP_HOSTNAME", f"localhost:{sandbox.imaps.port}")
    monkeypatch.setattr(oauth2, "SMTP_HOSTNAME", f"localhost:{sandbox.smtp.port}")
    monkeypatch.setattr(xoauth, "REQUEST_TOKEN_URL", f"{base}/oauth1/request_token")
    monkeypatch.setattr(xoauth, "AUTHORIZE_TOKEN_URL", f"{base}/oauth1/authorize")
    monkeypatch.setattr(xoauth, "ACCESS_TOKEN_URL", f"{base}/oauth1/access_token")
    yield sandbox
    from oauthmail.compat.google import _sign_in

    _sign_in._end_all()
