"""The sandbox judged by curl, msmtp and neomutt."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest
import trustme

from oauthmail.sandbox import Sandbox
from oauthmail.testing import Mailbox

from . import programs
from .conftest import Like
from .standard import MECHANISMS, SCHEMES, port_of

MESSAGE = b"From: a@sandbox.test\r\nTo: b@sandbox.test\r\nSubject: Report\r\n\r\n.dots\r\n..and more\r\n"

# curl(1), "EXIT CODES"; sysexits.h
CURL_LOGIN_DENIED, CURL_NOT_TRUSTED, EX_TEMPFAIL, EX_NOPERM = 67, 60, 75, 77

ONE_LINE_OR_TWO = pytest.mark.parametrize(
    "one_line", [pytest.param(True, id="sasl-ir"), pytest.param(False, id="two steps")]
)
BY_MECHANISM = pytest.mark.parametrize("mechanism", MECHANISMS)


def logins(mailbox: Mailbox) -> list[str]:
    """Return the mechanism of every login that was tried."""
    # A tag, in IMAP, before; what came along with the command, behind.
    found = (re.match(r"(?:\S+ )?AUTH(?:ENTICATE)? (\S+)", line, re.IGNORECASE) for line in mailbox.received())
    return [match[1].upper() for match in found if match]


# --- curl -----------------------------------------------------------------------------------------------------------


class Curl:
    """Runs curl with all that matters in a configuration on standard input: what is there shows in no process list."""

    def __init__(self, home: Path) -> None:
        self.program = programs.find("curl")
        self.home = home

    def __call__(
        self, sandbox: Sandbox, scheme: str, path: str, *options: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run curl.

        Args:
            sandbox: where.
            scheme: protocol, and port of the sandbox.
            path: of the URL.
            options: those without a value.
            settings: those with one.
        """
        values = {"url": f"{scheme}://localhost:{port_of(sandbox, scheme)}/{path}", "max_time": "20", **settings}
        values.setdefault("cacert", str(sandbox.ca_file))
        lines = ["silent", "show-error", "ssl-reqd", *options]
        lines += [f'{name.replace("_", "-")} = "{value}"' for name, value in values.items()]
        return programs.run([self.program, "--disable", "--config", "-"], self.home, "\n".join(lines))

    def login(self, user: str, token: str, mechanism: str) -> dict[str, str]:
        # The colon ends the name: without it curl would ask for a password.
        return {"user": f"{user}:", "oauth2_bearer": token, "login_options": f"AUTH={mechanism}"}


@pytest.fixture
def curl(tmp_path: Path) -> Curl:
    return Curl(tmp_path)


@pytest.fixture
def curls_mailbox(like: Like, mechanism: str) -> Mailbox:
    """A user of a server that offers one mechanism, or that one first.

    Curl takes OAUTHBEARER wherever that is offered, whatever ``login-options`` says, in 7.88 and other releases (https://github.com/curl/curl/issues/10259).
    """
    return Mailbox(like("microsoft" if mechanism == "XOAUTH2" else "generic"))


