"""Fixtures of the tests of sending."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from oauthmail.sending.addresses import Address
from oauthmail.sending.compose import Draft
from oauthmail.sending.letters import Letter, drafted

from ..scripted import Certificates
from .post_office import USER

MakeLetter = Callable[..., Letter]


@pytest.fixture
def ca_file(certificates: Certificates, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(path)
    return str(path)


def make_letter(*to: str, text: str = "It works.") -> Letter:
    """Return a message to these addresses."""
    recipients = tuple(Address("", each) for each in to or ("ada@x.test",))
    return next(drafted(Draft(Address("", USER), recipients, subject="Hello", text=text), USER)())


def octets(letter: Letter) -> bytes:
    return letter.build("<1@x.test>", datetime.fromisoformat("2024-01-31T12:00:00+00:00"))
