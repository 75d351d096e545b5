"""What importing the package loads: nothing that a login does not need."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import oauthmail


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after *statement*, beyond those it starts with."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import oauthmail",
        "from oauthmail import SMTP",
        "from oauthmail import SMTP, SMTP_SSL, IMAP4, IMAP4_SSL, POP3, POP3_SSL, OAuth1Credentials, OAuth2Credentials",
    ],
)
def test_importing_loads_no_http_and_no_oauth_library(statement: str) -> None:
    assert loaded_by(statement) & {"requests", "oauthlib", "requests_oauthlib", "urllib3", "http.client"} == set()


def test_a_bare_import_loads_no_client() -> None:
    assert loaded_by("import oauthmail") & {"smtplib", "imaplib", "poplib", "ssl", "socket"} == set()


def test_one_client_does_not_load_the_others() -> None:
    assert loaded_by("from oauthmail import SMTP") & {"imaplib", "poplib"} == set()


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