@ONE_LINE_OR_TWO
@BY_MECHANISM
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl_sends(curls_mailbox: Mailbox, curl: Curl, scheme: str, mechanism: str, one_line: bool) -> None:
    (curl.home / "message").write_bytes(MESSAGE)
    ended = curl(
        curls_mailbox.sandbox,
        scheme,
        "client.test",
        *["sasl-ir"] * one_line,
        **curl.login(curls_mailbox.user, curls_mailbox.token, mechanism),
        mail_from="a@sandbox.test",
        mail_rcpt=curls_mailbox.user,
        upload_file="message",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert curls_mailbox.messages() == [MESSAGE]
    assert logins(curls_mailbox) == [mechanism]


@ONE_LINE_OR_TWO
@BY_MECHANISM
@pytest.mark.parametrize(
    ("scheme", "path"), [("imap", "INBOX;UID=1"), ("imaps", "INBOX;MAILINDEX=1"), ("pop3", "1"), ("pop3s", "1")]
)
def test_curl_fetches(
    curls_mailbox: Mailbox, curl: Curl, scheme: str, path: str, mechanism: str, one_line: bool
) -> None:
    curls_mailbox.sandbox.deliver(curls_mailbox.user, MESSAGE)
    login = curl.login(curls_mailbox.user, curls_mailbox.token, mechanism)
    ended = curl(curls_mailbox.sandbox, scheme, path, *["sasl-ir"] * one_line, **login, output="fetched")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (curl.home / "fetched").read_bytes() == MESSAGE
    assert logins(curls_mailbox) == [mechanism]


@pytest.mark.parametrize("scheme", ["smtp", "imap", "pop3"])
@pytest.mark.parametrize("name", ["gmail", "yahoo"])
def test_curl_logs_in_to_other_providers(like: Like, curl: Curl, name: str, scheme: str) -> None:
    mailbox = Mailbox(like(name))
    ended = curl(mailbox.sandbox, scheme, "", **curl.login(mailbox.user, mailbox.token, "OAUTHBEARER"))
    assert (ended.returncode, ended.stderr) == (0, "")


@BY_MECHANISM
@pytest.mark.parametrize("scheme", SCHEMES)
def test_curl_learns_of_a_refusal(curls_mailbox: Mailbox, curl: Curl, scheme: str, mechanism: str) -> None:
    ended = curl(curls_mailbox.sandbox, scheme, "", **curl.login(curls_mailbox.user, "wrong", mechanism))
    assert (ended.returncode, "denied" in ended.stderr) == (CURL_LOGIN_DENIED, True)
    assert logins(curls_mailbox) == [mechanism]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_curl_trusts_nobody_without_the_sandboxs_authority(mailbox: Mailbox, curl: Curl, scheme: str) -> None:
    with trustme.CA().cert_pem.tempfile() as somebody_else:
        login = curl.login(mailbox.user, mailbox.token, "XOAUTH2")
        assert curl(mailbox.sandbox, scheme, "", cacert=somebody_else, **login).returncode == CURL_NOT_TRUSTED
    assert logins(mailbox) == []


@pytest.mark.parametrize("scheme", ["smtp", "imap", "pop3"])
def test_curl_finds_no_login_without_tls(mailbox: Mailbox, curl: Curl, scheme: str) -> None:
    login = curl.login(mailbox.user, mailbox.token, "XOAUTH2")
    assert curl(mailbox.sandbox, scheme, "", "no-ssl-reqd", **login).returncode != 0
    assert logins(mailbox) == []


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("CAPABILITY", "* CAPABILITY IMAP4rev1 "),
        (r"LIST \"\" *", r'* LIST (\HasNoChildren) "/" "INBOX"'),
        ("EXAMINE INBOX", "* 1 EXISTS"),
        ("STATUS INBOX (MESSAGES)", "(MESSAGES 1)"),
    ],
)
def test_curl_asks_an_imap_server(mailbox: Mailbox, curl: Curl, request_: str, expected: str) -> None:
    mailbox.sandbox.deliver(mailbox.user, MESSAGE)
    login = curl.login(mailbox.user, mailbox.token, "XOAUTH2")
    ended = curl(mailbox.sandbox, "imaps", "", request=request_, **login)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert expected in ended.stdout


def test_curl_searches_stores_and_appends_over_imap(mailbox: Mailbox, curl: Curl) -> None:
    (curl.home / "message").write_bytes(MESSAGE)
    login = curl.login(mailbox.user, mailbox.token, "OAUTHBEARER")
    assert curl(mailbox.sandbox, "imaps", "INBOX", upload_file="message", **login).returncode == 0
    assert mailbox.messages() == [MESSAGE]
    found = curl(mailbox.sandbox, "imaps", "INBOX?SUBJECT%20report", **login)
    assert found.stdout.split() == ["*", "SEARCH", "1"]
    stored = curl(mailbox.sandbox, "imaps", "INBOX", request="STORE 1 +FLAGS (\\\\Deleted)", **login)
    assert "\\Deleted" in stored.stdout
    curl(mailbox.sandbox, "imaps", "INBOX", request="EXPUNGE", **login)
    assert mailbox.messages() == []


