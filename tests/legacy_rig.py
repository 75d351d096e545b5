"""Runs scripts of old after the change that the guides tell, against whatever servers there are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from oauthmail import FileStore, OAuth2Credentials, Provider
from oauthmail.records import Record

__all__ = ["CHANGES", "ONE_LINE", "Change", "Place", "converse", "documented", "run", "set_up", "written"]

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(__file__).parent / "legacy_scripts"
GUIDES = ("migrating", "from-google-scripts")
TIMEOUT = 60

Change = tuple[str, str]

#: What a reader of the guides does to each script: old lines, new lines.
CHANGES: dict[str, list[Change]] = {
    "login_over_smtp_ssl": [
        ("from smtplib import SMTP_SSL", "from oauthmail import SMTP_SSL, Account"),
        ("server.login(user, password)", "server.authenticate_oauth(user, Account(user))"),
    ],
    "pop3_fetcher": [
        ("import poplib", "import oauthmail"),
        ('pop = poplib.POP3_SSL("pop.gmail.com")', 'pop = oauthmail.POP3_SSL("pop.gmail.com")'),
        ("pop.user(user)\npop.pass_(password)", "pop.authenticate_oauth(user, oauthmail.Account(user))"),
    ],
    "smtp_handler": [
        ("import logging.handlers", "import oauthmail.contrib.logging"),
        ("handler = logging.handlers.SMTPHandler(", "handler = oauthmail.contrib.logging.SMTPHandler("),
        ("credentials=(user, password),", "credentials=user,"),
    ],
    "docmd_recipe": [
        ("import smtplib", "import smtplib, oauthmail"),
        ('server = smtplib.SMTP("smtp.gmail.com", 587)', 'server = oauthmail.SMTP("smtp.gmail.com", 587)'),
        (
            'server.docmd("AUTH", "XOAUTH2 " + auth_string)',
            "server.authenticate_oauth(user, oauthmail.Account(user))",
        ),
    ],
    "authenticate_lambda": [
        ("import imaplib", "import oauthmail"),
        ('mail = imaplib.IMAP4_SSL("imap.gmail.com")', 'mail = oauthmail.IMAP4_SSL("imap.gmail.com")'),
        (
            'mail.authenticate("XOAUTH2", lambda x: auth_string)',
            "mail.authenticate_oauth(user, oauthmail.Account(user))",
        ),
    ],
    "gmail_blog": [
        (
            "if __name__ == '__main__':",
            "from oauthmail.compat.google import get_authorization, refresh_authorization, send_mail\n"
            "if __name__ == '__main__':",
        ),
    ],
    "xoauth_three_legged": [("import xoauth", "import oauthmail.compat.google.xoauth as xoauth")],
    "xoauth_two_legged": [("import xoauth", "import oauthmail.compat.google.xoauth as xoauth")],
}

#: What does the same to every login with a password, as a line on top of a script.
ONE_LINE = "import oauthmail; oauthmail.install()"

#: Google's scripts know one authorization server; this leads them to another one.
GOOGLE = """\
import json, os, runpy, sys
import oauthmail.compat.google.oauth2 as oauth2, oauthmail.compat.google.xoauth as xoauth

for module, settings in json.loads(os.environ["SETTINGS"]).items():
    for name, value in settings.items():
        setattr({"oauth2": oauth2, "xoauth": xoauth}[module], name, value)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Place:
    """Servers, and a mailbox there.

    Attributes:
        user: the mailbox.
        token: an access token for it.
        provider: the servers, as `oauthmail.Account` takes them.
        ca_file: the authority that signed their certificates.
        smtp: port of SMTP with STARTTLS, on localhost as all of them.
        smtps: port of SMTP with TLS from the start.
        imaps: port of IMAP with TLS from the start.
        pop3s: port of POP3 with TLS from the start.
        base_url: the authorization server.
    """

    user: str
    token: str
    provider: Provider
    ca_file: str
    smtp: int
    smtps: int
    imaps: int
    pop3s: int
    base_url: str

    def environment(self, home: Path) -> dict[str, str]:
        """Return the environment of a process that trusts these servers, as every system trusts Google's."""
        return {
            **os.environ,
            "OAUTHMAIL_HOME": str(home),
            "SSL_CERT_FILE": self.ca_file,
            "REQUESTS_CA_BUNDLE": self.ca_file,
            # Lines are read as they come.
            "PYTHONUNBUFFERED": "1",
        }


