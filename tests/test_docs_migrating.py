"""The Python of the guides for those who come from somewhere else, run against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import requests

from oauthmail import FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox

from .compat.google_rig import verifier, visit

DOCS = Path(__file__).parent.parent / "docs"
USER = "me@gmail.com"


def blocks(page: str) -> list[str]:
    text = (DOCS / f"{page}.rst").read_text("utf-8")
    return [textwrap.dedent(found) for found in re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)]


BLOCKS = [
    pytest.param(code, id=f"{page}-{number}")
    for page in ("migrating", "from-google-scripts")
    for number, code in enumerate(blocks(page), 1)
]

#: What stands in front of each block: what a reader has, and the sandbox in Google's place.
PREAMBLE = """
import json, os, warnings
from email.message import EmailMessage
import oauthmail.compat.google.oauth2

facts = json.loads(os.environ["SANDBOX"])
oauthmail.compat.google.oauth2.GOOGLE_ACCOUNTS_BASE_URL = facts["base_url"]
oauthmail.compat.google.oauth2.IMAP_HOSTNAME = facts["imap"]
oauthmail.compat.google.oauth2.SMTP_HOSTNAME = facts["smtp"]
refresh_token = facts["refresh_token"]
message = EmailMessage()
message["From"] = message["To"] = "me@gmail.com"
message.set_content("Hello")
# smtpproto 2.0.0 imports names by which anyio does not like to be called any more.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import smtpproto.client
"""


@pytest.fixture
def token(oauth_sandbox: Sandbox) -> dict[str, str]:
    """Tokens that somebody has agreed to, with a client that has a secret."""
    web = oauth_sandbox.web
    asked = {
        "response_type": "code",
        "client_id": web.client_id,
        "redirect_uri": "http://127.0.0.1:1/",
        "scope": "https://mail.google.com/",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    address = requests.Request("GET", f"{web.https_url}/authorize", params=asked).prepare().url
    location = visit(oauth_sandbox, str(address), USER, follow=False).headers["Location"]
    found = re.search("code=([^&]+)", location)
    assert found is not None
    fields = {
        "grant_type": "authorization_code",
        "code": found[1],
        "redirect_uri": "http://127.0.0.1:1/",
        # RFC 7636 appendix B.
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    }
    answer = requests.post(
        f"{web.https_url}/token",
        fields,
        auth=(web.client_id, web.client_secret),
        verify=str(oauth_sandbox.ca_file),
        timeout=30,
    )
    issued: dict[str, str] = answer.json()
    return issued


@pytest.fixture
def home(oauth_sandbox: Sandbox, token: dict[str, str], tmp_path: Path) -> Path:
    """Where the reader has set the mailbox up."""
    folder = tmp_path / "home"
    credentials = OAuth2Credentials(token["access_token"])
    definition = oauth_sandbox.provider.definition()
    FileStore(folder).save(Record(USER, "sandbox", "imported", credentials=credentials, definition=definition))
    return folder


def for_the_sandbox(code: str, sandbox: Sandbox) -> str:
    """Replace what is particular to a reader."""
    web = sandbox.web
    for pattern, value in {
        r'"smtp\.gmail\.com", 587': f'"localhost", {sandbox.smtp.port}',
        r'hostname="smtp\.gmail\.com",\n\s*port=587': f'hostname="localhost", port={sandbox.smtp.port}',
        r'"imap\.gmail\.com"': f'"localhost", port={sandbox.imaps.port}',
        r'"pop\.gmail\.com"': f'"localhost", {sandbox.pop3s.port}',
        r'"mail\.example\.org:587"': f'"localhost:{sandbox.smtp.port}"',
        r'"mail\.example\.org"': f'"localhost:{sandbox.imaps.port}"',
        r"https://auth\.example\.org": str(web.https_url),
        '"client id"': repr(web.client_id),
        '"client secret"': repr(web.client_secret),
        '"consumer key"': repr(web.oauth1_client_key),
        '"consumer secret"': repr(web.oauth1_client_secret),
        r"(me|you)@(gmail\.com|example\.org)": USER,
    }.items():
        code = re.sub(pattern, value, code)
    return code


@pytest.mark.parametrize("code", BLOCKS)
def test_a_block_of_a_guide_runs(
    code: str, oauth_sandbox: Sandbox, token: dict[str, str], home: Path, tmp_path: Path
) -> None:
    before = len(oauth_sandbox.mailboxes.messages(USER))
    facts = {
        "base_url": oauth_sandbox.web.https_url,
        "imap": f"localhost:{oauth_sandbox.imaps.port}",
        "smtp": f"localhost:{oauth_sandbox.smtp.port}",
        "refresh_token": token["refresh_token"],
    }
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PREAMBLE + for_the_sandbox(code, oauth_sandbox)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "OAUTHMAIL_HOME": str(home),
            "PYTHONUNBUFFERED": "1",
            "SANDBOX": json.dumps(facts),
            "SSL_CERT_FILE": str(oauth_sandbox.ca_file),
            "REQUESTS_CA_BUNDLE": str(oauth_sandbox.ca_file),
        },
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # Only blocks that send somebody to a browser print an address.
        for line in process.stdout:
            if found := re.search("https://.*", line):
                if "/oauth1/" in found[0]:
                    process.stdin.write(verifier(oauth_sandbox, found[0], USER))
                else:
                    visit(oauth_sandbox, found[0], USER)
                process.stdin.write("\n")
                process.stdin.close()
        said = process.stderr.read()
    assert process.returncode == 0, said
    sends = re.search(r"send(mail|_mail|_message)?\(|\.error\(", code) is not None
    assert len(oauth_sandbox.mailboxes.messages(USER)) - before == sends


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 13