@pytest.mark.parametrize(
    ("request_", "expected"), [("LIST", f"1 {len(MESSAGE)}"), ("UIDL", "1 "), ("TOP 1 0", "Subject: Report")]
)
def test_curl_asks_a_pop3_server(mailbox: Mailbox, curl: Curl, request_: str, expected: str) -> None:
    mailbox.sandbox.deliver(mailbox.user, MESSAGE)
    login = curl.login(mailbox.user, mailbox.token, "XOAUTH2")
    ended = curl(mailbox.sandbox, "pop3s", "", request=request_, **login)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert expected in ended.stdout
    assert "more" not in ended.stdout


# --- msmtp ----------------------------------------------------------------------------------------------------------


class Msmtp:
    def __init__(self, home: Path) -> None:
        self.program = programs.find("msmtp")
        self.home = home

    def __call__(
        self, sandbox: Sandbox, scheme: str, user: str, token: str, mechanism: str
    ) -> subprocess.CompletedProcess[str]:
        (self.home / "token").write_text(token)
        settings = {
            "host": "localhost",
            "port": port_of(sandbox, scheme),
            "timeout": 20,
            "tls": "on",
            "tls_starttls": "off" if scheme == "smtps" else "on",
            "tls_trust_file": sandbox.ca_file,
            "auth": mechanism.lower(),
            "user": user,
            "passwordeval": f"cat {shlex.quote(str(self.home / 'token'))}",
            "from": "a@sandbox.test",
        }
        configuration = self.home / "msmtprc"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        configuration.chmod(0o600)
        text = MESSAGE.decode().replace("\r\n", "\n")
        return programs.run([self.program, f"--file={configuration}", "--", user], self.home, text)


@pytest.fixture
def msmtp(tmp_path: Path) -> Msmtp:
    return Msmtp(tmp_path)


@BY_MECHANISM
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_msmtp_sends(mailbox: Mailbox, msmtp: Msmtp, scheme: str, mechanism: str) -> None:
    ended = msmtp(mailbox.sandbox, scheme, mailbox.user, mailbox.token, mechanism)
    assert (ended.returncode, ended.stderr) == (0, "")
    # msmtp adds Message-ID and Date where they are missing.
    assert mailbox.messages()[0].endswith(MESSAGE)
    assert logins(mailbox) == [mechanism]


def test_msmtp_logs_in_to_every_provider(provider: Sandbox, msmtp: Msmtp) -> None:
    user = provider.new_user()
    ended = msmtp(provider, "smtp", user, provider.issue_token(user), "XOAUTH2")
    assert (ended.returncode, ended.stderr) == (0, "")


@BY_MECHANISM
@pytest.mark.parametrize(
    ("fault", "reply"), [pytest.param(False, "535 5.7.8", id="wrong"), pytest.param(True, "454 4.7.0", id="temporary")]
)
def test_msmtp_learns_of_a_refusal(mailbox: Mailbox, msmtp: Msmtp, mechanism: str, fault: bool, reply: str) -> None:
    if fault:
        mailbox.fault("temporary", service="smtp")
    ended = msmtp(mailbox.sandbox, "smtp", mailbox.user, mailbox.token if fault else "wrong", mechanism)
    assert ended.returncode in (EX_NOPERM, EX_TEMPFAIL)
    assert reply in ended.stderr
    assert mailbox.messages() == []


# --- neomutt --------------------------------------------------------------------------------------------------------