def set_up(place: Place, home: Path) -> None:
    """Set the mailbox up, as ``oauthmail authorize`` does."""
    credentials = OAuth2Credentials(place.token)
    definition = place.provider.definition()
    store = FileStore(home)
    with store.lock(place.user):
        store.save(Record(place.user, place.provider.id, "imported", credentials=credentials, definition=definition))


def written(name: str, place: Place, folder: Path, changes: Iterable[Change] = ()) -> Path:
    """Write a script out for a place, with changes made to it.

    Args:
        name: of the script.
        place: takes the place of Gmail.
        folder: where to.
        changes: each must find its old lines, once.
    """
    text = (SCRIPTS / f"{name}.py.txt").read_text("utf-8")
    for old, new in changes:
        assert len(re.findall(f"^ *{re.escape(old)}$", text, re.MULTILINE)) == 1, old
        text = text.replace(old, new)
    for pattern, value in {
        r'"smtp\.gmail\.com", 465': f'"localhost", {place.smtps}',
        r'"smtp\.(gmail|googlemail)\.com", 587': f'"localhost", {place.smtp}',
        r'"imap\.(gmail|googlemail)\.com"': f'"localhost", {place.imaps}',
        r'"pop\.gmail\.com"': f'"localhost", {place.pop3s}',
        r"me@(gmail|example)\.com": place.user,
    }.items():
        text = re.sub(pattern, value, text)
    path = folder / f"{name}.py"
    path.write_text(text, "utf-8")
    return path


def run(
    path: Path, place: Place, home: Path, *, words: Iterable[str] = (), typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a script; *words* come before it."""
    return subprocess.run(
        [sys.executable, "-W", "error", *words, str(path)],
        input=typed,
        capture_output=True,
        text=True,
        cwd=path.parent,
        env=place.environment(home),
        timeout=TIMEOUT,
        check=False,
    )


def converse(
    path: Path,
    place: Place,
    home: Path,
    settings: Mapping[str, Mapping[str, str]],
    person: Callable[[str], str | None] | None,
) -> str:
    """Run a script that sends somebody to a browser, or does not; return what it prints after the address.

    Args:
        path: the script.
        place: where to.
        home: where mailboxes are set up.
        settings: of ``oauth2`` and ``xoauth``.
        person: is told the address and returns what to type, None to type nothing; None where nobody is sent.
    """
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", GOOGLE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=path.parent,
        env={**place.environment(home), "SETTINGS": json.dumps(settings)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if person is not None:
            line = ""
            while "https://" not in line:
                line = process.stdout.readline()
                assert line, "no address was printed"
            typed = person("https://" + line.partition("https://")[2].strip())
            if typed is not None:
                process.stdin.write(f"{typed}\n")
        process.stdin.close()
        printed = process.stdout.read()
    assert process.returncode == 0
    return printed


def documented() -> set[Change]:
    """Return every row of the guides' tables: what their left and their right column have as code, line by line."""
    found: set[Change] = set()
    for guide in GUIDES:
        text = (ROOT / "docs" / f"{guide}.rst").read_text("utf-8")
        for left, right in re.findall(
            r"^   \* - (.*(?:\n       .*)*)\n     - (.*(?:\n       .*)*)", text, re.MULTILINE
        ):
            old, new = ("\n".join(re.findall("``(.+?)``", cell)) for cell in (left, right))
            found.add((old, new))
    return found
