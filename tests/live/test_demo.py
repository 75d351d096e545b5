"""The demonstration over real servers, as a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import LiveServers


def demo(*, python: tuple[str, ...] = ("-m", "oauthmail"), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-W", "error", *python, "demo", "--servers", "dovecot"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


# The fixture skips the test where the servers cannot run, and shows that both sets run side by side.
def test_demo_shows_every_step_that_real_servers_have(servers: LiveServers) -> None:
    run = demo()
    assert (run.returncode, run.stderr) == (0, "")
    assert re.findall(r"^  (.+?)  +(\w+)", run.stdout, re.MULTILINE) == [
        ("OAuth 2: authorization code flow, PKCE", "access"),
        ("SMTP, STARTTLS, XOAUTH2: send a message", "logged"),
        ("IMAP4_SSL, XOAUTH2: read it", "logged"),
        ("POP3_SSL, XOAUTH2: read it", "logged"),
        ("OAuth 1.0a", "skipped"),
        ("SMTP, XOAUTH2, the token now revoked", "refused"),
    ]
    assert "Sign in again as user-1@mail.test" in run.stdout


def test_demo_leaves_nothing_behind(servers: LiveServers) -> None:
    # Not tmp_path: the servers' sockets are below, and a socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory() as name:
        # The mail servers' own users must pass through.
        Path(name).chmod(0o755)
        assert (demo(TMPDIR=name).returncode, list(Path(name).iterdir())) == (0, [])


@pytest.mark.parametrize(
    "lack",
    [
        pytest.param("import os; os.geteuid = lambda: 1000", id="not root"),
        pytest.param("import os, shutil; os.geteuid = lambda: 0; shutil.which = lambda *_, **__: None", id="missing"),
    ],
)
def test_demo_says_how_to_get_the_servers(lack: str) -> None:
    program = f"{lack}\nimport sys; from oauthmail.cli import main; sys.exit(main())"
    run = demo(python=("-c", program))
    assert (run.returncode, run.stdout) == (1, "")
    assert "as root" in run.stderr
    assert "python -m oauthmail.sandbox.live.install" in run.stderr
