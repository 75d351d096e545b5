"""The screens of ``docs/commandline.rst``, made by running the commands: ``python -m tests.cli.screens``.

A test runs them again and compares, so that the page shows what is printed today.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import replace
from pathlib import Path

import requests

from oauthmail import Application, FileStore, OAuth2Credentials
from oauthmail.records import Record
from oauthmail.sandbox import Sandbox

from .signing_in import Terminal, browser, toml_of

SCREENS = Path(__file__).parent.parent.parent / "docs" / "screens"

_HOME = "/home/me"
_DAY = 86400.0
_SCOPE = ("https://mail.google.com/",)


class Home:
    """Somebody's home, with a sandbox for a provider.

    Attributes:
        sandbox: the provider.
        folder: the home.
        user: the mailbox.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.user = "me@sandbox.test"
        self.store = folder / ".config" / "oauthmail"
        toml_of(sandbox.provider, folder)

    def run(self, *arguments: str) -> str:
        """Return a command and what it prints, as it looks on a terminal."""
        run = subprocess.run(
            [sys.executable, "-W", "error", "-m", "oauthmail", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            cwd=self.folder,
            env={
                **os.environ,
                "HOME": str(self.folder),
                "OAUTHMAIL_HOME": str(self.store),
                "PYTHONIOENCODING": "utf-8",
                "BROWSER": browser(self.folder, self.sandbox.ca_file),
                "COLUMNS": "90",
            },
        )
        return f"$ oauthmail {shlex.join(arguments)}\n{run.stdout}".replace(str(self.folder), _HOME)

    @property
    def naming(self) -> list[str]:
        """The options that name provider and application."""
        return ["--provider", "sandbox.toml", "--client-id", self.sandbox.web.public_client_id]


def authorize(home: Home) -> str:
    """Return the screen of a mailbox that is set up, and used."""
    return home.run("authorize", home.user, *home.naming) + home.run("token", home.user)


def authorize_fails(home: Home) -> str:
    """Return the screen of a login that does not succeed."""
    home.sandbox.fault("smtp_disabled", times=None)
    try:
        return home.run("authorize", home.user, *home.naming)
    finally:
        home.sandbox.clear_faults()


def authorize_device(home: Home) -> str:
    """Return the screen of a sign-in on another device."""
    home.sandbox.web.store.device_interval = 1
    arguments = ["authorize", home.user, "--provider", str(home.folder / "sandbox.toml"), *home.naming[2:]]
    with Terminal(*arguments, "--device", home=home.store, COLUMNS="90") as terminal:
        found = re.search(r"code in it:  (\S+)\n", terminal.expect("Waiting"))
        assert found is not None
        with requests.Session() as session:
            session.trust_env = False
            query = urllib.parse.urlencode({"sandbox_consent": "allow", "login_hint": home.user})
            session.get(f"{found[1]}&{query}", verify=str(home.sandbox.ca_file), timeout=10)
        assert terminal.end() == 0
        command = shlex.join(["oauthmail", "authorize", home.user, *home.naming, "--device"])
        return f"$ {command}\n{terminal.shown}".replace(str(home.folder), _HOME)


def accounts(home: Home) -> str:
    """Return the screen of the list."""
    now = time.time()
    tokens = OAuth2Credentials("access", refresh_token="refresh", expires_at=now + 47.5 * 60, scope=_SCOPE)
    application = Application("client")
    google = Record("me@gmail.com", "google", "authorization_code", application, tokens)
    google = replace(google, authorized_at=now - 40.1 * _DAY, renewed_at=now - 750)
    stale = replace(tokens, expires_at=now - 80.5 * _DAY, scope=("https://outlook.office.com/IMAP.AccessAsUser.All",))
    microsoft = replace(google, address="sales@contoso.com", provider="microsoft365", tenant="contoso.com")
    microsoft = replace(
        microsoft, user="me@contoso.com", flow="device", credentials=stale, renewed_at=now - 80.6 * _DAY
    )
    store = FileStore(home.store)
    for record in (google, replace(microsoft, authorized_at=now - 200.1 * _DAY)):
        with store.lock(record.address):
            store.save(record)
    return home.run("accounts")


def imported(home: Home) -> str:
    """Return the screen of tokens that are taken over."""
    values = {"token": "t", "refresh_token": "r", "client_id": "c", "client_secret": "s", "scopes": list(_SCOPE)}
    values |= {"token_uri": "https://oauth2.googleapis.com/token", "expiry": "2030-01-01T00:00:00Z"}
    (home.folder / "token.json").write_text(json.dumps(values))
    return home.run("import", "token.json", "--address", "me@gmail.com")


MAKERS = {
    "authorize": authorize,
    "authorize-fails": authorize_fails,
    "authorize-device": authorize_device,
    "accounts": accounts,
    "import": imported,
}


def normalised(text: str) -> str:
    """Return a screen without what differs from one run, or machine, to the next."""
    for pattern, instead in (
        (r"port \d+", "port PORT"),
        (r"127\.0\.0\.1:\d+", "HOST"),
        (r"\d{4}-\d\d-\d\d", "DATE"),
        (r"\b[A-Z]{4}-[A-Z]{4}\b", "CODE"),
        (r"\n[\w-]{40}\n", "\nTOKEN\n"),
    ):
        text = re.sub(pattern, instead, text)
    # A number with more digits may have moved a line's end.
    return re.sub(r"\n {10,}", " ", text)


def screen(name: str, sandbox: Sandbox) -> str:
    """Return one of them."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(sandbox, Path(folder))
        home.store.parent.mkdir(mode=0o700)
        return MAKERS[name](home)


def main() -> None:
    """Write all of them."""
    SCREENS.mkdir(exist_ok=True)
    with Sandbox() as sandbox:
        for name in MAKERS:
            (SCREENS / f"{name}.txt").write_text(screen(name, sandbox), "utf-8")


if __name__ == "__main__":
    main()
