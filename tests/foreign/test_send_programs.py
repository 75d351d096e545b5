"""Programs that send through ``oauthmail sendmail``, or with the tokens of ``oauthmail token``."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from ..cli.rig import set_up
from . import programs
from .standard import port_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the store; programs find it by the environment of the wrapper."""
    return tmp_path / "oauthmail"


@pytest.fixture
def user(mailbox: Mailbox, home: Path) -> str:
    """A mailbox that is set up."""
    set_up(home, mailbox.sandbox, mailbox.user)
    return mailbox.user


@pytest.fixture
def oauthmail(home: Path, tmp_path: Path) -> Path:
    """The command as a program, as the package's installation would have put it on the path."""
    path = tmp_path / "bin" / "oauthmail"
    path.parent.mkdir()
    path.write_text(
        f"#!/bin/sh\nOAUTHMAIL_HOME={shlex.quote(str(home))} PYTHONPATH={shlex.quote(os.pathsep.join(sys.path))}"
        f' exec {shlex.quote(sys.executable)} -W error -m oauthmail "$@"\n'
    )
    path.chmod(0o755)
    return path


def arrived(sandbox: Sandbox, address: str) -> list[bytes]:
    return [message.octets for message in sandbox.mailboxes.messages(address)]


# --- git ------------------------------------------------------------------------------------------------------------


class Git:
    """A repository with one patch."""

    def __init__(self, home: Path, user: str) -> None:
        self.program = programs.find("git")
        self.home = home
        self("init", "--quiet")
        if not (Path(self("--exec-path").stdout.strip()) / "git-send-email").exists():
            # A package of its own on Debian.
            programs.find("git-send-email")
        for name, value in {"user.name": "Ada Lövelace", "user.email": user, "commit.gpgsign": "false"}.items():
            self("config", name, value)
        (home / "file").write_text("From here\n.\n..\nGrüße\n", "utf-8")
        self("add", "file")
        self("commit", "--quiet", "-m", "Add a file with dots, and Grüße")
        self("format-patch", "--quiet", "-1", "--root")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return programs.run([self.program, "-C", str(self.home), *arguments], self.home)

    def send(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        (patch,) = self.home.glob("*.patch")
        return self("send-email", "--confirm=never", "--no-validate", *arguments, str(patch))


@pytest.fixture
def git(tmp_path: Path, user: str) -> Git:
    (tmp_path / "repository").mkdir()
    return Git(tmp_path / "repository", user)


def by_server_option(oauthmail: Path) -> list[str]:
    """Return how every git is told: a program's absolute path in place of a server, and its first argument."""
    return [f"--smtp-server={oauthmail}", "--smtp-server-option=sendmail"]


def by_command(oauthmail: Path) -> list[str]:
    """Return how git is told from 2.33 on."""
    return [f"--sendmail-cmd={shlex.quote(str(oauthmail))} sendmail"]


WAYS = pytest.mark.parametrize("way", [by_server_option, by_command], ids=["smtp-server", "sendmail-cmd"])


@WAYS
def test_git_sends_a_patch(mailbox: Mailbox, git: Git, oauthmail: Path, user: str, way: object) -> None:
    assert callable(way)
    to, cc = mailbox.sandbox.new_user(), mailbox.sandbox.new_user()
    run = git.send(*way(oauthmail), f"--to=Bob <{to}>", f"--cc={cc}", "--envelope-sender=auto")
    assert (run.returncode, "Result: OK" in run.stdout) == (0, True), run.stderr
    sandbox = mailbox.sandbox
    # git adds the author, who is the sender.
    assert [len(arrived(sandbox, address)) for address in (to, cc, user)] == [1, 1, 1]
    (message,) = arrived(sandbox, to)
    assert b"\r\n+From here\r\n+.\r\n+..\r\n+Gr\xc3\xbc\xc3\x9fe\r\n" in message


def test_git_can_apply_what_arrives(mailbox: Mailbox, git: Git, oauthmail: Path, tmp_path: Path) -> None:
    to = mailbox.sandbox.new_user()
    git.send(*by_server_option(oauthmail), f"--to={to}")
    (tmp_path / "other").mkdir()
    (tmp_path / "message").write_bytes(arrived(mailbox.sandbox, to)[0])
    other = [git.program, "-C", str(tmp_path / "other")]
    programs.run([*other, "init", "--quiet"], git.home)
    identity = ["-c", "user.name=Bob", "-c", f"user.email={to}", "-c", "commit.gpgsign=false"]
    run = programs.run([*other, *identity, "am", str(tmp_path / "message")], git.home)
    assert (run.returncode, (tmp_path / "other/file").read_text("utf-8")) == (0, "From here\n.\n..\nGrüße\n"), (
        run.stderr
    )


def test_git_learns_of_a_refused_recipient(mailbox: Mailbox, git: Git, oauthmail: Path) -> None:
    run = git.send(*by_server_option(oauthmail), "--to=nobody@refused.test")
    assert run.returncode != 0
    assert "nobody@refused.test was refused: 550 5.1.1 No such user here" in run.stderr


# --- neomutt --------------------------------------------------------------------------------------------------------


def test_neomutt_sends(mailbox: Mailbox, oauthmail: Path, tmp_path: Path, user: str) -> None:
    program = programs.find("neomutt")
    (tmp_path / "neomuttrc").write_text(
        f'set sendmail="{oauthmail} sendmail -oem -oi"\nset from="{user}"\nset copy=no\nset use_envelope_from=yes\n'
    )
    to = mailbox.sandbox.new_user()
    command = [program, "-n", "-F", str(tmp_path / "neomuttrc"), "-s", "Report", to]
    run = programs.run(command, tmp_path, "It works.\n.\n")
    assert (run.returncode, run.stderr) == (0, "")
    assert arrived(mailbox.sandbox, to)[0].endswith(b"\r\n\r\nIt works.\r\n.\r\n")


# --- msmtp ----------------------------------------------------------------------------------------------------------


def test_msmtp_sends_with_a_token_of_the_command(
    mailbox: Mailbox, oauthmail: Path, home: Path, tmp_path: Path, user: str
) -> None:
    program = programs.find("msmtp")
    configuration = tmp_path / "msmtprc"
    configuration.write_text(
        f"""account default
host localhost
port {port_of(mailbox.sandbox, "smtp")}
tls on
tls_trust_file {mailbox.sandbox.ca_file}
auth oauthbearer
user {user}
from {user}
passwordeval {oauthmail} token {user}
"""
    )
    configuration.chmod(0o600)
    to = mailbox.sandbox.new_user()
    message = f"From: {user}\nTo: {to}\nSubject: Report\n\nIt works.\n"
    run = programs.run([program, f"--file={configuration}", "-t"], tmp_path, message)
    assert (run.returncode, run.stderr) == (0, "")
    assert arrived(mailbox.sandbox, to)[0].endswith(b"\r\n\r\nIt works.\r\n")
