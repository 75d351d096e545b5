"""The Python of the guides, run against the sandbox; only what is particular to a reader is replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from oauthmail import Account, FileStore
from oauthmail.sandbox import Sandbox

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = [
    "accounts",
    "tokens",
    "gmail",
    "microsoft365",
    "outlook",
    "yahoo",
    "fastmail",
    "other-providers",
    "run",
    "sending-much",
    "tryit",
]


def blocks(page: str) -> list[str]:
    text = (DOCS / f"{page}.rst").read_text("utf-8")
    return [textwrap.dedent(found) for found in re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)]


BLOCKS = [
    pytest.param(page, code, id=f"{page}-{number}") for page in GUIDES for number, code in enumerate(blocks(page), 1)
]

#: What stands in front of each block: the table of providers leads to the sandbox, and somebody agrees in the browser.
PREAMBLE = """
import dataclasses, json, os, ssl, threading, webbrowser
from email.message import EmailMessage
from oauthmail import providers
from oauthmail.sandbox.setup import browser

facts = json.loads(os.environ["SANDBOX"])
here = providers.custom(**facts["provider"])
endpoints = {name: getattr(here, name) for name in (
    "authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "revocation_endpoint", "issuer",
    "discovery", "smtp", "imap", "pop", "ca_file", "scopes", "offline_scope", "client_credentials_scope")}
table = tuple(dataclasses.replace(found, **endpoints) for found in providers.providers())
providers.providers = lambda: table
webbrowser.open = browser(ssl.create_default_context(cafile=here.ca_file))

def connect_device(code):
    browser(ssl.create_default_context(cafile=here.ca_file), user=facts["user"])(code.verification_uri_complete)

from oauthmail import signin
signin._print_device = connect_device
message = EmailMessage()
message["From"] = message["To"] = facts["user"]
message.set_content("Hello")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.mark.parametrize(("page", "code"), BLOCKS)
def test_a_block_of_a_guide_runs(page: str, code: str, oauth_sandbox: Sandbox, home: Path, tmp_path: Path) -> None:
    web = oauth_sandbox.web
    web.store.device_interval = 1
    web.store.application_user = "robot@contoso.com"
    user = found[0] if (found := re.findall(r'"(\w+@[\w.]+)"', code)) else "me@example.com"
    (tmp_path / "client_secret.json").write_text(
        json.dumps({"installed": {"client_id": web.client_id, "client_secret": web.client_secret}}), "utf-8"
    )
    (tmp_path / "service_account.json").write_text(json.dumps(web.service_account_info), "utf-8")
    web.allow_redirect("http://localhost:8080/")
    if "authorize(" not in code and ("Account(" in code or "install(" in code):
        # The reader has set the mailbox up in an earlier block.
        for folder in (home, tmp_path / "tokens"):
            Account(
                user,
                provider=oauth_sandbox.provider,
                application=oauth_sandbox.application,
                store=FileStore(folder),
            ).authorize(open_browser=oauth_sandbox.browser())
    for text, value in replacements(oauth_sandbox, tmp_path).items():
        code = re.sub(text, value, code)
    facts = {"provider": oauth_sandbox.provider.definition(), "user": user}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "OAUTHMAIL_HOME": str(home),
            "SANDBOX": json.dumps(facts),
            "SSL_CERT_FILE": str(oauth_sandbox.ca_file),
            "REQUESTS_CA_BUNDLE": str(oauth_sandbox.ca_file),
            "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
            "XDG_DATA_HOME": str(tmp_path / "keyring"),
        },
    )
    assert run.returncode == 0, run.stderr


def replacements(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """Return what a reader replaces: patterns and what takes their place."""
    web = sandbox.web
    return {
        r'"smtp\.gmail\.com", 587': f'"localhost", {sandbox.smtp.port}',
        r'hostname="smtp\.gmail\.com",\n\s*port=587': f'hostname="localhost", port={sandbox.smtp.port}',
        r'"imap\.gmail\.com"': f'"localhost", port={sandbox.imaps.port}',
        r'"mail\.example\.org:587"': f'"localhost:{sandbox.smtp.port}"',
        r'imap="mail\.example\.org"': f'imap="localhost:{sandbox.imaps.port}"',
        r'pop="mail\.example\.org"': f'pop="localhost:{sandbox.pop3s.port}"',
        r"https://auth\.example\.org": f"{web.https_url}",
        r'"client id", "client secret"': f'"{web.client_id}", "{web.client_secret}"',
        r'"client id"': f'"{web.public_client_id}"',
        r"/srv/tokens": str(folder / "tokens"),
    }
