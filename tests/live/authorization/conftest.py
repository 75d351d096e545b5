"""Each test meets both servers, unless it says which one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from oauthmail import flows
from oauthmail.flows import HTTP
from oauthmail.providers import Provider

from .running import AUTHLIB, CANAILLE, Kind, Server, running


@pytest.fixture(scope="session", params=[CANAILLE, AUTHLIB], ids=lambda kind: kind.name)
def running_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind: Kind = request.param
    with running(kind, tmp_path_factory.mktemp(kind.name)) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    with running_server.telling():
        yield running_server


@pytest.fixture
def http() -> Iterator[HTTP]:
    with HTTP(allow_loopback_http=True, retries=0) as http:
        yield http


@pytest.fixture
def provider(server: Server, http: HTTP) -> Provider:
    return flows.discover(server.issuer, http=http)
