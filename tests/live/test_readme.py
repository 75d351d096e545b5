"""The examples of README.rst, run as they stand against real servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oauthmail import Account, FileStore

if TYPE_CHECKING:
    from .conftest import LiveServers

README = (Path(__file__).parents[2] / "README.rst").read_text("utf-8")
EXAMPLES = [textwrap.dedent(block) for block in re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README)]


def test_the_readme_has_an_example_for_each_protocol() -> None:
    assert [re.findall("import (\\w+)", example) for example in EXAMPLES] == [
        ["SMTP"],
        ["IMAP4_SSL"],
        ["POP3_SSL"],
        ["Account"],
    ]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_as_it_stands(servers: LiveServers, example: str, tmp_path: Path) -> None:
    user = servers.new_user()
    home = tmp_path / "home"
    # What `oauthmail authorize` leaves.
    Account(
        "me@gmail.com", provider=servers.provider, application=servers.application, store=FileStore(home)
    ).authorize(open_browser=servers.browser())
    # Only what is particular to a reader is replaced: the servers, the address and the token.
    for text, value in {
        '"smtp.gmail.com", 587': f'"localhost", {servers.submission.port}',
        '"imap.gmail.com"': f'"localhost", {servers.imaps.port}',
        '"pop.gmail.com"': f'"localhost", {servers.pop3s.port}',
        "me@example.com": user,
        "you@example.com": servers.new_user(),
    }.items():
        example = example.replace(text, value)
    text = f"From: {user}\r\nTo: {user}\r\nSubject: Hello\r\n\r\nHello\r\n"
    preamble = f"import email, os; access_token = os.environ['TOKEN']; message = {text!r}\n"
    if "send_message" in example:
        preamble += "message = email.message_from_string(message)\n"
    environment = {
        **os.environ,
        # The servers' authority stands for the ones that every system trusts.
        "SSL_CERT_FILE": str(servers.ca_file),
        "TOKEN": servers.authorization.issue(user),
        "OAUTHMAIL_HOME": str(home),
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", preamble + example],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )
    assert run.returncode == 0, run.stderr
