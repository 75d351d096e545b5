"""Fixtures of the live tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .servers import LiveServers, NotInstalledError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def servers() -> Iterator[LiveServers]:
    """Run all servers for the whole session.

    Where they are not installed the tests are skipped, except in continuous integration (CI is set), where
    a skip would pass for a success.
    """
    live = LiveServers()
    try:
        live.__enter__()
    except NotInstalledError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    try:
        yield live
    finally:
        live.__exit__()


@pytest.fixture(scope="package", autouse=True)
def _plain_http_on_loopback() -> Iterator[None]:
    """Let oauthlib speak plain http to the authorization server, in this folder's tests only."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
        yield
