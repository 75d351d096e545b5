"""Programs that ask ``oauthmail token`` for a password, set up as ``docs/programs.rst`` says."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from oauthmail import FileStore
from oauthmail.testing import Mailbox

from ..cli.rig import set_up
from . import programs
from .test_programs import MESSAGE, NeoMutt, logins

PAGE = Path(__file__).parent.parent.parent / "docs" / "programs.rst"


def blocks(heading: str) -> list[str]:
    """Return the blocks of code under a heading of the page."""
    section = re.split(r"\n([^\n]+)\n[~-]{3,}\n", PAGE.read_text("utf-8"))
    text = section[section.index(heading) + 1]
    return [textwrap.dedent(found) for found in re.findall(r"\.\. code-block:: \w+\n\n((?:    .*\n|\n)+)", text)]


class Reader:
    """Somebody who follows the page, at the sandbox, with a home of their own.

    Attributes:
        mailbox: is set up, with a token that is kept.
        home: their home.
    """

    def __init__(self, mailbox: Mailbox, home: Path) -> None:
        self.mailbox = mailbox
        self.home = home
        set_up(home / ".config" / "oauthmail", mailbox.sandbox, mailbox.user)
        (home / "bin").mkdir()
        self.write("bin/oauthmail", f'#!/bin/sh\nexec {sys.executable} -m oauthmail "$@"\n', 0o755)
        self.environment = {
            **programs.environment(home),
            "PATH": f"{home / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        }

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        """Write a file in the home and return its path."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return str(path)

    def adapted(self, text: str, **replacements: str) -> str:
        """Return a block with what is particular to this reader: address and servers; then what *replacements* say."""
        user = self.mailbox.user
        text = text.replace("me%40gmail.com", user.replace("@", "%40")).replace("me@gmail.com", user)
        text = text.replace("imap.gmail.com", "localhost").replace("smtp.gmail.com", "localhost")
        for old, new in replacements.items():
            old = old.replace("_", " ")
            assert old in text, text
            text = text.replace(old, new)
        return text

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            [programs.find(command[0]), *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=programs.PATIENCE,
            env=self.environment,
            cwd=self.home,
        )

    @property
    def smtp(self) -> int:
        return self.mailbox.sandbox.smtp.port

    @property
    def imaps(self) -> int:
        return self.mailbox.sandbox.imaps.port

    @property
    def ca_file(self) -> Path:
        return self.mailbox.sandbox.ca_file

    def fetched(self) -> list[bytes]:
        """Return the messages of the maildirs in the home, with the line ends of the network."""
        found = [path for path in (self.home / "mail").rglob("*") if path.parent.name in ("new", "cur")]
        return [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for path in found]


@pytest.fixture
def reader(mailbox: Mailbox, tmp_path: Path) -> Reader:
    return Reader(mailbox, tmp_path)


def msmtprc(reader: Reader) -> str:
    (block,) = blocks("msmtp")
    more = f"port {reader.smtp}\ntls_trust_file {reader.ca_file}"
    return reader.write(".msmtprc", reader.adapted(block, port_587=more))


# --- sending ------------------------------------------------------------------------------------------------------


