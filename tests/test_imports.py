"""What importing the package loads: nothing that a login does not need, and of that nothing before the login."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import oauthmail

from .scripted import Line, scripted

PARENTS = "import smtplib, imaplib, poplib, ssl"
CLIENTS = "from oauthmail import SMTP, SMTP_SSL, IMAP4, IMAP4_SSL, POP3, POP3_SSL"

#: What takes as long to load as a client of the standard library, or nearly so, alone or by what it loads in turn.
HEAVY = {"ast", "dataclasses", "dis", "importlib", "inspect", "json", "typing", "urllib.parse"}


def loaded_by(statement: str, before: str = "pass") -> set[str]:
    """Return the modules that a fresh interpreter has after *statement*, beyond those that it has after *before*."""
    # Without site: what that loads for an installation of one kind or another would hide what is loaded here.
    path = str(Path(oauthmail.__file__).parent.parent)
    program = (
        f"import sys; sys.path.insert(0, {path!r}); {before}; loaded = set(sys.modules); {statement};"
        " print(*(set(sys.modules) - loaded))"
    )
    command = [sys.executable, "-I", "-S", "-c", program]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("statement", ["import oauthmail", "from oauthmail import SMTP", CLIENTS])
def test_importing_loads_no_http_and_no_oauth_library(statement: str) -> None:
    assert loaded_by(statement) & {"requests", "oauthlib", "requests_oauthlib", "urllib3", "http.client"} == set()


def test_a_bare_import_loads_nothing_else() -> None:
    assert loaded_by("import oauthmail") - {"__future__"} == {"oauthmail"}


@pytest.mark.parametrize(
    ("parent", "statement"),
    [
        ("smtplib", "from oauthmail import SMTP, SMTP_SSL"),
        ("imaplib", "from oauthmail import IMAP4, IMAP4_SSL"),
        ("poplib, contextlib", "from oauthmail import POP3, POP3_SSL"),
    ],
)
def test_a_client_loads_three_modules_beside_its_parent(parent: str, statement: str) -> None:
    assert len(loaded_by(statement, f"import {parent}") - {"__future__"}) == 3


def test_all_clients_load_at_most_eight_modules_beside_their_parents() -> None:
    assert len(loaded_by(CLIENTS, PARENTS)) <= 8


def test_the_clients_load_nothing_heavy_beside_their_parents() -> None:
    assert loaded_by(CLIENTS, PARENTS) & HEAVY == set()


def smtp(line: Line) -> None:
    line.send(b"220 \r\n")
    line.answer(b"250-test\r\n250 AUTH XOAUTH2\r\n")
    line.answer(b"235 \r\n")


def imap(line: Line) -> None:
    line.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2]\r\n")
    tag = line.receive().partition(b" ")[0]
    line.send(tag + b" OK \r\n")


def pop(line: Line) -> None:
    line.send(b"+OK \r\n")
    line.answer(b"+OK \r\nSASL XOAUTH2\r\n.\r\n")
    line.answer(b"+OK \r\n")


@pytest.mark.parametrize(("client", "script"), [("SMTP", smtp), ("IMAP4", imap), ("POP3", pop)])
def test_a_login_with_an_access_token_loads_nothing_heavy(client: str, script: Callable[[Line], None]) -> None:
    with scripted(script) as server:
        login = "client.authenticate_oauth('me@example.com', 'token', allow_insecure=True)"
        loaded = loaded_by(login, f"{CLIENTS}; client = {client}('127.0.0.1', {server.port}, timeout=10)")
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("name", oauthmail.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(oauthmail, name).__name__ == name


def test_public_names_are_listed() -> None:
    assert set(oauthmail.__all__) <= set(dir(oauthmail))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'LMTP'"):
        oauthmail.LMTP  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    assert getattr(oauthmail, "__version__") == metadata.version("oauthmail")  # noqa: B009  # it has no type