class NeoMutt:
    """Runs neomutt with a configuration that names no password, only a command that prints a token."""

    def __init__(self, home: Path) -> None:
        self.program = programs.find("neomutt")
        self.home = home

    def configure(self, sandbox: Sandbox, user: str, token: str, mechanism: str, scheme: str = "smtp") -> list[str]:
        """Write the configuration and return the beginning of the command line."""
        (self.home / "token").write_text(token)
        account = f"{urllib.parse.quote(user, safe='')}@localhost"
        settings = {
            "from": user,
            "realname": "A Person",
            "copy": "no",
            "sleep_time": "0",
            "ssl_force_tls": "yes",
            "ssl_starttls": "yes",
            "ssl_ca_certificates_file": str(sandbox.ca_file),
            "certificate_file": str(self.home / "certificates"),
            "header_cache": "",
            "smtp_url": f"{scheme}://{account}:{port_of(sandbox, scheme)}/",
            "smtp_authenticators": mechanism.lower(),
            "smtp_oauth_refresh_command": f"cat {shlex.quote(str(self.home / 'token'))}",
            "imap_user": user,
            "imap_authenticators": mechanism.lower(),
            "imap_oauth_refresh_command": f"cat {shlex.quote(str(self.home / 'token'))}",
            "folder": "",
            "spool_file": "/dev/null",
        }
        configuration = self.home / "neomuttrc"
        configuration.write_text("".join(f'set {name}="{value}"\n' for name, value in settings.items()))
        return [self.program, "-n", "-F", str(configuration)]

    def read(self, command: list[str]) -> str:
        """Run neomutt on a terminal until it ends, and return what it showed."""
        shown = b""
        deadline = time.monotonic() + programs.PATIENCE
        master, slave = pty.openpty()
        try:
            process = subprocess.Popen(
                command,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                cwd=self.home,
                env=programs.environment(self.home),
                start_new_session=True,
            )
            os.close(slave)
            with process:
                try:
                    while select.select([master], [], [], max(0, deadline - time.monotonic()))[0]:
                        shown += os.read(master, 4096)
                except OSError:
                    # Linux's end of file, once nobody has the other side open.
                    process.wait(5)
                finally:
                    process.kill()
        finally:
            os.close(master)
        return shown.decode(errors="replace")


@pytest.fixture
def neomutt(tmp_path: Path) -> NeoMutt:
    return NeoMutt(tmp_path)


@BY_MECHANISM
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_neomutt_sends(mailbox: Mailbox, neomutt: NeoMutt, scheme: str, mechanism: str) -> None:
    command = neomutt.configure(mailbox.sandbox, mailbox.user, mailbox.token, mechanism, scheme)
    ended = programs.run([*command, "-s", "Report", mailbox.user], neomutt.home, ".dots\n..and more\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    (message,) = mailbox.messages()
    assert b"Subject: Report\r\n" in message
    assert message.endswith(b"\r\n\r\n.dots\r\n..and more\r\n")
    assert logins(mailbox) == [mechanism]


@BY_MECHANISM
@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_neomutt_reads(mailbox: Mailbox, neomutt: NeoMutt, scheme: str, mechanism: str) -> None:
    mailbox.sandbox.deliver(mailbox.user, MESSAGE)
    command = neomutt.configure(mailbox.sandbox, mailbox.user, mailbox.token, mechanism)
    url = f"{scheme}://localhost:{port_of(mailbox.sandbox, scheme)}/INBOX"
    keys = 'push "<pipe-message>cat > fetched<enter><delete-message><sync-mailbox><quit>"'
    settings = "set quit=yes delete=yes wait_key=no pipe_decode=no"
    shown = neomutt.read([*command, "-f", url, "-e", settings, "-e", keys])
    assert (neomutt.home / "fetched").exists(), shown
    assert b"Subject: Report" in (neomutt.home / "fetched").read_bytes()
    assert (neomutt.home / "fetched").read_bytes().endswith(b"\n\n.dots\n..and more\n")
    assert mailbox.messages() == []