def test_msmtp_sends_with_a_token(reader: Reader) -> None:
    msmtprc(reader)
    ended = reader.run("msmtp", reader.mailbox.user, text=MESSAGE.decode().replace("\r\n", "\n"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert reader.mailbox.messages()[0].endswith(MESSAGE)
    assert logins(reader.mailbox) == ["OAUTHBEARER"]


def test_git_sends_patches_through_msmtp(reader: Reader) -> None:
    msmtprc(reader)
    me = "[user]\n    name = A\n    email = a@sandbox.test\n"
    reader.write(".gitconfig", me + reader.adapted(blocks("git send-email")[0]))
    patch = reader.write("0001-first.patch", "From: A <a@sandbox.test>\nSubject: [PATCH] First\n\nIt works.\n")
    ended = reader.run("git", "send-email", "--quiet", f"--to={reader.mailbox.user}", "--from=a@sandbox.test", patch)
    assert ended.returncode == 0, ended.stderr
    assert b"Subject: [PATCH] First\r\n" in reader.mailbox.messages()[0]


def test_git_takes_the_token_from_the_helper(reader: Reader) -> None:
    reader.write(".gitconfig", reader.adapted(blocks("git send-email by itself")[0]))
    ended = reader.run("git", "credential", "fill", text="protocol=smtp\nhost=localhost:587\nusername=x\n\n")
    kept = FileStore(reader.home / ".config" / "oauthmail").load(reader.mailbox.user)
    assert kept is not None
    assert f"password={getattr(kept.credentials, 'access_token', '')}\n" in ended.stdout, ended.stderr


def test_emacs_sends_with_a_token(reader: Reader) -> None:
    (block,) = blocks("Emacs")
    init = reader.write("init.el", reader.adapted(block, **{"587": str(reader.smtp)}))
    message = MESSAGE.decode().replace("\r\n", "\n").replace("b@sandbox.test", reader.mailbox.user)
    head, _, body = message.partition("\n\n")
    reader.write("message", f"{head}\n--text follows this line--\n{body}")
    # Where Emacs keeps the certificates that it has seen.
    (reader.home / ".emacs.d").mkdir()
    trust = f'(setq gnutls-trustfiles (list "{reader.ca_file}") gnutls-verify-error t)'
    send = f'(progn {trust} (find-file "message") (smtpmail-send-it))'
    ended = reader.run("emacs", "--batch", "--no-site-file", "-l", init, "--eval", send)
    assert ended.returncode == 0, ended.stderr
    assert b".dots\r\n..and more\r\n" in reader.mailbox.messages()[0]
    assert logins(reader.mailbox) == ["XOAUTH2"]


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["neomutt", "mutt"])
def test_mutts_read_and_send_with_a_token(reader: Reader, program: str) -> None:
    reader.mailbox.sandbox.deliver(reader.mailbox.user, MESSAGE)
    (block,) = blocks("NeoMutt and mutt")
    ports = {"localhost/": f"localhost:{reader.imaps}/", "localhost:587": f"localhost:{reader.smtp}"}
    text = reader.adapted(block, **ports)
    more = f'set ssl_ca_certificates_file="{reader.ca_file}" certificate_file="{reader.ca_file}" ssl_starttls=yes\n'
    rc = reader.write(".muttrc", f"{text}{more}set copy=no delete=yes quit=yes sleep_time=0 wait_key=no\n")
    sent = reader.run(program, "-n", "-F", rc, "-s", "Sent", reader.mailbox.user, text="Hello\n")
    assert sent.returncode == 0, sent.stderr
    terminal = NeoMutt(reader.home)
    keys = 'push "<pipe-message>cat > fetched<enter><quit>"'
    environment = [f"{name}={value}" for name, value in reader.environment.items()]
    command = [programs.find(program), "-n", "-F", rc, "-e", "set pipe_decode=no", "-e", keys]
    shown = terminal.read([programs.find("env"), *environment, *command])
    assert (reader.home / "fetched").exists(), shown
    assert [b"Subject: Sent\r\n" in message for message in reader.mailbox.messages()] == [False, True]
    assert set(logins(reader.mailbox)) == {"OAUTHBEARER"}


def test_mbsync_fetches_with_a_token(reader: Reader) -> None:
    reader.mailbox.sandbox.deliver(reader.mailbox.user, MESSAGE)
    (block,) = blocks("mbsync (isync)")
    more = f"SSLType IMAPS\nCertificateFile {reader.ca_file}\nPort {reader.imaps}"
    rc = reader.write(".mbsyncrc", reader.adapted(block, SSLType_IMAPS=more))
    (reader.home / "mail" / "gmail").mkdir(parents=True)
    ended = reader.run("mbsync", "-c", rc, "-a")
    assert ended.returncode == 0, ended.stderr
    assert [message.endswith(b"\r\n\r\n.dots\r\n..and more\r\n") for message in reader.fetched()] == [True]
    assert logins(reader.mailbox) == ["XOAUTH2"]


def test_offlineimap_fetches_with_a_token(reader: Reader) -> None:
    reader.mailbox.sandbox.deliver(reader.mailbox.user, MESSAGE)
    function, block = blocks("OfflineIMAP")
    reader.write(".offlineimap.py", function)
    # It takes no certificate without a common name for good, unless its fingerprint is named.
    pem = ssl.get_server_certificate(("localhost", reader.imaps))
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    more = {
        "ssl_=_yes": f"ssl = yes\nremoteport = {reader.imaps}",
        "sslcacertfile_=_OS-DEFAULT": f"cert_fingerprint = {fingerprint}",
    }
    rc = reader.write(".offlineimaprc", reader.adapted(block, **more))
    ended = reader.run("offlineimap", "-c", rc, "-o", "-u", "quiet")
    assert ended.returncode == 0, ended.stderr
    assert [message.endswith(b"\r\n\r\n.dots\r\n..and more\r\n") for message in reader.fetched()] == [True]
