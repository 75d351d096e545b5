"""The command line, each command as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pytest

from oauthmail import IMAP4_SSL


def oauthmail(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-W", "error", "-m", "oauthmail", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def sandbox(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``sandbox`` and stop it with Ctrl-C."""
    command = [sys.executable, "-W", "error", "-m", "oauthmail", "sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def facts(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Read what ``sandbox --json`` prints."""
    return cast("dict[str, Any]", json.loads(cast("IO[str]", process.stdout).readline()))


def test_demo_shows_every_step_and_succeeds() -> None:
    run = oauthmail("demo")
    assert (run.returncode, run.stderr) == (0, "")
    assert re.findall(r"^  (.+?)  ", run.stdout, re.MULTILINE) == [
        "OAuth 2: authorization code flow, PKCE",
        "SMTP, STARTTLS, XOAUTH2: send a message",
        "IMAP4_SSL, XOAUTH2: read it",
        "POP3_SSL, XOAUTH2: read it",
        "OAuth 1.0a: three-legged authorization",
        "IMAP4_SSL, XOAUTH: log in with a signature",
        "SMTP, XOAUTH2, the token now revoked",
    ]


def test_demo_counts_the_round_trips_of_each_login() -> None:
    trips = re.findall(r"(\w+), X?OAUTH2?.* (\d) round trip", oauthmail("demo").stdout)
    assert re.findall(r"(\d) round trip", oauthmail("demo").stdout) == ["2", "1", "2", "1"], trips


def test_sandbox_prints_what_other_programs_need_and_works() -> None:
    with sandbox("--json") as process:
        found = facts(process)
        import ssl

        context = ssl.create_default_context(cafile=found["ca_file"])
        with IMAP4_SSL("localhost", found["imaps"], ssl_context=context, timeout=10) as imap:
            assert imap.authenticate_oauth(found["user"], found["access_token"])[0] == "OK"


def test_ctrl_c_stops_the_sandbox_and_leaves_nothing() -> None:
    with sandbox("--json") as process:
        found = facts(process)
    assert (process.returncode, Path(found["ca_file"]).exists()) == (0, False)


def test_sandbox_binds_loopback_only() -> None:
    with sandbox("--json") as process:
        found = facts(process)
        # The machine's other address, where it has one; no packet is sent to find it.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                return
            other = probe.getsockname()[0]
        refused = []
        for name in ("smtp", "smtps", "imap", "imaps", "pop3", "pop3s"):
            with socket.socket() as sock:
                sock.settimeout(5)
                refused.append(sock.connect_ex((other, found[name])) != 0)
    assert all(refused)


def test_sandbox_says_that_it_lets_anybody_in() -> None:
    with sandbox() as process:
        assert "let anybody in" in cast("IO[str]", process.stdout).readline()


@pytest.mark.parametrize("like", ["generic", "gmail", "microsoft", "yahoo"])
def test_what_the_sandbox_says_to_paste_runs_as_it_stands(like: str) -> None:
    with sandbox("--like", like) as process:
        lines: list[str] = []
        # The last line to paste, and then the server stays.
        while not lines or lines[-1].strip() != "pop.quit()":
            lines.append(cast("IO[str]", process.stdout).readline())
        printed = "".join(lines)
        found = re.search(r"SSL_CERT_FILE=(\S+):", printed)
        assert found is not None
        program = textwrap.dedent(printed[printed.index("  from oauthmail import") :])
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "SSL_CERT_FILE": found[1]},
        )
        assert (run.returncode, "It works." in run.stdout) == (0, True), run.stderr


def test_an_unknown_provider_is_a_usage_error() -> None:
    run = oauthmail("sandbox", "--like", "hotmail")
    assert (run.returncode, "invalid choice: 'hotmail'" in run.stderr) == (2, True)


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    run = oauthmail(command, "--help")
    assert (run.returncode, f"  oauthmail {command}" in run.stdout, "exit status" in run.stdout) == (
        0,
        True,
        True,
    )


def test_a_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['trustme'] = None; from oauthmail.cli import main; sys.exit(main(['sandbox']))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, "oauthmail[sandbox]" in run.stderr) == (1, True)
