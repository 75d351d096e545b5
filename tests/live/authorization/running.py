"""Starts and stops the servers, and registers applications with them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from oauthmail.sandbox.live.process import (
    Address,
    NotInstalledError,
    accepts,
    reserved_port,
    start_process,
    stop_group,
)

from .browser import TIMEOUT, Person

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Kind:
    """One of the two programs, and what has to be known about it beforehand.

    Attributes:
        name: of what it runs; the program is ``<name>_server.py``.
        modules: what has to be installed.
        issuer_path: what follows the host in its issuer identifier.
        metadata_path: where its metadata are.
        registration_path: where applications are registered (RFC 7591).
        rotates: whether a refresh gives a new refresh token and ends the old one.
        any_port: whether a loopback redirect URI may have any port (RFC 8252 section 7.3).
    """

    name: str
    modules: tuple[str, ...]
    issuer_path: str
    metadata_path: str
    registration_path: str
    rotates: bool
    any_port: bool


CANAILLE = Kind(
    "canaille",
    # The last three come with the extras.
    ("canaille", "flask_babel", "authlib", "sqlalchemy"),
    "",
    "/.well-known/openid-configuration",
    "/oauth/register",
    rotates=True,
    any_port=False,
)
AUTHLIB = Kind(
    "authlib",
    ("authlib", "flask"),
    "/tenant",
    "/.well-known/oauth-authorization-server/tenant",
    "/register",
    rotates=False,
    any_port=True,
)


@dataclass(frozen=True)
class Registration:
    """What a server answers to an application that registers (RFC 7591 section 3.2.1)."""

    client_id: str
    client_secret: str = field(repr=False)


class Server:
    """A running server and its one user."""

    username, password = "user-1@mail.test", "correct horse battery staple"

    def __init__(self, kind: Kind, port: int, log: Path) -> None:
        self.kind, self.log = kind, log
        self.url = f"http://{HOST}:{port}"
        self.issuer = self.url + kind.issuer_path

    @contextlib.contextmanager
    def telling(self) -> Iterator[Server]:
        """Print at the end what the log has got meanwhile: pytest shows it when the test has failed."""
        before = self.log.stat().st_size
        try:
            yield self
        finally:
            print(self.log.read_bytes()[before:].decode(errors="replace"))  # noqa: T201

    @contextlib.contextmanager
    def person(self, answer: str = "accept") -> Iterator[Person]:
        """Be the user, with a new browser and one answer to all questions: ``"accept"`` or ``"deny"``."""
        with contextlib.closing(Person(self.username, self.password, answer)) as person:
            yield person

    def metadata(self) -> dict[str, Any]:
        """Return what the server says about itself."""
        answer = send("GET", self.url + self.kind.metadata_path)
        answer.raise_for_status()
        metadata: dict[str, Any] = answer.json()
        return metadata

    def register(self, auth_method: str, *grant_types: str, **metadata: object) -> Registration:
        """Register an application.

        Args:
            auth_method: how it authenticates; ``"none"`` makes it a public client.
            grant_types: what it may use.
            metadata: whatever else RFC 7591 section 2 has.
        """
        asked = {
            "client_name": "Mail program",
            "token_endpoint_auth_method": auth_method,
            "grant_types": grant_types,
            "response_types": ["code"],
            "redirect_uris": [f"http://{HOST}/callback"],
            "scope": "profile email",
        }
        answer = send("POST", self.url + self.kind.registration_path, json=asked | metadata)
        assert answer.status_code == requests.codes.created, answer.text
        registered = answer.json()
        return Registration(registered["client_id"], registered["client_secret"])


def only(*kinds: Kind) -> pytest.MarkDecorator:
    """Leave the other server out."""
    return pytest.mark.parametrize("running_server", kinds, ids=lambda kind: kind.name, indirect=True)


def send(method: str, url: str, **arguments: Any) -> requests.Response:
    """Send a request past whatever proxy the environment names: it would not find a server on this machine."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=TIMEOUT, allow_redirects=False, **arguments)


@contextlib.contextmanager
def running(kind: Kind, folder: Path) -> Iterator[Server]:
    """Run a server that has *folder* for its log and whatever it keeps.

    Where it is not installed the tests are skipped, except in continuous integration (CI is set), where a skip would
    pass for a success.

    Raises:
        NotInstalledError: a module is missing.
        StartError: it did not start within 15 seconds; the message has its log.
    """
    missing = [module for module in kind.modules if importlib.util.find_spec(module) is None]
    if missing:
        message = (
            f"the {kind.name} server needs {', '.join(missing)}: python -m pip install 'canaille[front,oidc,sqlite]'"
        )
        if os.environ.get("CI"):
            raise NotInstalledError(message)
        pytest.skip(message)
    log, program = folder / f"{kind.name}.log", Path(__file__).with_name(f"{kind.name}_server.py")
    with reserved_port(HOST) as port:
        command = [sys.executable, str(program), str(folder), str(port), Server.username, Server.password]
        process = start_process(command, log, [lambda: accepts(Address(HOST, port))])
        try:
            yield Server(kind, port, log)
        finally:
            stop_group(process)
