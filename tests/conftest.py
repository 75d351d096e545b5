"""Fixtures that several test modules share."""

from __future__ import annotations

import pytest

from .scripted import Certificates


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """One throw-away authority for the whole run: making keys takes longer than most tests."""
    return Certificates()
